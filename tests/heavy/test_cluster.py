"""Tournaments on a Ray cluster of two nodes on this machine, with a worker killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import Executor, Threads
from negotiation.runs.store import Store
from negotiation.scenario.model import load_scenarios
from negotiation.tournament import runner as tournament
from negotiation.tournament.plan import Tournament
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.store import PlayedGame, TournamentStore

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]
ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = load_scenarios(ROOT / "configs" / "scenarios")
MODELS: dict[str, Any] = {name: {"type": "fake", "tokens_per_second": 400} for name in ("left", "right", "middle")}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a head and a second node, and connect this process to them."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="WARNING")
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def results(games: list[PlayedGame]) -> dict[Any, Any]:
    assert len({played.game for played in games}) == len(games)
    return {played.game: (played.status, played.moves, played.measures) for played in games}


@pytest.fixture
def asked(catalog: Catalog) -> Tournament:
    given = TournamentFile(
        title="Cup",
        models="all",
        baselines=("boulware",),
        scenarios=("company_car", "joint_venture"),
        pairs=4,
        limits={"at_once": 4, "retry_seconds": 0.1},  # type: ignore[arg-type]
    )
    return resolve(given, catalog, SCENARIOS)


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with LLMManager(MODELS) as manager:
        yield Catalog(manager)


def play(asked: Tournament, store: Store, catalog: Catalog, executor: Executor, kill: Any = None) -> dict[Any, Any]:
    kept = TournamentStore(store)
    key = tournament.begin(asked, kept, resume=False)
    for progress in tournament.run(asked, key, kept, catalog, executor, max_loaded=2):
        if kill:
            kill(progress)
    assert {played.game for played in kept.games(key)} == set(asked.games())
    return results(kept.games(key))


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    cluster: Any, asked: Tournament, catalog: Catalog, postgresql: str, tmp_path: Path
) -> None:
    """Two workers record into PostgreSQL, with the same values as an undisturbed run on one machine."""
    from negotiation.batch.ray_executor import WorkerSettings, ray_workers

    manager = catalog.manager
    specs = tuple(manager.spec(name) for name in MODELS)
    settings = WorkerSettings(specs, 2, {}, 256, 600.0, str(tmp_path / "cache"))
    workers: set[str] = set()
    killed: list[str] = []
    lost: list[str] = []
    local = Store(f"sqlite:///{tmp_path / 'parley.db'}")
    alone = play(asked, local, catalog, Threads(catalog, 4))
    local.close()
    shared = Store(postgresql)
    with ray_workers(settings, 4) as executor:

        def kill(progress: tournament.GameProgress) -> None:
            workers.update(executor.workers())
            if progress.status == "retrying":
                lost.append(progress.run.reason)
            if progress.done == 20 and not killed:
                killed.append(sorted(executor.workers())[0])
                os.kill(ray.get(executor.actor(killed[0]).process.remote()), signal.SIGKILL)

        together = play(asked, shared, catalog, executor, kill)
    assert together == alone
    assert len(workers) == 3  # one was lost and replaced
    assert lost
    assert all(f"worker {killed[0]} was lost" in reason for reason in lost)
    assert len({run.run_id for run in shared.summaries(limit=10_000)}) >= asked.size
    shared.close()
