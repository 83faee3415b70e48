"""Where the keys and values of all rows live: slots side by side, so that one call of attention reads many rows.

A slab is one allocation, divided into slots of one room. Rooms are powers of two, so that the rows of one slab are
similarly long. The arena is the ledger of slots: a slot belongs to its owner until the last reference to it is gone.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from manager.generation.forward.kv import CacheShape, Memo

LEAST_ROOM = 128
"""Tokens in a slot of the smallest room."""
SLAB_TOKENS = 4096
"""Tokens in a slab of several slots, at most. Attention over longer rows gains nothing from sharing a call."""


def room_for(length: int) -> int:
    """Return the room of the slots that hold texts of this many tokens.

    >>> [room_for(length) for length in (1, 128, 129, 1000)]
    [128, 128, 256, 1024]
    """
    return max(LEAST_ROOM, 1 << (length - 1).bit_length())


@dataclass(eq=False)
class SlotPlace:
    """Where a slot is. Changes when the arena moves it."""

    slab: Slab
    index: int


class KVSlot:
    """Room for the keys and values of one row."""

    def __init__(self, place: SlotPlace) -> None:
        self.place = place

    @property
    def room(self) -> int:
        """The number of tokens that it holds."""
        return self.place.slab.room

    @property
    def numbers(self) -> torch.Tensor:
        """Its part of the slab, [layers, keys and values, heads, room, head size]."""
        return self.place.slab.tensor[:, :, :, self.place.index]


class Slab:
    """Slots of one room in one tensor, [layers, keys and values, heads, slots, room, head size]."""

    def __init__(self, shape: CacheShape, slots: int, room: int) -> None:
        self.slots, self.room = slots, room
        dims = (shape.layers, 2, shape.heads, slots, room, shape.size)
        self.tensor = torch.zeros(dims, dtype=shape.dtype, device=shape.device)
        self.taken: dict[int, SlotPlace] = {}
        self._dirty: set[int] = set()  # indices that had an owner before

    @property
    def free(self) -> int:
        """The number of free slots."""
        return self.slots - len(self.taken)

    def enter(self, filled: int) -> SlotPlace:
        """Take the first free slot, whose owner will at once write its first `filled` tokens. The others are zero.

        Attention multiplies what lies behind a row's end by zero, and what an earlier owner left there may be NaN.
        """
        index = next(index for index in range(self.slots) if index not in self.taken)
        if index in self._dirty:
            self.tensor[:, :, :, index, filled:].zero_()
        self._dirty.add(index)
        place = self.taken[index] = SlotPlace(self, index)
        return place


class KVArena:
    """All slabs of one model. Any thread may let go of slots; only one takes and moves them."""

    def __init__(self, shape: CacheShape) -> None:
        self.shape = shape
        self._slabs: dict[int, list[Slab]] = {}  # by room
        self._lock = threading.RLock()
        self._loose = False  # whether slots were given back since the last `tidy`

    def slabs(self) -> Iterator[Slab]:
        """Iterate over all slabs."""
        for slabs in self._slabs.values():
            yield from slabs

    def take(self, length: int, filled: int = 0) -> KVSlot:
        """Return a slot for `length` tokens, the first `filled` of which its owner will write at once."""
        room = room_for(length)
        with self._lock, torch.inference_mode():
            slabs = self._slabs.setdefault(room, [])
            slab = next((slab for slab in slabs if slab.free), None)
            if slab is None:
                taken = sum(len(slab.taken) for slab in slabs)
                slab = Slab(self.shape, max(1, min(max(2, taken), SLAB_TOKENS // room)), room)
                slabs.append(slab)
            slot = KVSlot(slab.enter(filled))
        weakref.finalize(slot, self._give_back, slot.place).atexit = False
        return slot

    def tidy(self) -> None:
        """Move slots together where whole slabs become free."""
        if not self._loose:
            return
        with self._lock, torch.inference_mode():
            self._loose = False
            for room, slabs in self._slabs.items():
                while slabs:
                    emptiest = min(slabs, key=lambda slab: len(slab.taken))
                    others = [slab for slab in slabs if slab is not emptiest]
                    if sum(slab.free for slab in others) < len(emptiest.taken):
                        if 4 * len(emptiest.taken) > emptiest.slots:
                            break
                        others.append(Slab(self.shape, len(emptiest.taken), room))
                    for place in list(emptiest.taken.values()):
                        _move(place, next(slab for slab in others if slab.free))
                    self._slabs[room] = slabs = others

    def _give_back(self, place: SlotPlace) -> None:
        with self._lock:
            slab = place.slab
            del slab.taken[place.index]
            self._loose = True
            if not slab.taken:
                self._slabs[slab.room] = [other for other in self._slabs[slab.room] if other is not slab]


def _move(place: SlotPlace, slab: Slab) -> None:
    """Copy a slot to another slab."""
    old, new = place.slab.tensor[:, :, :, place.index], slab.enter(filled=slab.room)
    slab.tensor[:, :, :, new.index].copy_(old)
    place.slab, place.index = slab, new.index
    slab.taken[new.index] = place


class SlotMemo(Memo):
    """Keys and values in a slot of an arena."""

    def __init__(self, arena: KVArena) -> None:
        super().__init__()
        self._arena = arena
        self._slot: KVSlot | None = None

    @property
    def bytes(self) -> int:
        return 0 if self._slot is None else self._slot.room * self._arena.shape.token_bytes

    def crop(self, length: int) -> bool:
        del self.tokens[length:]
        return True

    def copy(self, length: int) -> SlotMemo:
        other = SlotMemo(self._arena)
        other.tokens = self.tokens[:length]
        if length:
            other._slot = self._copied(length, length)
        return other

    def reserve(self, length: int) -> KVSlot:
        """Return its slot, after moving to a larger one if `length` tokens do not fit."""
        if self._slot is None or self._slot.room < length:
            self._slot = self._copied(length, len(self.tokens))
        return self._slot

    def _copied(self, length: int, filled: int) -> KVSlot:
        slot = self._arena.take(length, filled)
        if self._slot is not None:
            with torch.inference_mode():
                slot.numbers[..., :filled, :] = self._slot.numbers[..., :filled, :]
        return slot
