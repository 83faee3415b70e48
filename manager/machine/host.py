"""What this machine has, as far as can be found out quickly and without torch: memory, processors, GPUs.

Limits of the container that we run in count: a machine of 512 GB of which this process may take 16 has 16.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
"""Cgroups of version 1 write some number beyond this where there is no limit."""


def host_memory() -> int:
    """Bytes of host memory that this process may take at most."""
    limits = [_meminfo("MemTotal"), *(limit for limit, _ in _cgroup_memory())]
    known = [size for size in limits if size is not None]
    return min(known) if known else _physical()


def free_host_memory() -> int:
    """Bytes of host memory that this process may still take."""
    rooms = [_meminfo("MemAvailable"), *(max(0, limit - used) for limit, used in _cgroup_memory())]
    known = [size for size in rooms if size is not None]
    return min(known) if known else _physical() // 2  # neither Linux nor a container


def processors(folder: Path = CGROUP) -> int:
    """How many processors this process may keep busy, the container's quota included; at least one."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    version_1 = [*_numbers(folder / "cpu/cpu.cfs_quota_us"), *_numbers(folder / "cpu/cpu.cfs_period_us")]
    for told in (_numbers(folder / "cpu.max"), version_1):
        match told:
            case [quota, period] if quota > 0 and period > 0:
                here = min(here, max(1, math.ceil(quota / period)))
    return here


@cache
def gpu_memory() -> tuple[int, ...]:
    """Bytes of memory of each NVIDIA GPU, as the driver's own tool says; none where that is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    ask = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout
        return tuple(int(line) << 20 for line in told.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def bfloat16_is_fast() -> bool:
    """Whether this processor calculates with bfloat16; taken for granted where that is not Linux."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return sys.platform == "darwin"
    words = next((line.split() for line in told.splitlines() if line.startswith(("flags", "Features"))), [])
    return not {"avx512_bf16", "amx_bf16", "amx_tile", "bf16"}.isdisjoint(words)


def _meminfo(name: str) -> int | None:
    """What Linux says there is."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def _cgroup_memory(folder: Path = CGROUP) -> list[tuple[int, int]]:
    """The container's limit and what is used of it, in bytes (cgroups of version 2, then 1); none without a limit."""
    names = [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")]
    found = []
    for limit, used in names:
        most, now = _numbers(folder / limit), _numbers(folder / used)
        if most and now and most[0] < UNLIMITED:
            found.append((most[0], now[0]))
    return found


def _numbers(path: Path) -> list[int]:
    """The numbers in a file; none where there is no such file, or it says something else, like "max"."""
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []


def _physical() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
