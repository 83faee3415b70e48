"""This process: its heaps, and leaving without waiting for threads that hang."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

M_ARENA_MAX = -8  # from glibc's malloc.h
MAX_HEAPS = 2
TRIM_SECONDS = 60.0


def leave(status: int) -> NoReturn:
    """End the process now. Call this once everything is closed and stored.

    Python's own exit joins the threads of every pool, and a download that hangs would delay it for minutes.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader may be gone
            stream.flush()
    os._exit(status)


def keep_memory_low() -> None:
    """Return freed memory to the system. For the main program only; call this before any thread starts.

    glibc's malloc gives each thread its own heap, up to eight per core, and keeps freed memory there: with visitors
    coming and going, this held two gigabytes more than was in use within minutes, and kept growing. So this limits the
    heaps to two, and a thread trims them regularly (mallopt(3), malloc_trim(3)). Does nothing with other C libraries.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(M_ARENA_MAX, MAX_HEAPS)
        threading.Thread(target=_trim, args=(libc,), name="memory keeper", daemon=True).start()


def _trim(libc: ctypes.CDLL) -> None:
    while True:
        time.sleep(TRIM_SECONDS)
        libc.malloc_trim(0)
