"""Devices: which there are by which names, how much memory counts as free, and CUDA's way of copying on a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from manager.backends.local import devices
from manager.backends.local.devices import CudaMemory, DeviceMemory, memory_of, pick_device
from manager.errors import Cancelled, Refused
from manager.machine.host import free_host_memory


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("wanted", "device"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_names_of_devices(wanted: str, device: str) -> None:
    assert pick_device(wanted) == device


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_too_many_is_refused_with_what_there_is() -> None:
    with pytest.raises(Refused, match=r"'cuda:2' is not on this machine, which has: cuda:0, cuda:1, .*cpu"):
        pick_device("cuda:2")


def test_only_memory_apart_from_the_hosts_can_be_parked() -> None:
    assert memory_of("cuda:1").parks
    assert not memory_of("cpu").parks
    assert not memory_of("mps").parks


def test_a_device_that_shares_the_hosts_memory_gives_most_of_what_is_free() -> None:
    assert 0 < DeviceMemory("cpu").capacity() < free_host_memory()


# -- CUDA's way of copying, with a stream that records its calls ------------------------------------------------


class Stream:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def wait_stream(self, other: Any) -> None:
        self.log.append("wait for the others")

    def record_event(self) -> Stream:
        self.log.append("mark")
        return Stream(self.log)

    def synchronize(self) -> None:
        self.log.append("synchronize")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> tuple[CudaMemory, list[str]]:
    log: list[str] = []

    @contextmanager
    def on_stream(stream: Stream) -> Iterator[None]:
        log.append("begin")
        yield
        log.append("end")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(log))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "stream", on_stream)
    monkeypatch.setattr(CudaMemory, "pinned", False)  # which needs a GPU, too
    monkeypatch.setattr(devices, "CHUNK", 64)
    return CudaMemory("cpu"), log


def test_copies_are_queued_on_one_stream_and_told_as_they_arrive(cuda: tuple[CudaMemory, list[str]]) -> None:
    memory, log = cuda
    there = torch.arange(200, dtype=torch.uint8)
    before, blocks = there.clone(), [there.untyped_storage()]
    copy = memory.copy_out(blocks)
    memory.drop(blocks)
    log.clear()
    told: list[int] = []
    memory.copy_in(copy, blocks, told.append)
    assert torch.equal(there, before)
    assert told == [64, 128, 192, 200]
    assert log == ["wait for the others", "begin", *["mark"] * 3, "end", *["synchronize"] * 4]


def test_nothing_is_freed_while_it_is_still_being_copied(cuda: tuple[CudaMemory, list[str]]) -> None:
    memory, log = cuda
    blocks = [torch.arange(200, dtype=torch.uint8).untyped_storage()]
    copy = memory.copy_out(blocks)
    memory.drop(blocks)
    freed: list[list[str]] = []
    memory.drop = lambda storages: freed.append(log.copy())  # type: ignore[method-assign]

    def stop(done: int) -> None:
        raise Cancelled("nobody waits")

    with pytest.raises(Cancelled):
        memory.copy_in(copy, blocks, stop)
    assert [what[-1] for what in freed] == ["synchronize"]
