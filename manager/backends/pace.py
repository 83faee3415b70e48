"""Progress of work that does not say how far it is: told by the clock, and never as finished."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from manager.backends.base import Progress
from manager.errors import ParleyError

MOST = 0.97
"""The clock alone never says that more than this share is done."""
AT_EXPECTED = 0.85
"""The share that the clock says when the expected time is over; from there it slows down."""
TICK_SECONDS = 0.25


@contextmanager
def paced(progress: Progress, stage: str, total: int, seconds: float, tick: float = TICK_SECONDS) -> Iterator[Progress]:
    """Report `progress` of work on `total` bytes that takes about `seconds`, while the block runs.

    The block may report, too, with the function that it is given; what is passed on never falls. What `progress`
    raises (to abort the work) is raised in the block, at its next report.
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
                report(stage, int(total * share(time.monotonic() - began, seconds)), total)
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
    """How much of work that takes about `seconds` is done by now, as far as the clock can tell.

    >>> [round(share(elapsed, 10.0), 2) for elapsed in (0, 5, 10, 20, 1000)]
    [0.0, 0.63, 0.85, 0.96, 0.97]
    """
    rate = -math.log(1 - AT_EXPECTED / MOST)
    return MOST * (1 - math.exp(-rate * elapsed / seconds))
