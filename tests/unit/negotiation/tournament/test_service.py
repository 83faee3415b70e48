"""The background tournament: one at a time, stopped, resumed, and watched by many."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from manager.config.strict_yaml import validate
from manager.errors import Busy, ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.comparison.votes import preferences, to_json, vote_contests
from negotiation.errors import StoreError, UnknownTournament
from negotiation.figures.points import points
from negotiation.runs.record import Run
from negotiation.runs.store import Store, Vote
from negotiation.scenario.model import Scenario
from negotiation.tournament import leaderboard_markdown
from negotiation.tournament.leaderboard_markdown import commit, hardware, to_markdown
from negotiation.tournament.plan import Tournament
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.service import Tournaments

Managers = Callable[..., LLMManager]


@pytest.fixture
def catalog(managers: Managers) -> Catalog:
    return Catalog(managers({"slow": {"tokens_per_second": 0.2}}))


@pytest.fixture
def tournaments(catalog: Catalog, store: Store) -> Iterator[Tournaments]:
    kept = Tournaments(catalog, store, 2)
    yield kept
    kept.stop(wait=True)


@pytest.fixture
def cup(catalog: Catalog, bike: Scenario) -> Callable[..., Tournament]:
    def make(**given: Any) -> Tournament:
        data = {"title": "Cup", "baselines": ["boulware", "conceder"], "pairs": 2, **given}
        return resolve(validate(TournamentFile, data, "cup"), catalog, {"bike": bike})

    return make


def wait(tournaments: Tournaments) -> None:
    if (thread := tournaments._thread) is not None:
        thread.join(60)
    assert tournaments.running() is None


def test_a_tournament_needs_no_watchers(tournaments: Tournaments, cup: Callable[..., Tournament]) -> None:
    key = tournaments.start(cup(), "me")
    wait(tournaments)
    (row,) = tournaments.store.newest()
    assert (row.tournament_id, row.title, row.owner, row.status) == (key, "Cup", "me", "done")
    counts = tournaments.store.counts(key)
    assert (counts.done, counts.failed) == (4, 0)
    assert {standing.agent for standing in tournaments.boards.of(key).standings} == {"boulware", "conceder"}


def test_one_tournament_runs_at_a_time_and_a_stopped_one_is_resumed(
    tournaments: Tournaments, cup: Callable[..., Tournament]
) -> None:
    asked = cup(models=["slow"])
    key = tournaments.start(asked, "me")
    running = tournaments.running()
    assert running is not None
    assert (running.tournament_id, running.owner, running.stopping) == (key, "me", False)
    with pytest.raises(Busy, match="another tournament is running"):
        tournaments.start(asked, "you")
    with pytest.raises(Busy):
        tournaments.resume(key, "you")
    tournaments.stop(wait=True)
    assert tournaments.running() is None
    assert tournaments.store.get(key).status == "stopped"
    played = {game.game: game.run_id for game in tournaments.store.games(key)}
    tournaments.resume(key, "you")
    tournaments.stop(wait=True)
    assert played.items() <= {game.game: game.run_id for game in tournaments.store.games(key)}.items()


def test_without_a_thread_it_is_refused_and_resumed_later(
    tournaments: Tournaments, cup: Callable[..., Tournament], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "tournament":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Busy, match="no room for more work now"):
            tournaments.start(cup(), "me")
    assert tournaments.running() is None
    (row,) = tournaments.store.newest()
    assert row.status == "stopped"
    tournaments.resume(row.tournament_id, "me")
    wait(tournaments)
    assert tournaments.store.get(row.tournament_id).status == "done"


def test_a_tournament_whose_end_was_not_recorded_can_be_resumed(
    tournaments: Tournaments, cup: Callable[..., Tournament], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("database is locked")

    with monkeypatch.context() as locked:
        locked.setattr(tournaments.store, "end", refuse)
        key = tournaments.start(cup(), "me")
        wait(tournaments)
    assert tournaments.store.get(key).status == "running"
    tournaments.resume(key, "me")
    wait(tournaments)
    assert tournaments.store.get(key).status == "done"


def test_only_an_unchanged_tournament_is_resumed(
    tournaments: Tournaments, cup: Callable[..., Tournament], managers: Managers, store: Store
) -> None:
    key = tournaments.start(cup(models=["slow"]), None)
    tournaments.stop(wait=True)
    with pytest.raises(UnknownTournament):
        tournaments.resume("nothing", None)
    changed = Tournaments(Catalog(managers({"slow": {"tokens_per_second": 9.0}})), store, 2)
    with pytest.raises(ConfigError, match="its models have changed"):
        changed.resume(key, None)
    gone = Tournaments(Catalog(managers({"other": {}})), store, 2)
    with pytest.raises(ConfigError, match=r"cannot be resumed: .*slow"):
        gone.resume(key, None)
    assert tournaments.store.get(key).status == "stopped"


def test_a_leaderboard_is_recomputed_only_after_games_have_ended(
    tournaments: Tournaments, cup: Callable[..., Tournament]
) -> None:
    key = tournaments.start(cup(), None)
    wait(tournaments)
    board = tournaments.boards.of(key)
    assert tournaments.boards.of(key) is board
    asked = cup(pairs=3)
    tournaments.store.resume(key, asked)
    tournaments._begin(asked, key, None)
    wait(tournaments)
    assert len(tournaments.boards.of(key).games) == 6


def test_the_markdown_names_commit_and_machine(tournaments: Tournaments, cup: Callable[..., Tournament]) -> None:
    key = tournaments.start(cup(), None)
    wait(tournaments)
    row, board = tournaments.store.get(key), tournaments.boards.of(key)
    page = to_markdown(row, board, tournaments.store.span(key), [], tournaments.store.played_with(key))
    assert page.startswith("# Leaderboard: Cup\n")
    for part in ("4 of 4, 0 failed", commit(), hardware(), "boulware", "bike", "## By scenario"):
        assert part in page
    standing = board.standings[0]
    assert standing.these.surplus is not None
    assert f"**{standing.agent}** | {points(standing.these.surplus.mean)} | [" in page


def test_without_a_checkout_the_leaderboard_names_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package may lie inside any other repository."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "leaderboard_markdown.py").touch()
    monkeypatch.setattr(leaderboard_markdown, "__file__", str(tmp_path / "leaderboard_markdown.py"))
    assert commit() == f"version {version('parley')}"


# -- votes -----------------------------------------------------------------------------------------------------

A, B, C = AgentConfig("boulware"), AgentConfig("conceder"), AgentConfig("linear")


def watched(store: Store, scenario: Scenario, name: str, *lanes: tuple[AgentConfig, AgentConfig]) -> None:
    for lane, (a, b) in enumerate(lanes, 1):
        store.begin(
            Run(run_id=f"{name} {lane}", scenario=scenario, agents={"a": a, "b": b}, seed=1, comparison=name, lane=lane)
        )


def test_a_blind_vote_is_a_contest_of_the_differing_agents(store: Store, bike: Scenario) -> None:
    watched(store, bike, "seat a", (A, C), (B, C))
    watched(store, bike, "seat b", (C, B), (C, A))
    watched(store, bike, "both", (A, B), (B, A))
    watched(store, bike, "neither", (A, B), (A, B))
    for number in range(6):
        store.vote(Vote("seat a", f"v{number}", "1", blind=True))
        store.vote(Vote("seat b", f"v{number}", "2", blind=True))
        store.vote(Vote("both", f"v{number}", "2", blind=True))
        store.vote(Vote("neither", f"v{number}", "2", blind=True))
    store.vote(Vote("seat a", "seeing", "2", blind=False))
    store.vote(Vote("seat a", "unsure", "tie", blind=True))
    store.vote(Vote("gone", "unsure", "1", blind=True))
    assert len(vote_contests(store)) == 13
    first, second = preferences(store)
    assert (first.agent, second.agent) == ("boulware", "conceder")
    assert (first.tally.wins, first.tally.draws, first.tally.losses) == (12, 1, 0)
    assert first.place.rank == 1
    assert second.place.rank == 2
    assert [row["rank"] for row in to_json([first, second])] == [1, 2]


def test_without_votes_there_are_no_preferences(store: Store) -> None:
    assert preferences(store) == []
