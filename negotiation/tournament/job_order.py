"""In which order to work, so that weights are swapped as seldom as possible. Pure: no threads, no clock.

Jobs that need the same weights form a group. A worker stays with the weights it has while there is work for them;
then it goes on with a group for which it has to fetch least, and parts first with the weights that have least work
left. Two agents a negotiation and two capacity make this a walk along the edges of the graph of who meets whom: with
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
class WorkerState:
    """A worker as the order of work sees it: how many weights have room, which it works with, and what is running."""

    capacity: int
    weights: set[Weights] = field(default_factory=set)
    running: Counter[Weights] = field(default_factory=Counter)

    def begin(self, group: Group) -> None:
        """A job that needs these weights begins."""
        self.weights |= group
        self.running.update(group)

    def end(self, group: Group) -> None:
        """It ended."""
        self.running.subtract(group)


class JobOrder(Generic[Job]):
    """The jobs that wait, for one or more workers."""

    def __init__(self) -> None:
        self._groups: dict[Group, deque[Job]] = {}
        self._wanted: Counter[Weights] = Counter()  # how many waiting jobs need each
        self._workers: list[WorkerState] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add_worker(self, capacity: int) -> WorkerState:
        """A new worker; weights that do not fit (a pair, with one place) are worked on nevertheless."""
        self._workers.append(WorkerState(capacity))
        return self._workers[-1]

    def remove_worker(self, worker: WorkerState) -> None:
        """A worker is no more."""
        self._workers.remove(worker)

    def add(self, job: Job, weights: Iterable[Weights]) -> None:
        """A job waits, behind the others that need the same."""
        group = frozenset(weights)
        self._groups.setdefault(group, deque()).append(job)
        self._wanted.update(group)

    def next(self, worker: WorkerState) -> tuple[Job, Group] | None:
        """A job to begin now, which no longer waits; None if it is better to wait until something running ends."""
        group = self._choose(worker)
        if group is None:
            return None
        worker.weights -= self._leaving(worker, group)
        worker.begin(group)
        jobs = self._groups[group]
        job = jobs.popleft()
        self._wanted.subtract(group)
        if not jobs:
            del self._groups[group]
        return job, group

    def _choose(self, worker: WorkerState) -> Group | None:
        ready = [group for group in self._groups if group <= worker.weights]
        together = [group for group in ready if len(group) > 1]
        if together:
            return max(together, key=self._size)
        others = [group for group in self._groups if not group <= worker.weights]
        fresh = min(others, key=lambda group: self._cost(group, worker), default=None)
        if fresh is not None:
            leaving = self._leaving(worker, fresh)
            busy = any(worker.running[weights] > 0 for weights in leaving)
            last = [group for group in ready if group and group <= leaving and self._work(group) <= self._size(group)]
            if not busy and not last:
                return fresh
            if last:  # before its weights leave for good
                return last[0]
        return max(ready, key=len, default=None)

    def _leaving(self, worker: WorkerState, group: Group) -> set[Weights]:
        """The weights that make room for a group: those with least work left."""
        if group <= worker.weights:
            return set()
        surplus = len(worker.weights | group) - max(worker.capacity, len(group))
        idle_first = sorted(worker.weights - group, key=lambda weights: self._wanted[weights])
        return set(idle_first[: max(surplus, 0)])

    def _cost(self, group: Group, worker: WorkerState) -> tuple[int, int, int]:
        """Return the sort key of new weights: few to load, then few other holders, then few jobs left."""
        others = sum(group <= other.weights for other in self._workers if other is not worker)
        kept = group & worker.weights
        return len(group - worker.weights) - len(kept), others, self._work(kept) if kept else -self._size(group)

    def _work(self, weights: Iterable[Weights]) -> int:
        """How many waiting jobs need these weights, each counted for itself."""
        return sum(self._wanted[each] for each in weights)

    def _size(self, group: Group) -> int:
        return len(self._groups[group])
