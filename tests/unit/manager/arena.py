"""A counted arena in host memory that simulates a GPU: it counts what is stored in it, and its size is limited."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef

from manager.backends.local.devices import DeviceMemory, HostCopy, Moved
from manager.backends.local.storages import storages_of


class Arena(DeviceMemory):
    """Copies, drops and counts as CUDA memory does, through the same port. `size` is all there is."""

    parks = True

    def __init__(self, size: int = 1 << 34) -> None:
        super().__init__("cpu")
        self.size = size
        self._taken: dict[int, tuple[StorageWeakRef, int]] = {}  # storages of the arena that were not emptied
        self.out = self.back = 0  # how often something was copied
        self.on_transfer: Callable[[int], None] = lambda done: None

    def bring(self, module: torch.nn.Module) -> None:
        """Put the module's numbers into storages of the arena's own; the ones from its files may be mapped."""
        moved: dict[int, UntypedStorage] = {}
        for storage in storages_of(module):
            fresh = torch.UntypedStorage(0)
            moved[storage._cdata] = fresh
            self._resize(fresh, storage.nbytes())
            fresh.copy_(storage)
        seen: set[int] = set()
        for tensor in [*module.parameters(), *module.buffers(), *_plain(module)]:
            storage = tensor.untyped_storage()
            if id(tensor) not in seen and storage._cdata in moved:
                seen.add(id(tensor))
                fresh = moved[storage._cdata]
                place = (fresh, tensor.storage_offset(), tensor.size(), tensor.stride())
                tensor.data = torch.empty(0, dtype=tensor.dtype).set_(*place)

    def copy_out(self, storages: list[UntypedStorage]) -> HostCopy:  # type: ignore[override]
        self.out += 1
        return super().copy_out(storages)

    def copy_in(self, copy: HostCopy, storages: list[UntypedStorage], moved: Moved) -> None:  # type: ignore[override]
        self.back += 1

        def told(done: int) -> None:
            self.on_transfer(done)
            moved(done)

        super().copy_in(copy, storages, told)

    def bytes(self) -> int:
        self._taken = {key: (ref, size) for key, (ref, size) in self._taken.items() if not ref.expired()}
        return sum(size for _, size in self._taken.values())

    def capacity(self) -> int:
        return self.size - self.bytes()

    def _resize(self, storage: UntypedStorage, size: int) -> None:
        if size and self.bytes() + size > self.size:
            raise torch.OutOfMemoryError(f"the arena holds {self.size} bytes")
        super()._resize(storage, size)
        self._taken.pop(storage._cdata, None)
        if size:
            self._taken[storage._cdata] = (StorageWeakRef(storage), size)


def _plain(module: torch.nn.Module) -> list[torch.Tensor]:
    found = [value for part in module.modules() for value in vars(part).values()]
    return [value for value in found if isinstance(value, torch.Tensor)]
