"""Which process drives a run, and whether it still lives. Knows nothing of runs."""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path

STALE_SECONDS = 15.0
"""A process that cannot be looked at, and gave no heartbeat for this long, is gone."""


@cache
def this_process() -> str:
    """This process, so that others can tell whether it still runs: host, number, and when it began."""
    return f"{socket.gethostname()} {os.getpid()} {_began(os.getpid())}"


def alive(process: str, heartbeat: float) -> bool:
    """Whether a process still runs: looked up on this host, else judged by its last heartbeat (seconds since 1970)."""
    host, pid, began = [*process.split(" "), "", ""][:3]
    if host == socket.gethostname() and began and pid.isdigit():
        return _began(int(pid)) == began
    return time.time() - heartbeat < STALE_SECONDS


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where that cannot be known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
