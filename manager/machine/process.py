"""This process: its heaps, and leaving without waiting for threads that hang."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from functools import cache
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
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_ARENA_MAX, MAX_HEAPS)
        threading.Thread(target=_keep_trimming, name="memory keeper", daemon=True).start()


def trim_heaps() -> None:
    """Return the memory that was freed so far to the system, if the C library is glibc."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _keep_trimming() -> None:
    while True:
        time.sleep(TRIM_SECONDS)
        trim_heaps()


@cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "malloc_trim") else None
