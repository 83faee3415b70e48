"""Progress of work that reports none: estimated by the clock, and never shown as finished."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from manager.backends.base import Progress
from manager.errors import ParleyError

MOST = 0.97
"""The largest share that is reported by the clock alone."""
AT_EXPECTED = 0.85
"""The share reported when the expected time is over. From there, progress slows down."""
TICK_SECONDS = 0.25


@contextmanager
def paced(
    progress: Progress, stage: str, total: int, seconds: float, *, until: float = 1.0, tick: float = TICK_SECONDS
) -> Iterator[Progress]:
    """Report estimated progress while the block runs.

    The block gets a function with which it may report, too; reported progress never decreases. An error raised by
    `progress`, to abort the work, is raised in the block at its next report.

    Args:
        total: The bytes of the whole work.
        seconds: The expected duration of the part of the work that reports nothing.
        until: The share of the work that this part is.
        tick: Seconds between reports.
    """
    began, done = time.monotonic(), threading.Event()
    lock, highest = threading.Lock(), 0

    def report(stage_now: str, reached: int, whole: int) -> None:
        nonlocal highest
        with lock:
            highest = max(highest, reached)
            progress(stage_now, highest, whole)

    def keep_time() -> None:
        while not done.wait(tick):
            try:
                report(stage, int(until * total * share(time.monotonic() - began, seconds)), total)
            except ParleyError:
                return

    clock = threading.Thread(target=keep_time, name="progress", daemon=True)
    clock.start()
    try:
        yield report
    finally:
        done.set()
        clock.join()


def share(elapsed: float, seconds: float) -> float:
    """Return the estimated share of work that is done after `elapsed` of about `seconds`.

    >>> [round(share(elapsed, 10.0), 2) for elapsed in (0, 5, 10, 20, 1000)]
    [0.0, 0.63, 0.85, 0.96, 0.97]
    """
    rate = -math.log(1 - AT_EXPECTED / MOST)
    return MOST * (1 - math.exp(-rate * elapsed / seconds))
