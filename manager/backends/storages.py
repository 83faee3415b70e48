"""The blocks of bytes under a model's tensors: which there are, how large they are, and whether they are gone.

The only honest measure of a model: tied weights and views share a block, and a block lives until the last of them dies.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef


def storages_of(module: torch.nn.Module) -> list[UntypedStorage]:
    """All distinct storages of a module's parameters, buffers (kept in its files or not) and other tensors."""
    found: dict[int, UntypedStorage] = {}
    for tensor in _tensors(module):
        if not tensor.is_meta:
            storage = tensor.untyped_storage()
            found[storage._cdata] = storage
    return list(found.values())


def total_bytes(storages: Iterable[UntypedStorage]) -> int:
    """Bytes of all of them."""
    return sum(storage.nbytes() for storage in storages)


class Remains:
    """Storages that were given up: the bytes of those that somebody still holds, now."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[StorageWeakRef, int]] = {}

    def watch(self, storages: Iterable[UntypedStorage]) -> None:
        """Watch these from now on; keeps none of them alive."""
        for storage in storages:
            self._watched[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())

    @property
    def bytes(self) -> int:
        """Bytes that did not come back so far."""
        self._watched = {key: (ref, size) for key, (ref, size) in self._watched.items() if not ref.expired()}
        return sum(size for _, size in self._watched.values())


def held_by(error: BaseException) -> list[UntypedStorage]:
    """The storages of modules that the frames below the caller's hold: what a broken load had come to so far.

    The caller's own frame is left out: being looked at, it would keep what it holds until it ends.
    """
    found: dict[int, UntypedStorage] = {}
    for frame in _frames(error):
        for value in frame.f_locals.values():
            if isinstance(value, torch.nn.Module):
                found.update({storage._cdata: storage for storage in storages_of(value)})
    return list(found.values())


def _frames(error: BaseException) -> Iterator[types.FrameType]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        step = current.__traceback__
        if current is error and step is not None:
            step = step.tb_next
        while step is not None:
            yield step.tb_frame
            step = step.tb_next
        current = current.__cause__ or current.__context__


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        yield from _within(vars(part).values())


def _within(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Tensors kept as plain attributes, one level deep."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, torch.Tensor))
