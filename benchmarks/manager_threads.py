"""The workloads of benchmarks/manager.py with real threads, the real LLMManager and fake models.

`python -m benchmarks.manager_threads` runs them at a tenth of the times and prints one JSON line: the medians over
the seeds in seconds of the full-length evening, those of the simulation beside them, and whether they agree.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from benchmarks.manager import LOAD_SECONDS, PAIRS, PLACES
from benchmarks.support.simulation import Baseline, Figures, Ours, Turns, medians, turns_of
from manager.manager import LLMManager
from manager.state import State
from manager.status.snapshot import StatusEvent

SCALE = 0.1
SEEDS = range(3)
TOLERANCE = 0.1
"""Allowed relative difference of a median from the simulation's: threads wake late and in no fixed order."""

Hold = Callable[[str, int, int | None], AbstractContextManager[object]]
"""(owner, model, the owner's next model) -> a block in which the model may be used."""


class CommonManager:
    """One lock around loading, first come first served, evicting the least recently used idle model."""

    def __init__(self) -> None:
        self.loads = 0
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._queue: deque[int] = deque()
        self._users: dict[int, int] = {}  # loaded models, least recently used first -> users

    @contextmanager
    def hold(self, _owner: str, model: int, _following: int | None) -> Iterator[None]:
        with self._changed:
            number = next(self._numbers)
            self._queue.append(number)
            self._changed.wait_for(lambda: self._queue[0] == number and self._can_serve(model))
            cold = model not in self._users
            if cold:
                self.loads += 1
                if len(self._users) >= PLACES:
                    del self._users[next(other for other, users in self._users.items() if not users)]
        if cold:
            time.sleep(LOAD_SECONDS * SCALE)
        with self._changed:
            self._users[model] = self._users.pop(model, 0) + 1
            self._queue.popleft()
            self._changed.notify_all()
        yield
        with self._changed:
            self._users[model] -= 1
            self._changed.notify_all()

    def _can_serve(self, model: int) -> bool:
        return model in self._users or len(self._users) < PLACES or not all(self._users.values())


def evening(sessions: list[Turns], hold: Hold, forget: Callable[[str], None]) -> Figures:
    """Run all sessions at once, one thread each, and measure times; the caller counts loads."""
    figures = Figures()

    def run(owner: str, turns: Turns) -> None:
        for turn, (model, seconds) in enumerate(turns):
            following = turns[turn + 1][0] if turn + 1 < len(turns) else None
            asked = time.monotonic()
            with hold(owner, model, following):
                figures.waits.append((time.monotonic() - asked) / SCALE)
                time.sleep(seconds * SCALE)
        forget(owner)

    threads = [threading.Thread(target=run, args=(str(owner), turns)) for owner, turns in enumerate(sessions)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures.makespan = (time.monotonic() - started) / SCALE
    return figures


def threaded_baseline(sessions: list[Turns]) -> Figures:
    common = CommonManager()
    figures = evening(sessions, common.hold, lambda _owner: None)
    figures.loads = common.loads
    return figures


def threaded_ours(sessions: list[Turns]) -> Figures:
    models = {model for turns in sessions for model, _ in turns}
    configs = {str(model): {"type": "fake", "load_seconds": LOAD_SECONDS * SCALE} for model in models}
    with LLMManager(configs, PLACES) as manager:
        events = manager.subscribe(capacity=100_000)

        def hold(owner: str, model: int, following: int | None) -> AbstractContextManager[object]:
            return manager.lease(str(model), owner=owner, next_model=None if following is None else str(following))

        figures = evening(sessions, hold, manager.forget)
        while (event := events.get(0)) is not None:
            assert isinstance(event, StatusEvent)
            figures.loads += event.kind == "state" and event.state is State.LOADING
        return figures


def compare(seeds: range = SEEDS) -> dict[str, object]:
    """Return the medians of both contenders, threaded and simulated, and whether they agree."""
    evenings = [turns_of(PAIRS, seed) for seed in seeds]
    found = {
        "baseline": medians([threaded_baseline(turns) for turns in evenings]),
        "baseline_simulated": medians([Baseline(PLACES, LOAD_SECONDS).run(turns) for turns in evenings]),
        "ours": medians([threaded_ours(turns) for turns in evenings]),
        "ours_simulated": medians([Ours(PLACES, LOAD_SECONDS).run(turns) for turns in evenings]),
    }
    names = ["swaps_per_turn", "makespan", "wait_mean", "wait_p95"]
    table: dict[str, object] = {name: {who: found[who][name] for who in found} for name in names}
    off = max(
        abs(found[who][name] / found[f"{who}_simulated"][name] - 1) for who in ("baseline", "ours") for name in names
    )
    return {**table, "largest_difference": round(off, 3), "agree": off <= TOLERANCE}


if __name__ == "__main__":
    print(json.dumps(compare()))
