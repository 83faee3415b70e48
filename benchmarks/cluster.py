"""Throughput of a tournament on 1, 8 and 64 GPUs, and the next bottleneck: a simulation, checked against a run.

`python -m benchmarks.cluster` simulates tournaments with the real order of work (negotiation/tournament/job_order.py)
on workers like the one of benchmarks/tournament.py: two places, loads of 2 s, a fixed number of tokens a second,
faster in batches. Lengths of negotiations are those of the fakes, played without any delay. It prints a JSON line for
the benchmark's own tournament, simulated and measured on this machine (`--no-check` leaves that out), and one for
each number of workers with a larger one: 16 models on four scenarios. `busy` is the share of time in which a worker
writes, `driver` the share of time that the driving program needs to commit games, at the pace measured here.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.report import rounded
from benchmarks.tournament import (
    AT_ONCE,
    CONFIGS,
    LOAD_SECONDS,
    MODELS,
    PAIRS,
    SCENARIOS,
    TOKENS_PER_SECOND,
    fakes,
    gain,
    measure,
    plan,
)
from manager.cancel import CancelToken
from manager.config.registry import Registry
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import play
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import Store
from negotiation.scenario.model import load_scenarios
from negotiation.tournament.job_order import JobOrder, WorkerState
from negotiation.tournament.plan_file import resolve

PLACES = 2
Job = tuple[str, str, int]  # two models, and the tokens of the game


@dataclass
class Worker:
    """One GPU with the games it plays, in tokens still to write. All games advance at the same pace."""

    state: WorkerState
    ready: float = 0.0  # end of its last load
    games: list[tuple[float, frozenset[object]]] = field(
        default_factory=list
    )  # (tokens written at its end, its weights)
    written: float = 0.0  # tokens per game so far
    since: float = 0.0
    busy: float = 0.0
    version: int = 0

    @property
    def pace(self) -> float:
        """Return tokens per second for each game; each of the two models has half of the games."""
        playing = len(self.games)
        return TOKENS_PER_SECOND * gain(max(1, (playing + 1) // 2)) / playing if playing else 0.0

    def advance(self, now: float) -> None:
        """Advance all games to the present."""
        begin = max(self.since, self.ready)
        if now > begin and self.games:
            self.written += (now - begin) * self.pace
            self.busy += now - begin
        self.since = now

    def next_end(self) -> float:
        """Return when the next game ends."""
        return max(self.since, self.ready) + max(0.0, self.games[0][0] - self.written) / self.pace


def simulate(jobs: Iterable[Job], workers: int, at_once: int) -> dict[str, float]:
    """Simulate games on a number of workers: seconds, games per minute, loads, and utilisation of the workers."""
    order: JobOrder[int] = JobOrder()
    games = 0
    for x, y, tokens in jobs:
        order.add(tokens, {x, y})
        games += 1
    crew = [Worker(order.add_worker(PLACES)) for _ in range(workers)]
    events: list[tuple[float, int, int]] = []
    now, loads = 0.0, 0

    def fill(number: int) -> None:
        nonlocal loads
        worker = crew[number]
        while len(worker.games) < at_once:
            had = set(worker.state.weights)
            if (picked := order.next(worker.state)) is None:
                break
            tokens, group = picked
            fresh = len(group - had)
            loads += fresh
            if fresh:
                worker.ready = max(worker.ready, now) + fresh * LOAD_SECONDS
            heapq.heappush(worker.games, (worker.written + tokens, group))
        worker.version += 1
        if worker.games:
            heapq.heappush(events, (worker.next_end(), number, worker.version))

    for number in range(workers):
        fill(number)
    while events:
        at, number, version = heapq.heappop(events)
        worker = crew[number]
        if version != worker.version:
            continue
        now = at
        worker.advance(now)
        _, group = heapq.heappop(worker.games)
        worker.state.end(group)
        fill(number)
    busy = sum(worker.busy for worker in crew) / (now * workers)
    return {"seconds": now, "per_minute": games / now * 60, "loads": loads, "busy": busy}


def lengths(folder: Path) -> tuple[list[Job], float]:
    """Return the benchmark's games with their tokens, played without delay, and the seconds of a commit."""
    scenarios = load_scenarios(CONFIGS / "scenarios")
    quick = Registry({spec.model_id: spec.model_copy(update={"type": "fake"}) for spec in fakes(MODELS)})
    jobs: list[Job] = []
    done: list[Run] = []
    with LLMManager(quick, MODELS, cache_dir=folder) as manager:
        catalog = Catalog(manager)
        asked = resolve(plan(), catalog, scenarios)
        for game in asked.games():
            agents = {"a": asked.agents[game.a], "b": asked.agents[game.b]}
            run = Run(run_id=new_run_id(), scenario=scenarios[game.scenario_id], agents=agents, seed=game.seed)  # type: ignore[arg-type]
            done.append(play(catalog, run, CancelToken()))
            jobs.append((game.a, game.b, sum(max(1, len(turn.raw) // 4) for turn in done[-1].turns)))
    store = Store(f"sqlite:///{folder}/commits.db")
    began = time.monotonic()
    for run in done:
        store.record(run)
    seconds = (time.monotonic() - began) / len(done)
    store.close()
    return jobs, seconds


def larger(jobs: Sequence[Job], models: int) -> list[Job]:
    """Return a tournament of more models with games as long as the benchmark's."""
    chance = random.Random(1)
    each = 2 * PAIRS * len(SCENARIOS)
    names = [f"model-{number}" for number in range(models)]
    tokens = [job[2] for job in jobs]
    return [(x, y, chance.choice(tokens)) for x, y in itertools.combinations(names, 2) for _ in range(each)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs, commit = lengths(Path(folder))
        line = {"case": "the benchmark's tournament, one worker", **rounded(simulate(jobs, 1, AT_ONCE))}
        if not options.no_check:
            registry = Registry({spec.model_id: spec for spec in fakes(MODELS)})
            found = measure(registry, plan(), naive=False, cache_dir=Path(folder))
            line |= {"measured_per_minute": round(found.per_minute, 1), "measured_loads": found.loads}
        print(json.dumps(line))
        many = larger(jobs, 16)
        for workers in (1, 8, 64):
            figures = simulate(many, workers, AT_ONCE)
            driver = {"driver": figures["per_minute"] / 60 * commit}
            print(json.dumps({"workers": workers, "negotiations": len(many), **rounded({**figures, **driver})}))


if __name__ == "__main__":
    main()
