"""The memory, processors and GPUs of this machine. Quick, and without torch.

The limits of a container count: where this process may use 16 of a machine's 512 GB, it has 16.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
"""Cgroups of version 1 write a number beyond this if there is no limit."""


def host_memory() -> int:
    """Return the bytes of host memory that this process may use in all."""
    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _cgroup_memory())])


def free_host_memory() -> int:
    """Return the bytes of host memory that are still available to this process."""
    rooms = [max(0, limit - used) for limit, used in _cgroup_memory()]
    return min([int(psutil.virtual_memory().available), *rooms])


def processors(folder: Path = CGROUP) -> int:
    """Return how many processors this process may keep busy: its affinity and its container's quota; at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    version_1 = [*_numbers(folder / "cpu/cpu.cfs_quota_us"), *_numbers(folder / "cpu/cpu.cfs_period_us")]
    for numbers in (_numbers(folder / "cpu.max"), version_1):
        match numbers:
            case [quota, period] if quota > 0 and period > 0:
                count = min(count, max(1, math.ceil(quota / period)))
    return count


@cache
def gpu_memory() -> tuple[int, ...]:
    """Return the bytes of memory of each NVIDIA GPU, according to nvidia-smi; empty without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
        return tuple(int(line) << 20 for line in answer.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def bfloat16_is_fast() -> bool:
    """Return whether this processor has bfloat16 arithmetic; assumed of Macs, and False if unknown."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return sys.platform == "darwin"
    words = next((line.split() for line in text.splitlines() if line.startswith(("flags", "Features"))), [])
    return not {"avx512_bf16", "amx_bf16", "amx_tile", "bf16"}.isdisjoint(words)


def _cgroup_memory(folder: Path = CGROUP) -> list[tuple[int, int]]:
    """Return the container's (limit, usage) in bytes, by cgroups of version 2, then 1; empty without a limit."""
    names = [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")]
    found = []
    for limit_file, usage_file in names:
        limit, usage = _numbers(folder / limit_file), _numbers(folder / usage_file)
        if limit and usage and limit[0] < UNLIMITED:
            found.append((limit[0], usage[0]))
    return found


def _numbers(path: Path) -> list[int]:
    """Return the numbers in a file; empty if there is no such file or it holds other words, such as "max"."""
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
