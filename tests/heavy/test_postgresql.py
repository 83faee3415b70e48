"""Runs and tournaments in a real PostgreSQL: the same promises as with SQLite."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.batch.executor import Threads
from negotiation.errors import StoreError
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import RunFilter, Store
from negotiation.scenario.model import Seat, load_scenarios
from negotiation.tournament import runner as tournament
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_export import to_json
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.store import TournamentStore

pytestmark = pytest.mark.heavy
SCENARIOS = load_scenarios(Path(__file__).resolve().parents[2] / "configs" / "scenarios")


def test_many_may_open_a_new_database_at_once(postgresql: str) -> None:
    barrier, failed = threading.Barrier(4), []

    def open_it() -> None:
        barrier.wait()
        try:
            Store(postgresql).close()
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_live_run_is_kept(postgresql: str) -> None:
    store = Store(postgresql)
    with LLMManager({"left": {"type": "fake"}}) as manager:
        live = LiveRuns(Catalog(manager), store)
        agents: dict[Seat, AgentConfig] = {"a": AgentConfig("left"), "b": AgentConfig("conceder")}
        run_id = live.start(
            Run(run_id="", scenario=SCENARIOS["joint_venture"], agents=agents, seed=2**62, owner="me"), background=True
        )
        watch = live.watch(run_id)
        if watch:
            list(watch)
        live.close()
    found = store.run(run_id)
    assert (found.status, found.seed, found.scenario) == ("done", 2**62, SCENARIOS["joint_venture"])
    assert found.turns
    assert [row.run_id for row in store.summaries(RunFilter(visible_to="me", own=True))] == [run_id]
    store.close()


def test_a_tournament_is_the_same_as_in_sqlite(postgresql: str, tmp_path: Path) -> None:
    boards = []
    with LLMManager({"left": {"type": "fake"}, "right": {"type": "fake"}}) as manager:
        catalog = Catalog(manager)
        given = TournamentFile(
            title="Cup", models="all", baselines=("boulware",), scenarios=("company_car", "job_offer"), pairs=3
        )
        asked = resolve(given, catalog, SCENARIOS)
        for url in (postgresql, f"sqlite:///{tmp_path / 'parley.db'}"):
            store = Store(url)
            kept = TournamentStore(store)
            key = tournament.begin(asked, kept, resume=False)
            running = tournament.run(asked, key, kept, catalog, Threads(catalog, 8), max_loaded=2)
            for _ in range(10):
                next(running)
            running.close()
            assert tournament.begin(asked, kept, resume=True) == key
            list(tournament.run(asked, key, kept, catalog, Threads(catalog, 8), max_loaded=2))
            games = kept.games(key)
            assert {played.game for played in games} == set(asked.games())
            assert not kept.record(key, games[0].game, replace(store.run(games[0].run_id), run_id="again"), 1)
            boards.append(to_json(Leaderboard(asked, games)))
            store.close()
    for board in boards:
        del board["model_by_model"], board["model_by_scenario"]  # they name runs
    assert boards[0] == boards[1]
