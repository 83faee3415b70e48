"""In which order to work, so that weights are swapped as seldom as possible. Pure: no threads, no clock.

Jobs that need the same weights form a group. A worker stays with the weights it has while there is work for them;
then it goes on with a group for which it has to fetch least, and parts first with the weights that have least work
left. Two agents a negotiation and two places make this a walk along the edges of the graph of who meets whom: with
all pairs of six models, 16 loads instead of up to 30.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Job = TypeVar("Job")
Weights = Hashable
Group = frozenset[Weights]


@dataclass
class Desk:
    """A worker as the order of work sees it: how many weights have room, which it works with, and what is running."""

    places: int
    weights: set[Weights] = field(default_factory=set)
    running: Counter[Weights] = field(default_factory=Counter)

    def begin(self, group: Group) -> None:
        """A job that needs these weights begins."""
        self.weights |= group
        self.running.update(group)

    def end(self, group: Group) -> None:
        """It ended."""
        self.running.subtract(group)


class Order(Generic[Job]):
    """The jobs that wait, for one or more desks."""

    def __init__(self) -> None:
        self._groups: dict[Group, deque[Job]] = {}
        self._wanted: Counter[Weights] = Counter()  # how many waiting jobs need each
        self._desks: list[Desk] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def desk(self, places: int) -> Desk:
        """A new worker; weights that do not fit (a pair, with one place) are worked on nevertheless."""
        self._desks.append(Desk(places))
        return self._desks[-1]

    def leave(self, desk: Desk) -> None:
        """A worker is no more."""
        self._desks.remove(desk)

    def add(self, job: Job, weights: Iterable[Weights]) -> None:
        """A job waits, behind the others that need the same."""
        group = frozenset(weights)
        self._groups.setdefault(group, deque()).append(job)
        self._wanted.update(group)

    def next(self, desk: Desk) -> tuple[Job, Group] | None:
        """A job to begin now, which no longer waits; None if it is better to wait until something running ends."""
        group = self._choose(desk)
        if group is None:
            return None
        desk.weights -= self._leaving(desk, group)
        desk.begin(group)
        jobs = self._groups[group]
        job = jobs.popleft()
        self._wanted.subtract(group)
        if not jobs:
            del self._groups[group]
        return job, group

    def _choose(self, desk: Desk) -> Group | None:
        ready = [group for group in self._groups if group <= desk.weights]
        together = [group for group in ready if len(group) > 1]
        if together:
            return max(together, key=self._size)
        others = [group for group in self._groups if not group <= desk.weights]
        fresh = min(others, key=lambda group: self._cost(group, desk), default=None)
        if fresh is not None:
            leaving = self._leaving(desk, fresh)
            busy = any(desk.running[weights] > 0 for weights in leaving)
            last = [group for group in ready if group and group <= leaving and self._work(group) <= self._size(group)]
            if not busy and not last:
                return fresh
            if last:  # before its weights leave for good
                return last[0]
        return max(ready, key=len, default=None)

    def _leaving(self, desk: Desk, group: Group) -> set[Weights]:
        """The weights that make room for a group: those with least work left."""
        if group <= desk.weights:
            return set()
        surplus = len(desk.weights | group) - max(desk.places, len(group))
        idle_first = sorted(desk.weights - group, key=lambda weights: self._wanted[weights])
        return set(idle_first[: max(surplus, 0)])

    def _cost(self, group: Group, desk: Desk) -> tuple[int, int, int]:
        """What to look at when choosing new weights: the fewest to fetch, what no other desk has, what ends soonest."""
        others = sum(group <= desk_.weights for desk_ in self._desks if desk_ is not desk)
        kept = group & desk.weights
        return len(group - desk.weights) - len(kept), others, self._work(kept) if kept else -self._size(group)

    def _work(self, weights: Iterable[Weights]) -> int:
        """How many waiting jobs need these weights, each counted for itself."""
        return sum(self._wanted[each] for each in weights)

    def _size(self, group: Group) -> int:
        return len(self._groups[group])
