"""The clock thread. It wakes the scheduler for deadlines, idle times and cool-downs, and sends heartbeats."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable


class Alarm:
    """Calls `tick` when `next_tick` says so, and `beat` every `beat_seconds`, with the lock of `changed` held."""

    def __init__(
        self,
        changed: threading.Condition,
        clock: Callable[[], float],
        *,
        next_tick: Callable[[], float | None],
        tick: Callable[[], None],
        beat: Callable[[], None],
        beat_seconds: float,
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._next_tick = next_tick
        self._tick = tick
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._rings_at = math.inf
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="manager clock", daemon=True)
        self._thread.start()

    def reschedule(self) -> None:
        """Check whether the next tick is due earlier than planned. Called with the lock held."""
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
        beats_at = self._clock() + self._beat_seconds
        with self._changed:
            while not self._stopping:
                self._rings_at = self._next()
                now = self._clock()
                if now >= beats_at:
                    beats_at = now + self._beat_seconds
                    self._beat()
                elif now >= self._rings_at:
                    self._tick()
                else:
                    self._changed.wait(min(self._rings_at - now, beats_at - now, threading.TIMEOUT_MAX))
