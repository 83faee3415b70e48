"""The machine's memory and processors, within the limits of a container."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from manager.machine import host

V2 = {"memory.max": "1000\n", "memory.current": "400\n"}
V1 = {"memory/memory.limit_in_bytes": "1000\n", "memory/memory.usage_in_bytes": "400\n"}

Cgroup = Callable[[dict[str, str]], Path]


@pytest.fixture
def cgroup(tmp_path: Path) -> Cgroup:
    """Write files as the kernel shows them."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (V2, [(1000, 400)]),
        (V1, [(1000, 400)]),
        ({**V2, "memory.max": "max\n"}, []),
        ({**V1, "memory/memory.limit_in_bytes": "9223372036854771712\n"}, []),
        ({}, []),
    ],
)
def test_a_containers_memory(cgroup: Cgroup, files: dict[str, str], found: list[tuple[int, int]]) -> None:
    assert host._cgroup_memory(cgroup(files)) == found


@pytest.mark.parametrize(
    ("limits", "whole", "free"), [([(600, 200)], 600, 400), ([(2000, 0)], 1000, 900), ([(600, 700)], 600, 0)]
)
def test_the_smallest_of_the_machines_and_the_containers_memory_counts(
    limits: list[tuple[int, int]], whole: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000, available=900))
    monkeypatch.setattr(host, "_cgroup_memory", lambda: limits)
    assert (host.host_memory(), host.free_host_memory()) == (whole, free)


def test_without_a_container_the_machines_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_cgroup_memory", list)
    assert host.host_memory() > host.free_host_memory() > 0


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({}, 64),
    ],
)
def test_processors_within_the_containers_quota(
    cgroup: Cgroup, files: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert host.processors(cgroup(files)) == count


@pytest.mark.parametrize(
    ("answer", "found"), [("24564\n81559\n", (24564 << 20, 81559 << 20)), ("[N/A]\n", ()), ("", ())]
)
def test_the_driver_reports_the_memory_of_gpus(
    answer: str, found: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, answer))
    host.gpu_memory.cache_clear()
    try:
        assert host.gpu_memory() == found
    finally:
        host.gpu_memory.cache_clear()
