"""Devices of this machine: which there are, how much memory they have, and copying weights out of it and back.

`DeviceMemory` is the port through which parking goes: copy out, drop, copy in, bytes. It works on storages, the blocks
of bytes under tensors: emptied and filled again in place, they keep every tensor that looks at them as it was, tied
weights, views and buffers alike. Knows no models and no transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, UntypedStorage

from manager.errors import Refused
from manager.machine.host import free_host_memory

CHUNK = 1 << 26
"""Host memory is taken in pieces of so many bytes: torch rounds pinned ones up to a power of two."""
DEVICE_SHARE, HOST_SHARE, PARKING_SHARE = 0.92, 0.8, 0.5
"""How much of the free memory is used where no budget is set: of a GPU's, of the host's, and of that for parking."""

Moved = Callable[[int], None]
"""Told how many bytes were copied so far; what it raises ends the copying."""


def pick_device(wanted: str) -> str:
    """The device a registry entry means; `auto` is the best there is. Raises Refused for one that is not there."""
    there = [f"cuda:{number}" for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    there += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    device = {"auto": there[0], "cuda": "cuda:0", "mps:0": "mps"}.get(wanted, wanted)
    if device not in there:
        raise Refused(f"key 'device': '{wanted}' is not on this machine, which has: {', '.join(there)}")
    return device


class HostCopy:
    """The contents of some storages in host memory, one after the other."""

    def __init__(self, sizes: Sequence[int], pinned: bool) -> None:
        self.sizes = list(sizes)
        whole, rest = divmod(sum(self.sizes), CHUNK)
        chunks = [CHUNK] * whole + ([1 << (rest - 1).bit_length()] if rest else [])
        self._chunks = [torch.empty(size, dtype=torch.uint8, pin_memory=pinned) for size in chunks]

    @property
    def bytes(self) -> int:
        """Host memory that it takes."""
        return sum(chunk.numel() for chunk in self._chunks)

    def pieces(self, storages: Sequence[UntypedStorage]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of bytes, in a storage and here, that belong together; none crosses the end of a chunk."""
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
    """The memory of a device that shares it with the host (a CPU, Apple's GPUs): nothing can be parked elsewhere."""

    parks = False
    pinned = False

    def __init__(self, device: str) -> None:
        self.device = device

    def bring(self, module: torch.nn.Module) -> None:
        """Move a module that was just loaded, in host memory, to the device. Raises torch.OutOfMemoryError."""
        module.to(self.device)

    def copy_out(self, storages: Sequence[UntypedStorage]) -> HostCopy:
        """What is in these storages, copied to host memory; they stay as they are."""
        copy = HostCopy([storage.nbytes() for storage in storages], self.pinned)
        self._transfer(((host, there) for there, host in copy.pieces(storages)), lambda done: None)
        return copy

    def drop(self, storages: Sequence[UntypedStorage]) -> None:
        """Give the bytes of these storages back; the storages stay, empty.

        Torch keeps the memory at hand for whoever comes next, who would else wait for it to be mapped again.
        """
        for storage in storages:
            self._resize(storage, 0)

    def copy_in(self, copy: HostCopy, storages: Sequence[UntypedStorage], moved: Moved) -> None:
        """Fill emptied storages again. If it raises (torch.OutOfMemoryError, or as `moved` does) all are empty."""
        try:
            for storage, size in zip(storages, copy.sizes, strict=True):
                self._resize(storage, size)
            self._transfer(copy.pieces(storages), moved)
        except BaseException:
            self.drop(storages)
            raise

    def bytes(self) -> int | None:
        """Bytes taken on the device by this process's tensors; None where that is not known."""
        return torch.mps.current_allocated_memory() if self.device == "mps" else None

    def capacity(self) -> int:
        """Bytes that may sensibly be used from now on."""
        if self.device == "mps":
            return int(DEVICE_SHARE * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
        return int(HOST_SHARE * free_host_memory())

    def tidy(self) -> None:
        """Give what torch keeps for later back to the device."""
        if self.device == "mps":
            torch.mps.empty_cache()

    def _resize(self, storage: UntypedStorage, size: int) -> None:
        storage.resize_(size)

    def _transfer(self, pairs: Iterator[tuple[Tensor, Tensor]], moved: Moved) -> None:
        done = 0
        for target, source in pairs:
            target.copy_(source)
            done += target.numel()
            moved(done)


class CudaMemory(DeviceMemory):
    """The memory of an NVIDIA or AMD GPU, copied from and to pinned host memory on a stream of its own."""

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
            stream.synchronize()  # also when it was ended: nothing may be freed that is still being copied
        moved(done)


def memory_of(device: str) -> DeviceMemory:
    """The memory of a device that `pick_device` answered."""
    return CudaMemory(device) if device.startswith("cuda") else DeviceMemory(device)
