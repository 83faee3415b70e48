"""An order of jobs that swaps weights as rarely as possible. Pure: no threads, no clock.

Jobs that need the same weights form a group. A worker keeps its weights while there is work for them; then it takes
the group with the fewest weights to load, and first unloads those with the least work left. With two agents per
negotiation and two resident weights, this is a walk along the edges of the graph of pairings: all pairs of six models
take 16 loads instead of up to 30.
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
    """A worker: how many weights it can hold, which it holds, and how many running jobs use each."""

    capacity: int
    weights: set[Weights] = field(default_factory=set)
    running: Counter[Weights] = field(default_factory=Counter)

    def begin(self, group: Group) -> None:
        """Count a job that starts and needs these weights."""
        self.weights |= group
        self.running.update(group)

    def end(self, group: Group) -> None:
        """Count a job that ended."""
        self.running.subtract(group)


class JobOrder(Generic[Job]):
    """The waiting jobs of one or more workers."""

    def __init__(self) -> None:
        self._groups: dict[Group, deque[Job]] = {}
        self._wanted: Counter[Weights] = Counter()  # how many waiting jobs need each model's weights
        self._workers: list[WorkerState] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add_worker(self, capacity: int) -> WorkerState:
        """Add a worker; a group larger than its capacity is still worked on."""
        self._workers.append(WorkerState(capacity))
        return self._workers[-1]

    def remove_worker(self, worker: WorkerState) -> None:
        """Remove a worker that was lost."""
        self._workers.remove(worker)

    def add(self, job: Job, weights: Iterable[Weights]) -> None:
        """Add a job behind the others that need the same weights."""
        group = frozenset(weights)
        self._groups.setdefault(group, deque()).append(job)
        self._wanted.update(group)

    def next(self, worker: WorkerState) -> tuple[Job, Group] | None:
        """Take the job to start now; None if it is better to wait until a running one ends."""
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
            if last:  # before its weights are unloaded for good
                return last[0]
        return max(ready, key=len, default=None)

    def _leaving(self, worker: WorkerState, group: Group) -> set[Weights]:
        """Return the weights to unload for a group: those with the least work left."""
        if group <= worker.weights:
            return set()
        surplus = len(worker.weights | group) - max(worker.capacity, len(group))
        idle_first = sorted(worker.weights - group, key=lambda weights: self._wanted[weights])
        return set(idle_first[: max(surplus, 0)])

    def _cost(self, group: Group, worker: WorkerState) -> tuple[int, int, int]:
        """Return the sort key of new weights: few to load, then few other holders, then few jobs left."""
        others = sum(group <= other.weights for other in self._workers if other is not worker)
        shared = group & worker.weights
        return len(group - worker.weights) - len(shared), others, self._work(shared) if shared else -self._size(group)

    def _work(self, weights: Iterable[Weights]) -> int:
        """Return how many waiting jobs need each of these weights, in total."""
        return sum(self._wanted[each] for each in weights)

    def _size(self, group: Group) -> int:
        return len(self._groups[group])
