"""The storages under a model's tensors: which exist, their sizes, and whether they have been freed.

This is the only reliable measure of a model: tied weights and views share a storage, which lives until the last of them
is freed.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef


def storages_of(module: torch.nn.Module) -> list[UntypedStorage]:
    """Return all distinct storages of a module's parameters, buffers (persistent or not) and other tensors."""
    found: dict[int, UntypedStorage] = {}
    for tensor in _tensors(module):
        if not tensor.is_meta and not tensor.is_mkldnn:  # neither has accessible bytes
            storage = tensor.untyped_storage()
            found[storage._cdata] = storage
    return list(found.values())


def total_bytes(storages: Iterable[UntypedStorage]) -> int:
    """Return the total bytes of some storages."""
    return sum(storage.nbytes() for storage in storages)


class Remains:
    """Storages that should have been freed, and the bytes of those that are still referenced."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[StorageWeakRef, int]] = {}

    def watch(self, storages: Iterable[UntypedStorage]) -> None:
        """Watch these storages without keeping them alive."""
        for storage in storages:
            self._watched[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())

    @property
    def bytes(self) -> int:
        """Bytes that have not been freed yet."""
        self._watched = {key: (ref, size) for key, (ref, size) in self._watched.items() if not ref.expired()}
        return sum(size for _, size in self._watched.values())


def held_by(error: BaseException) -> list[UntypedStorage]:
    """Return the storages of modules in the frames of an error: the remains of a failed load.

    The caller's own frame is left out, as inspecting it would keep its contents alive until it ends.
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
    for tensor in [*module.parameters(), *module.buffers()]:
        yield from _plain(tensor)
    for part in module.modules():
        yield from _within(vars(part).values())


def _plain(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the parts of a quantized tensor, or a tensor itself and those that a quantization attached to it."""
    if hasattr(tensor, "__tensor_flatten__"):  # torchao
        for name in tensor.__tensor_flatten__()[0]:
            yield from _plain(getattr(tensor, name))
        return
    yield tensor
    for value in vars(tensor).values():  # bitsandbytes
        yield from _within([value])
        yield from _within(getattr(value, "__dict__", {}).values())


def _within(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Yield tensors among plain attributes, one level deep."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, torch.Tensor))
