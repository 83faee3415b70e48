"""Attention of one pass over the slots of an arena: rows that decode share calls, pieces of prompts have their own.

What is the same in all layers is prepared once per pass: which slots a call reads, where new tokens go, and masks.
These hold numbers, as boolean ones would be converted to numbers in every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn.functional import scaled_dot_product_attention

from manager.generation.forward.arena import KVSlot, Slab

CALL = 48
"""What one more call costs, in keys that one row reads in the same time (measured: docs/decisions/0046)."""


@dataclass
class RowPart:
    """One row's part of a pass: `new` tokens after `past` earlier ones. `number` is its position in the request."""

    number: int
    slot: KVSlot
    past: int
    new: int

    @property
    def end(self) -> int:
        """The number of tokens after the pass."""
        return self.past + self.new


class Decode:
    """Rows with one new token each, in equidistant slots of one slab, read as far as the longest of them."""

    def __init__(self, entries: list[RowPart]) -> None:
        self.entries = entries
        self._ends = [entry.end for entry in entries]
        index = [entry.slot.place.index for entry in entries]
        step = index[1] - index[0] if len(index) > 1 else 1
        numbers = entries[0].slot.place.slab.tensor[:, :, :, index[0] : index[-1] + 1 : step, : max(self._ends)]
        self._keys, self._values = (both.transpose(1, 2).unbind() for both in numbers.unbind(1))
        # On a CPU, vectors of bfloat16 are multiplied faster than matrices of a few rows.
        self._fold = numbers.device.type != "cpu" or numbers.dtype != torch.bfloat16
        self._masks: dict[int | None, tuple[int, torch.Tensor | None]] = {}

    def attend(self, layer: int, query: torch.Tensor, window: int | None, scale: float | None) -> torch.Tensor:
        """Return attention [rows, heads, head size] for queries of this shape, each of which sees `window` tokens."""
        if window not in self._masks:
            self._masks[window] = self._mask(window)
        first, mask = self._masks[window]
        keys, values = self._keys[layer], self._values[layer]
        if first:
            keys, values = keys[:, :, first:], values[:, :, first:]
        one = query.unflatten(1, (keys.shape[1], -1)) if self._fold else query.unsqueeze(2)
        found = scaled_dot_product_attention(one, keys, values, attn_mask=mask, scale=scale, enable_gqa=not self._fold)
        return found.flatten(1, 2)

    def _mask(self, window: int | None) -> tuple[int, torch.Tensor | None]:
        """Return the first key that any row sees, and the mask [rows, 1, 1, keys] from there; None if all see all."""
        begins = [0 if window is None else max(0, end - window) for end in self._ends]
        first, last = min(begins), max(self._ends)
        if min(self._ends) == last:
            return first, None
        device = self._keys[0].device
        places = torch.arange(first, last, device=device)
        begin, end = torch.tensor([begins, self._ends], device=device)[..., None, None, None]
        return first, _mask_of((places >= begin) & (places < end), self._keys[0].dtype)


