"""How many threads compute a pass on the CPU: all of them on a quiet machine, one beside busy neighbours.

The threads of a pass wait for each other at every operation. A neighbour that takes the processor from one of them
stops them all, so that two threads on two cores can be many times slower than one. `Team` decides by measuring: every
few seconds, or when a pass takes far longer than similar ones before it, it computes a few passes with the other number
of threads and keeps the faster one. Does not import torch.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable

TRIAL_PASSES = 3
"""Passes that a trial compares; it ends at the first that is no faster, so that a quiet machine pays for one."""
GAIN = 0.85
"""A trial wins if its passes take at most this share of the time that similar passes took before."""
SLOW = 2.5
"""A pass that takes this many times as long as similar ones finishes on one thread; two of three start a trial."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 8.0
"""Seconds until the next trial; they double with each trial that changes nothing."""
FRESH_SECONDS = 5.0
"""Measurements are compared with for this long."""

Kind = tuple[int, int, int]
"""Model, rows of a pass and the order of magnitude of its tokens: passes of one kind take about as long."""


class Team:
    """Chooses the number of threads before each pass and learns from how long the pass took.

    Args:
        most: Threads to use on a quiet machine.
        set_threads: Sets the number of threads for the next operations.
    """

    def __init__(
        self, most: int, set_threads: Callable[[int], None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.threads = most
        self._most = most
        self._set_threads = set_threads
        self._clock = clock
        self._using = 0
        self._past: dict[Kind, deque[tuple[float, float]]] = {}  # when each pass ended and how long it took
        self._kind: Kind = (0, 0, 0)
        self._begun = 0.0
        self._ended = clock()
        self._expected: float | None = None  # seconds, from similar passes
        self._trial: list[tuple[float, float]] | None = None  # seconds of each pass, and what was expected
        self._wait = FIRST_WAIT
        self._next_trial = clock() + FIRST_WAIT

    def begin(self, rows: int, tokens: int, model: int = 0) -> None:
        """Start a pass of `rows` rows and `tokens` new tokens in total through a model, which has a number."""
        if self._most == 1:
            return
        self._kind = model, rows, round(2 * math.log2(max(tokens, 1)))
        self._begun = self._clock()
        if self.threads < self._most and self._begun - self._ended > FIRST_WAIT:  # the neighbours may have gone
            self._wait, self._next_trial = FIRST_WAIT, self._begun
        self._expected = self._usual()
        if self._trial is None and self._expected is not None and self._begun >= self._next_trial:
            self._trial = []
        trying = self._trial is not None and self._expected is not None
        self._use(self._other if trying else self.threads)

    def look(self) -> None:
        """Continue on one thread if the pass takes far too long. Call this between the layers of a pass."""
        if self._using > 1 and self._expected is not None and self._clock() - self._begun > SLOW * self._expected:
            self._use(1)

    def end(self) -> None:
        """Finish a pass, and decide about the number of threads when a trial is complete."""
        if self._most == 1:
            return
        self._ended = now = self._clock()
        seconds = now - self._begun
        if self._trial is None or self._expected is None:
            if self._kind not in self._past:
                self._past = {kind: seen for kind, seen in self._past.items() if now - seen[-1][0] < FRESH_SECONDS}
            self._past.setdefault(self._kind, deque(maxlen=TRIAL_PASSES)).append((now, seconds))
            if self._expected is not None and (self._usual() or 0.0) > SLOW * self._expected:
                self._wait, self._next_trial = FIRST_WAIT, now
            return
        self._trial.append((seconds, self._expected))
        took, before = (sum(column) for column in zip(*self._trial, strict=True))
        if took >= before or len(self._trial) == TRIAL_PASSES:
            self._decide(now, won=took <= GAIN * before)

    def abandon(self) -> None:
        """Forget a pass that failed, as its time says nothing about the number of threads."""
        self._ended = self._clock()
        if self._trial is not None:
            self._trial, self._next_trial = None, self._ended + self._wait

    def _decide(self, now: float, *, won: bool) -> None:
        if won:
            self.threads = self._other
            self._past.clear()
        self._wait = FIRST_WAIT if won else min(2 * self._wait, LONGEST_WAIT)
        self._next_trial = now + self._wait
        self._trial = None

    def _usual(self) -> float | None:
        """Return the median seconds of the latest passes of this kind, or None if there are no fresh ones."""
        fresh = [took for ended, took in self._past.get(self._kind, ()) if self._begun - ended < FRESH_SECONDS]
        return statistics.median_low(fresh) if fresh else None

    @property
    def _other(self) -> int:
        return self._most if self.threads == 1 else 1

    def _use(self, threads: int) -> None:
        if threads != self._using:
            self._using = threads
            self._set_threads(threads)
