"""Benefit of job order and concurrency in a tournament.

`python -m benchmarks.tournament` plays the same tournament twice through the same manager, agents and store:
- naive: the negotiations in file order, one after another, loading what each needs, and
- ours: `negotiation.tournament`,
and prints one JSON line. Six fake models (loads of 2 s, two slots) meet on four scenarios. The fakes share one device:
a model that serves k requests at once speeds up as SmolLM2 did on a CPU (19, 37, 72, 146 and 215 tokens per second at
batches of 1, 2, 4, 8 and 16, in a plain forward loop). Models that write concurrently share the device's time, so
sleeping in parallel gains nothing.

A second line repeats this with two aliases of the real SmolLM2 and two baselines on one scenario. `--fakes-only` skips
it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from manager.backends.base import register_backend
from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.config.registry import Registry
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.manager import LLMManager
from manager.state import State
from manager.status.snapshot import StatusEvent
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import Threads, play
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import Store
from negotiation.scenario.model import load_scenarios
from negotiation.tournament import runner as tournament
from negotiation.tournament.plan import Tournament, TournamentLimits
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.store import TournamentStore

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
BATCHES, SPEEDS = [1, 2, 4, 8, 16], [19, 37, 72, 146, 215]
TOKENS_PER_SECOND = 1500.0  # of the whole device, for one request
LOAD_SECONDS = 2.0
MODELS = 6
SCENARIOS = ("company_car", "compute_split", "joint_venture", "job_offer")
PAIRS = 4
AT_ONCE = 32
STEP_TOKENS = 8


class Device:
    """One device's time, shared by everything that writes on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Counter[str] = Counter()

    @contextmanager
    def writing(self, model_id: str) -> Iterator[None]:
        """Count a request as active on a model."""
        with self._lock:
            self._rows[model_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._rows[model_id] -= 1

    def seconds(self, model_id: str, tokens: int) -> float:
        """Return how long a model currently takes for some tokens of a request."""
        with self._lock:
            rows, models = self._rows[model_id], sum(count > 0 for count in self._rows.values())
        return tokens * rows * models / (TOKENS_PER_SECOND * gain(rows))


@cache
def gain(rows: int) -> float:
    """Return the throughput of a batch relative to one row."""
    return float(np.interp(rows, BATCHES, np.array(SPEEDS) / SPEEDS[0]))


DEVICE = Device()


class SharingFake(FakeModel):
    """A fake model that shares its device's throughput with the others."""

    def _write(self, request: GenerationRequest, stream: TokenStream) -> None:
        text = self._reply(request)
        with DEVICE.writing(self.spec.model_id):
            for begun in range(0, max(1, len(text) // 4), STEP_TOKENS):  # about four characters a token
                tokens = min(STEP_TOKENS, max(1, len(text) // 4) - begun)
                stream.cancel_token.wait(DEVICE.seconds(self.spec.model_id, tokens))
        super()._write(request, stream)


register_backend("sharing", SharingFake)


def fakes(count: int) -> list[ModelSpec]:
    """Return a number of fake models on one device."""
    names = [f"model-{number}" for number in range(count)]
    return [ModelSpec(model_id=name, model_name=name, type="sharing", load_seconds=LOAD_SECONDS) for name in names]


def plan() -> TournamentFile:
    """Return the tournament of the fakes."""
    limits = TournamentLimits(at_once=AT_ONCE)
    return TournamentFile(title="Fakes", models="all", scenarios=SCENARIOS, pairs=PAIRS, limits=limits)


@dataclass(frozen=True)
class Figures:
    """The cost of a tournament."""

    negotiations: int
    seconds: float
    loads: int

    @property
    def per_minute(self) -> float:
        """Return negotiations per minute."""
        return self.negotiations / self.seconds * 60


def measure(specs: Registry, given: TournamentFile, *, naive: bool, cache_dir: Path) -> Figures:
    """Play a tournament once, with all models cold."""
    with tempfile.TemporaryDirectory() as folder, LLMManager(specs, 2, cache_dir=cache_dir) as manager:
        catalog = Catalog(manager)
        asked = resolve(given, catalog, load_scenarios(CONFIGS / "scenarios"))
        store = Store(f"sqlite:///{folder}/parley.db")
        happened = manager.subscribe(1_000_000)
        began = time.monotonic()
        played = _naive(asked, catalog, store) if naive else _ours(asked, catalog, store)
        seconds = time.monotonic() - began
        store.close()
        manager.cleanup()  # ends the subscription
        states = [event.state for event in happened if isinstance(event, StatusEvent) and event.kind == "state"]
        return Figures(played, seconds, states.count(State.LOADING))


def _naive(asked: Tournament, catalog: Catalog, store: Store) -> int:
    played = 0
    for game in asked.games():
        agents = {"a": asked.agents[game.a], "b": asked.agents[game.b]}
        run = Run(run_id=new_run_id(), scenario=asked.scenarios[game.scenario_id], agents=agents, seed=game.seed)  # type: ignore[arg-type]
        done = play(catalog, run, CancelToken())
        assert done.status == "done", done.reason
        store.record(done)
        played += 1
    return played


def _ours(asked: Tournament, catalog: Catalog, store: Store) -> int:
    kept = TournamentStore(store)
    executor = Threads(catalog, asked.limits.at_once)
    key = tournament.begin(asked, kept, resume=False)
    played = list(tournament.run(asked, key, kept, catalog, executor, max_loaded=2))
    assert all(progress.status == "done" for progress in played)
    return len(played)


def compare(name: str, specs: Registry, given: TournamentFile, cache_dir: Path) -> dict[str, object]:
    """Return both ways of playing, side by side."""
    naive = measure(specs, given, naive=True, cache_dir=cache_dir)
    ours = measure(specs, given, naive=False, cache_dir=cache_dir)
    assert naive.negotiations == ours.negotiations
    return {
        "benchmark": name,
        "negotiations": ours.negotiations,
        "naive_per_minute": round(naive.per_minute, 1),
        "ours_per_minute": round(ours.per_minute, 1),
        "naive_loads": naive.loads,
        "ours_loads": ours.loads,
        "naive_seconds": round(naive.seconds, 1),
        "ours_seconds": round(ours.seconds, 1),
        "ratio": round(ours.per_minute / naive.per_minute, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fakes-only", action="store_true")
    options = parser.parse_args()
    registry = Registry({spec.model_id: spec for spec in fakes(MODELS)})
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compare("tournament of fakes", registry, plan(), Path(folder))))
        sys.stdout.flush()
        if options.fakes_only:
            return
        shipped = Registry.from_yaml(CONFIGS / "models.yaml")
        real = {spec.model_id: spec for spec in shipped if spec.model_id.startswith("smollm2-") and spec.gguf_file}
        some = TournamentFile(
            title="Real", models="all", baselines=("boulware", "conceder"), scenarios=("company_car",), pairs=1
        )
        with LLMManager(Registry(real), cache_dir=folder) as manager:  # converts the weights for both
            manager.load_model(next(iter(real)))
        print(json.dumps(compare("tournament of SmolLM2 and baselines", Registry(real), some, Path(folder))))


if __name__ == "__main__":
    main()
