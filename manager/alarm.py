"""The thread that wakes the scheduler when time alone changes something: deadlines, idle times, cool-downs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable


class Alarm:
    """Calls `tick` when `next_tick` says so. Both are called with `changed`'s lock held."""

    def __init__(
        self,
        changed: threading.Condition,
        clock: Callable[[], float],
        next_tick: Callable[[], float | None],
        tick: Callable[[], None],
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._next_tick = next_tick
        self._tick = tick
        self._rings_at = math.inf
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="manager clock", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """What is to be waited for may have changed. Called with the lock held."""
        if self._next() < self._rings_at:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop the thread. Called without the lock."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _next(self) -> float:
        tick = self._next_tick()
        return math.inf if tick is None else tick

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                self._rings_at = self._next()
                wait = self._rings_at - self._clock()
                if wait <= 0:
                    self._tick()
                else:
                    self._changed.wait(min(wait, threading.TIMEOUT_MAX))
