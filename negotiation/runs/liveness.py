"""The identity of a process, and whether it is still alive.

A process id alone can be reused, so it is paired with the start time in kernel ticks. Unlike psutil's `create_time`,
that does not change when the system clock is set.
"""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path

STALE_SECONDS = 15.0
"""A process that cannot be looked up counts as gone after this long without a heartbeat."""


@cache
def this_process() -> str:
    """Return the identity of this process: host, process id and start time."""
    return f"{socket.gethostname()} {os.getpid()} {_began(os.getpid())}"


def alive(process: str, heartbeat: float) -> bool:
    """Return whether a process is alive: looked up on this host, else by its last heartbeat (seconds since 1970)."""
    host, pid, began = [*process.split(" "), "", ""][:3]
    if host == socket.gethostname() and began and pid.isdigit():
        return _began(int(pid)) == began
    return time.time() - heartbeat < STALE_SECONDS


def _began(pid: int) -> str:
    """Return when a process started, in ticks since boot; empty where that is unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