class Prefill:
    """Several new tokens of one row: a piece of its prompt, or what its grammar forced."""

    def __init__(self, entry: RowPart) -> None:
        self.entries = [entry]
        self._entry = entry
        numbers = entry.slot.numbers[..., : entry.end, :]
        self._keys, self._values = (both[:, None].unbind() for both in numbers.unbind(1))
        self._masks: dict[tuple[int, int | None], tuple[int, torch.Tensor | None]] = {}

    def attend(self, layer: int, query: torch.Tensor, window: int | None, scale: float | None) -> torch.Tensor:
        """Return attention [tokens, heads, head size] for queries of this shape, each of which sees `window` tokens.

        After earlier tokens, the heads that share keys and values become more tokens of one head.
        """
        new, heads, size = query.shape
        query = query.transpose(0, 1)
        shared = self._keys[layer].shape[1]
        kind = (heads // shared, window)
        if kind not in self._masks:
            self._masks[kind] = self._mask(*kind)
        first, mask = self._masks[kind]
        found = scaled_dot_product_attention(
            query[None] if mask is None else query.reshape(1, shared, -1, size),
            self._keys[layer][:, :, first:],
            self._values[layer][:, :, first:],
            attn_mask=mask,
            is_causal=mask is None,
            scale=scale,
            enable_gqa=mask is None and heads != shared,
        )
        return found.reshape(heads, new, size).transpose(0, 1)

    def _mask(self, group: int, window: int | None) -> tuple[int, torch.Tensor | None]:
        """Return the first key that any token sees, and the mask [group x new, keys]; None if it is plainly causal."""
        entry, keys = self._entry, self._keys[0]
        if window is None or entry.end <= window:
            window = entry.end
            if not entry.past:
                return 0, None
        first = max(0, entry.past - window + 1)
        seen = torch.ones(entry.new, entry.end - first, dtype=torch.bool, device=keys.device)
        seen = seen.tril(entry.past - first).triu(entry.past - first - window + 1)
        return first, _mask_of(seen, keys.dtype).repeat(group, 1)


class Write:
    """The places of one slab where new tokens go, for the tokens [begin, end) of a pass."""

    def __init__(self, slab: Slab, begin: int, entries: Sequence[RowPart]) -> None:
        first = [(entry.slot.place.index * slab.room, entry) for entry in entries]
        places = [start + at for start, entry in first for at in range(entry.past, entry.end)]
        self._begin, self.end = begin, begin + len(places)
        self._places = torch.tensor(places, device=slab.tensor.device)
        self._numbers = slab.tensor.flatten(3, 4).flatten(1, 2).unbind()

    def write(self, layer: int, new: torch.Tensor) -> None:
        """Store the keys and values [heads of both, tokens of the pass, head size] of a layer."""
        self._numbers[layer].index_copy_(1, self._places, new[:, self._begin : self.end])


class Pass:
    """The rows of one pass.

    Args:
        entries: Their parts. The attribute `entries` has the order in which the model must get their tokens: those of
            one call are neighbours.
        look: Called at every layer.
    """

    def __init__(self, entries: Sequence[RowPart], look: Callable[[], None] | None = None) -> None:
        self.entries: list[RowPart] = []
        self._look = look
        self._reads: list[Decode | Prefill] = []
        self._writes: list[Write] = []
        slabs: dict[Slab, list[RowPart]] = {}
        for entry in entries:
            slabs.setdefault(entry.slot.place.slab, []).append(entry)
        for slab, inside in slabs.items():
            reads: list[Decode | Prefill] = [Decode(run) for run in _runs([one for one in inside if one.new == 1])]
            reads += [Prefill(one) for one in inside if one.new > 1]
            ordered = [one for read in reads for one in read.entries]
            self._writes.append(Write(slab, self._writes[-1].end if self._writes else 0, ordered))
            self._reads += reads
            self.entries += ordered
        self._dtype = self.entries[0].slot.numbers.dtype
        self._sizes = [sum(entry.new for entry in read.entries) for read in self._reads]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        window: int | None,
        scale: float | None,
    ) -> torch.Tensor:
        """Store new keys and values [heads, tokens, head size], and return attention [tokens, heads, head size].

        It is computed in the dtype of the cache, and returned in that of the query.
        """
        if self._look is not None:
            self._look()
        new = torch.cat([keys, values]).to(self._dtype)
        for write in self._writes:
            write.write(layer, new)
        asked = query.transpose(0, 1).to(self._dtype)
        parts = zip(self._reads, asked.split(self._sizes), strict=True)
        found = [read.attend(layer, part, window, scale) for read, part in parts]
        return (found[0] if len(found) == 1 else torch.cat(found)).to(query.dtype)


def _runs(entries: list[RowPart]) -> list[list[RowPart]]:
    """Divide decode rows of one slab into those that share a call, so that calls and padding cost little together."""
    runs: list[list[RowPart]] = []
    for entry in sorted(entries, key=lambda entry: entry.slot.place.index):
        if runs and _equidistant([*runs[-1][-2:], entry]) and _padding([*runs[-1], entry]) <= _padding(runs[-1]) + CALL:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return runs


def _equidistant(entries: Sequence[RowPart]) -> bool:
    index = [entry.slot.place.index for entry in entries]
    return len({after - before for before, after in pairwise(index)}) == 1


def _padding(entries: Sequence[RowPart]) -> int:
    ends = [entry.end for entry in entries]
    return max(ends) * len(ends) - sum(ends)


def _mask_of(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    mask: torch.Tensor = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
    return mask
