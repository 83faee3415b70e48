"""The devices of this machine: which exist, how much memory they have, and copying weights out of it and back.

`DeviceMemory` is the interface for parking: copy out, drop, copy in, bytes. It works on storages, the blocks of bytes
under tensors. As these are emptied and refilled in place, all tensors that share them (tied weights, views, buffers)
stay valid. Does not import transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, UntypedStorage

from manager.errors import Refused
from manager.machine.host import free_host_memory
from manager.machine.process import trim_heaps

CHUNK = 1 << 26
"""Bytes per block of host memory, since torch rounds pinned blocks up to a power of two."""
DEVICE_SHARE, HOST_SHARE, PARKING_SHARE = 0.92, 0.8, 0.5
"""The default budgets: shares of the free memory of a GPU, of the host's for models on the CPU, and for parking."""

Moved = Callable[[int], None]
"""Receives the bytes copied so far. An error that it raises ends the copying."""


def pick_device(wanted: str) -> str:
    """Return the device that a registry entry means; `auto` is the best one. Raises Refused if it does not exist."""
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    found += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    device = {"auto": found[0], "cuda": "cuda:0", "mps:0": "mps"}.get(wanted, wanted)
    if device not in found:
        raise Refused(f"key 'device': '{wanted}' is not on this machine, which has: {', '.join(found)}")
    return device


class HostCopy:
    """The contents of some storages, concatenated in host memory."""

    def __init__(self, sizes: Sequence[int], pinned: bool) -> None:
        self.sizes = list(sizes)
        whole, rest = divmod(sum(self.sizes), CHUNK)
        chunks = [CHUNK] * whole + ([1 << (rest - 1).bit_length()] if rest else [])
        self._chunks = [torch.empty(size, dtype=torch.uint8, pin_memory=pinned) for size in chunks]

    @property
    def bytes(self) -> int:
        """Bytes of host memory that it takes."""
        return sum(chunk.numel() for chunk in self._chunks)

    def pieces(self, storages: Sequence[UntypedStorage]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pairs of matching byte ranges, in a storage and here. None crosses the end of a chunk."""
        place = 0
        for storage, size in zip(storages, self.sizes, strict=True):
            raw = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            done = 0
            while done < size:
                number, start = divmod(place, CHUNK)
                count = min(size - done, CHUNK - start)
                yield raw[done : done + count], self._chunks[number][start : start + count]
                done, place = done + count, place + count


class DeviceMemory:
    """The memory of a device that shares it with the host (a CPU, Apple's GPUs), so that parking would free nothing."""

    parks = False
    pinned = False

    def __init__(self, device: str) -> None:
        self.device = device

    def bring(self, module: torch.nn.Module) -> None:
        """Move a newly loaded module from host memory to the device. Raises torch.OutOfMemoryError."""
        module.to(self.device)

    def copy_out(self, storages: Sequence[UntypedStorage]) -> HostCopy:
        """Copy the contents of these storages to host memory."""
        copy = HostCopy([storage.nbytes() for storage in storages], self.pinned)
        self._transfer(((host, there) for there, host in copy.pieces(storages)), lambda done: None)
        return copy

    def drop(self, storages: Sequence[UntypedStorage]) -> None:
        """Empty these storages, freeing their bytes.

        Torch keeps the memory mapped for the next allocation, which is faster than mapping it again.
        """
        for storage in storages:
            self._resize(storage, 0)

    def copy_in(self, copy: HostCopy, storages: Sequence[UntypedStorage], moved: Moved) -> None:
        """Refill emptied storages. If it raises (torch.OutOfMemoryError, or an error of `moved`), all are empty."""
        try:
            for storage, size in zip(storages, copy.sizes, strict=True):
                self._resize(storage, size)
            self._transfer(copy.pieces(storages), moved)
        except BaseException:
            self.drop(storages)
            raise

    def bytes(self) -> int | None:
        """Return the bytes taken by this process's tensors on the device, or None if unknown."""
        return torch.mps.current_allocated_memory() if self.device == "mps" else None

    def capacity(self) -> int:
        """Return the bytes that may be used from now on."""
        if self.device == "mps":
            return int(DEVICE_SHARE * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
        return int(HOST_SHARE * free_host_memory())

    def tidy(self) -> None:
        """Return the memory that torch or the C library keeps for later to the device or the system."""
        if self.device == "mps":
            torch.mps.empty_cache()
        trim_heaps()

    def _resize(self, storage: UntypedStorage, size: int) -> None:
        storage.resize_(size)

    def _transfer(self, pairs: Iterator[tuple[Tensor, Tensor]], moved: Moved) -> None:
        done = 0
        for target, source in pairs:
            target.copy_(source)
            done += target.numel()
            moved(done)


class CudaMemory(DeviceMemory):
    """The memory of an NVIDIA or AMD GPU, copied from and to pinned host memory on a separate stream."""

    parks = True
    pinned = True

    def bytes(self) -> int:
        return int(torch.cuda.memory_allocated(self.device))

    def capacity(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        return int(DEVICE_SHARE * free)

    def tidy(self) -> None:
        with torch.cuda.device(self.device):
            torch.cuda.empty_cache()

    def _transfer(self, pairs: Iterator[tuple[Tensor, Tensor]], moved: Moved) -> None:
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))  # on which the storages were made
        marks: list[tuple[torch.cuda.Event, int]] = []
        done = marked = 0
        try:
            with torch.cuda.stream(stream):
                for target, source in pairs:
                    target.copy_(source, non_blocking=True)
                    done += target.numel()
                    if done - marked >= CHUNK:
                        marks.append((stream.record_event(), done))
                        marked = done
            for event, count in marks:
                event.synchronize()
                moved(count)
        finally:
            stream.synchronize()  # even after an error: memory must not be freed while it is being copied
        moved(done)


def memory_of(device: str) -> DeviceMemory:
    """Return the memory of a device that `pick_device` returned."""
    return CudaMemory(device) if device.startswith("cuda") else DeviceMemory(device)
