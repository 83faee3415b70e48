"""Negotiation workloads on a simulated clock, under a common model manager and under the real scheduler.

- Baseline: one lock around "is it loaded? else evict the least recently used that nobody uses, and load"; first come,
  first served, as the common managers do.
- Ours: the real scheduler, its effects carried out on simulated time.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from manager.config.model_spec import WeightsKey
from manager.scheduling import messages as msg
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import SchedulerLimits

TURNS = 20

Turns = list[tuple[int, float]]
"""A session's turns: the model of each, and its seconds."""


@dataclass
class Figures:
    """The cost of one simulated workload."""

    loads: int = 0
    makespan: float = 0.0
    waits: list[float] = field(default_factory=list)
    longest_bypass: int = 0

    def summary(self) -> dict[str, float]:
        turns = len(self.waits)
        return {
            "swaps_per_turn": self.loads / turns,
            "makespan": self.makespan,
            "wait_mean": statistics.fmean(self.waits),
            "wait_p95": statistics.quantiles(self.waits, n=20)[-1],
            "longest_bypass": self.longest_bypass,
        }


class Clock:
    """Simulated time, in which scheduled calls run in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._count), act))

    def run(self) -> None:
        while self._due:
            self.now, _, act = heapq.heappop(self._due)
            act()


def turns_of(pairs: list[tuple[int, int]], seed: int, turns: int = TURNS) -> list[Turns]:
    """Return the turns of each session as (model, seconds), the same for every contender."""
    chance = random.Random(seed)
    return [[(pair[turn % 2], chance.uniform(0.7, 1.3)) for turn in range(turns)] for pair in pairs]


class Baseline:
    """One lock around loading, first come first served, evicting the least recently used idle model."""

    def __init__(self, places: int, load_seconds: float) -> None:
        self.clock = Clock()
        self.figures = Figures()
        self._places = places
        self._load_seconds = load_seconds
        self._queue: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._users: dict[int, int] = {}  # loaded models, least recently used first -> users
        self._locked = False

    def run(self, sessions: list[Turns]) -> Figures:
        for turns in sessions:
            self._next(iter(turns))
        self.clock.run()
        self.figures.makespan = self.clock.now
        return self.figures

    def _next(self, turns: Iterator[tuple[int, float]]) -> None:
        turn = next(turns, None)
        if turn is None:
            return
        model, seconds = turn

        def granted() -> None:
            self._users[model] = self._users.pop(model) + 1  # now the most recently used
            self.clock.after(seconds, released)

        def released() -> None:
            self._release(model)
            self._next(turns)

        self._queue.append((self.clock.now, model, granted))
        self._serve()

    def _release(self, model: int) -> None:
        self._users[model] -= 1
        self._serve()

    def _serve(self) -> None:
        while self._queue and not self._locked:
            asked, model, granted = self._queue[0]
            if model in self._users:
                self._queue.popleft()
                self.figures.waits.append(self.clock.now - asked)
                granted()
                continue
            if len(self._users) >= self._places:
                victim = next((other for other, users in self._users.items() if not users), None)
                if victim is None:
                    return
                del self._users[victim]
            self._locked = True
            self.figures.loads += 1
            self.clock.after(self._load_seconds, partial(self._loaded, model))

    def _loaded(self, model: int) -> None:
        self._users[model] = 0
        self._locked = False
        self._serve()


class Ours:
    """The real scheduler, with its effects carried out in simulated time."""

    def __init__(self, places: int, load_seconds: float) -> None:
        self.clock = Clock()
        self.figures = Figures()
        self._load_seconds = load_seconds
        self._scheduler = Scheduler(SchedulerLimits(max_loaded=places, max_wait=1e9))
        self._numbers = itertools.count(1)
        self._granted: dict[int, Callable[[], None]] = {}
        self._wakes_at = float("inf")

    def run(self, sessions: list[Turns]) -> Figures:
        for model in {model for turns in sessions for model, _ in turns}:
            self._tell(msg.Register(key(model)))
        for owner, turns in enumerate(sessions):
            self._next(str(owner), turns, 0)
        self.clock.run()
        return self.figures

    def _next(self, owner: str, turns: Turns, turn: int) -> None:
        if turn == len(turns):
            self._tell(msg.Forget(owner))
            self.figures.makespan = self.clock.now
            return
        model, seconds = turns[turn]
        following = key(turns[turn + 1][0]) if turn + 1 < len(turns) else None
        number, asked = next(self._numbers), self.clock.now

        def granted() -> None:
            self.figures.waits.append(self.clock.now - asked)
            bypassed = self._scheduler.leases[number].bypassed
            self.figures.longest_bypass = max(self.figures.longest_bypass, bypassed)
            self.clock.after(seconds, released)

        def released() -> None:
            self._tell(msg.Release(number))
            self._next(owner, turns, turn + 1)

        self._granted[number] = granted
        self._tell(msg.Request(number, key(model), owner, following))

    def _tell(self, message: msg.Input) -> None:
        for effect in self._scheduler.handle(message, self.clock.now):
            match effect:
                case msg.Grant(ticket=number):
                    self._granted.pop(number)()
                case msg.Refuse(failure=failure):
                    raise failure.error()
                case msg.Prepare(weights=weights):
                    self._later(0, msg.Prepared(weights, 1, "gpu", load_seconds=self._load_seconds))
                case msg.StartLoad(weights=weights):
                    self.figures.loads += 1
                    self._later(self._load_seconds, msg.Loaded(weights, 1))
                case msg.StartUnload(weights=weights):
                    self._later(0, msg.Unloaded(weights))
        tick = self._scheduler.next_tick()
        if tick is not None and tick < self._wakes_at and self._scheduler.waiting:
            self._wakes_at = tick
            self.clock.after(tick - self.clock.now, self._wake)

    def _later(self, seconds: float, message: msg.Input) -> None:
        self.clock.after(seconds, lambda: self._tell(message))

    def _wake(self) -> None:
        self._wakes_at = float("inf")
        self._tell(msg.Tick())


def key(model: int) -> WeightsKey:
    return WeightsKey("fake", f"model-{model}")


def medians(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the median of each figure."""
    summaries = [run.summary() for run in runs]
    return {name: round(statistics.median(summary[name] for summary in summaries), 4) for name in summaries[0]}
