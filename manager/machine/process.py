"""The process itself: its heaps, and its end without waiting for work that nobody wants any more."""

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
MOST_HEAPS = 2
TRIM_SECONDS = 60.0


def leave(status: int) -> NoReturn:
    """End the process now; to be called when everything is closed and stored.

    Python's own exit joins the threads of every pool, and those of a download that hangs would hold it for minutes.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it may be gone
            stream.flush()
    os._exit(status)


def keep_memory_low() -> None:
    """Have what is freed go back to the system; for a whole program, before it begins threads.

    glibc's malloc gives every thread a heap of its own, up to eight for each core, and keeps what is freed there: with
    visitors coming and going that held two gigabytes more than was used within minutes, and was still growing. So there
    are two heaps, and a thread trims them now and then (mallopt(3), malloc_trim(3)). Does nothing with another libc.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(M_ARENA_MAX, MOST_HEAPS)
        threading.Thread(target=_trim, args=(libc,), name="memory keeper", daemon=True).start()


def _trim(libc: ctypes.CDLL) -> None:
    while True:
        time.sleep(TRIM_SECONDS)
        libc.malloc_trim(0)
