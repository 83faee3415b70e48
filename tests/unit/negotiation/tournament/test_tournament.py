"""Tournaments: every game once, whatever happens; stored with their runs; resumed with the missing games."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from manager.cancel import CancelToken
from manager.config.strict_yaml import validate
from manager.errors import ConfigError, ParleyError
from manager.manager import LLMManager
from manager.state import State
from manager.status.snapshot import StatusEvent
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import Threads
from negotiation.batch.executor import play as run_to_end
from negotiation.cli.main import main
from negotiation.errors import StoreError, UnknownTournament
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario
from negotiation.tournament import runner as tournament
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.plan import Game, Meeting, Tournament
from negotiation.tournament.plan_file import TournamentFile, load_tournament, resolve
from negotiation.tournament.runner import GameProgress
from negotiation.tournament.store import PlayedGame, TournamentStore

ROOT = Path(__file__).resolve().parents[4]
Managers = Callable[..., LLMManager]
Make = Callable[..., Tournament]


@pytest.fixture
def catalog(managers: Managers) -> Catalog:
    return Catalog(managers({"left": {}, "right": {}, "broken": {"fail_loads": 99}, "shy": {"fail_loads": 1}}))


@pytest.fixture
def scenarios(bike: Scenario, of_points: Callable[..., Scenario]) -> dict[str, Scenario]:
    return {"bike": bike, "points": of_points((1, 0), (0.6, 0.7), (0, 1), reservation=(0.2, 0.1))}


@pytest.fixture
def make(catalog: Catalog, scenarios: dict[str, Scenario]) -> Make:
    """Makes a tournament from the keys of its file."""

    def resolved(**given: Any) -> Tournament:
        data = {"title": "Cup", "models": ["left"], "baselines": ["boulware", "conceder"], **given}
        if "seeds" not in data:
            data.setdefault("pairs", 2)
        data.setdefault("limits", {"retry_seconds": 0})
        return resolve(validate(TournamentFile, data, "cup.yaml"), catalog, scenarios, "cup.yaml")

    return resolved


@pytest.fixture
def kept(store: Store) -> TournamentStore:
    return TournamentStore(store)


Play = Callable[..., list[GameProgress]]


@pytest.fixture
def play(catalog: Catalog, kept: TournamentStore) -> Play:
    """Plays (or resumes) a tournament on threads."""

    def played(asked: Tournament, tournament_id: str, **options: Any) -> list[GameProgress]:
        executor = options.pop("executor", None) or Threads(catalog, options.pop("at_once", 4))
        return list(tournament.run(asked, tournament_id, kept, catalog, executor, max_loaded=2, **options))

    return played


def results(games: list[PlayedGame]) -> dict[Game, Any]:
    """Return the results of each game, without durations."""
    assert len({played.game for played in games}) == len(games)
    return {played.game: (played.status, played.moves, played.agreement, played.measures) for played in games}


# -- the plan --------------------------------------------------------------------------------------------------


def test_every_two_agents_meet_on_every_scenario_with_every_seed_in_both_seats(make: Make) -> None:
    asked = make(seeds=[3, 8])
    games = list(asked.games())
    assert len(games) == len(set(games)) == asked.size == 3 * 2 * 2 * 2
    assert Counter(game.meeting for game in games).most_common(1)[0][1] == 2
    assert {game.seed for game in games} == {3, 8}
    assert all(game.a != game.b for game in games)


def test_without_mirrored_seats_the_first_agent_has_seat_a(make: Make) -> None:
    asked = make(mirrored=False)
    names = list(asked.agents)
    assert asked.size == len(list(asked.games())) == 12
    assert all(names.index(game.a) < names.index(game.b) for game in asked.games())
    assert [game.meeting for game in asked.games_of(Meeting("bike", "boulware", "left", 1))] == [
        Meeting("bike", "boulware", "left", 1)
    ]


def test_pairs_are_seeds_from_one(make: Make) -> None:
    assert make(pairs=3).seeds == (1, 2, 3)


def test_all_names_all(make: Make, catalog: Catalog) -> None:
    everybody = make(models="all", baselines="all")
    assert len(everybody.agents) == len(catalog.choices())
    assert list(everybody.scenarios) == ["bike", "points"]


def test_models_may_have_options_and_be_unconstrained(make: Make) -> None:
    narrator = {"agent": "left", "options": {"narrates": "boulware"}}
    asked = make(models=["left", narrator], constrained=False)
    assert set(asked.agents) == {
        "left (guard=free)",
        "left (guard=free, narrates=boulware)",
        "boulware",
        "conceder",
    }
    assert asked.agents["left (guard=free)"].options["guard"] == "free"
    assert make().agents["left"].options["guard"] == "legal"


def test_rounds_replace_the_deadlines_of_all_scenarios(make: Make, play: Play, kept: TournamentStore) -> None:
    assert {scenario.rounds for scenario in make(models=[], rounds=1000).scenarios.values()} == {1000}
    scripts = make(models=[], rounds=200, pairs=1)
    assert scripts.digest != make(models=[], pairs=1).digest
    key = tournament.begin(scripts, kept, resume=False)
    play(scripts, key)
    assert kept.get(key).tournament == scripts
    assert {played.status for played in kept.games(key)} == {"done"}
    assert {scenario.rounds for scenario in make(rounds=100).scenarios.values()} == {100}


def test_scripts_may_have_options(make: Make) -> None:
    asked = make(models=[], baselines=["micro", {"agent": "micro", "options": {"gives_in": True}}])
    assert list(asked.agents) == ["micro", "micro (gives_in=True)"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"pairs": 0}, "key 'pairs'"),
        ({"rounds": 101}, "key 'rounds': models can play at most 100 rounds"),
        ({"rounds": 1001}, "key 'rounds'"),
        ({"baselines": [{"agent": "micro", "options": {"guard": "free"}}]}, "key 'guard': unknown key"),
        ({"pairs": 2, "seeds": [1]}, "either pairs"),
        ({"seeds": []}, "key 'seeds': the list is empty"),
        ({"seeds": [1, 1]}, "'1' is listed twice"),
        ({"seeds": [-1]}, "key 'seeds"),
        ({"models": ["nobody"]}, "key 'models': unknown model 'nobody'; choose from: left"),
        ({"baselines": ["nobody"]}, "key 'baselines': unknown strategy 'nobody'"),
        ({"scenarios": ["nowhere"]}, "key 'scenarios': unknown scenario 'nowhere'"),
        ({"models": [], "baselines": ["boulware"]}, "at least two agents"),
        ({"models": ["left", {"agent": "left"}]}, "an agent is listed twice"),
        ({"models": ["left", "left"]}, "'left' is listed twice"),
        ({"models": [{"agent": "left", "options": {"gard": "free"}}]}, "gard"),
        ({"mirored": True}, "unknown key (known: title, models"),
        ({"mirrored": "yes"}, "key 'mirrored'"),
        ({"limits": {"at_once": 0}}, "key 'limits.at_once'"),
        ({"adaptive": {"first": 1}}, "key 'adaptive.first': unknown key (known: first_pairs"),
        ({"title": ""}, "key 'title'"),
    ],
)
def test_what_is_wrong_is_named(make: Make, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        make(**given)


def test_the_shipped_tournaments_are_sound(managers: Managers, shipped: dict[str, Scenario]) -> None:
    models = yaml.safe_load((ROOT / "configs" / "models.yaml").read_text())
    catalog = Catalog(managers({name: {} for name in models}))
    files = sorted((ROOT / "configs" / "tournaments").glob("*.yaml"))
    assert files
    for path in files:
        assert load_tournament(path, catalog, shipped).size > 0


def test_a_tournament_is_written_and_read_back(make: Make) -> None:
    asked = make(adaptive={"first_pairs": 1}, limits={"minutes": 5})
    assert Tournament.from_json(json.loads(json.dumps(asked.to_json())), asked.digest) == asked


def test_the_digest_covers_everything_that_affects_games(make: Make) -> None:
    same = [make(), make(pairs=9), make(seeds=[4]), make(limits={"at_once": 1}), make(adaptive={})]
    other = [make(), make(title="Other"), make(mirrored=False), make(models=["right"]), make(scenarios=["bike"])]
    other.append(make(models=[{"agent": "left", "options": {"guard": "rational"}}]))
    assert len({asked.digest for asked in same}) == 1
    assert len({asked.digest for asked in other}) == len(other)


# -- playing ---------------------------------------------------------------------------------------------------


def test_every_game_is_played_once_and_stored_with_its_run(
    make: Make, play: Play, kept: TournamentStore, store: Store
) -> None:
    asked = make()
    told = play(asked, key := tournament.begin(asked, kept, resume=False))
    assert [progress.done for progress in told] == list(range(1, asked.size + 1))
    assert {progress.game for progress in told} == set(asked.games())
    assert {(progress.status, progress.total) for progress in told} == {("done", asked.size)}
    assert told[-1].seconds_left == 0
    games = kept.games(key)
    assert {played.game for played in games} == set(asked.games())
    for played in games:
        run = store.run(played.run_id)
        assert (run.agents["a"].agent, run.agents["b"].agent, run.seed) == (
            played.game.a,
            played.game.b,
            played.game.seed,
        )
        assert run.scenario.scenario_id == played.game.scenario_id
        assert (run.status, run.measures, run.agreement) == ("done", played.measures, played.agreement)
        assert run.turns
    assert kept.get(key).status == "done"


def test_it_is_played_the_same_again(make: Make, play: Play, kept: TournamentStore) -> None:
    asked = make(models=["left", "right"])
    keys = [tournament.begin(asked, kept, resume=False) for _ in range(2)]
    for key, at_once in zip(keys, (1, 7), strict=True):
        play(asked, key, at_once=at_once)
    assert results(kept.games(keys[0])) == results(kept.games(keys[1]))


@pytest.mark.parametrize("after", [1, 7, 23])
def test_a_stopped_tournament_resumes_with_its_missing_games(
    make: Make, play: Play, kept: TournamentStore, catalog: Catalog, after: int
) -> None:
    asked = make(models=["left"], pairs=2)
    play(asked, whole := tournament.begin(asked, kept, resume=False))
    key = tournament.begin(asked, kept, resume=False)
    running = tournament.run(asked, key, kept, catalog, Threads(catalog, 3), max_loaded=2)
    for _ in range(after):
        next(running)
    running.close()
    assert kept.get(key).status == "stopped"
    before = {played.game for played in kept.games(key)}
    assert len(before) == after
    assert tournament.begin(asked, kept, resume=True) == key
    told = play(asked, key)
    assert {progress.game for progress in told} == set(asked.games()) - before
    assert results(kept.games(key)) == results(kept.games(whole))
    assert kept.get(key).status == "done"


def test_a_finished_tournament_can_get_more_pairs(make: Make, play: Play, kept: TournamentStore) -> None:
    key = tournament.begin(make(pairs=1), kept, resume=False)
    first = play(make(pairs=1), key)
    assert tournament.begin(make(pairs=1), kept, resume=True) == key
    assert play(make(pairs=1), key) == []
    assert tournament.begin(make(pairs=3), kept, resume=True) == key
    more = play(make(pairs=3), key)
    assert len(first) + len(more) == make(pairs=3).size
    assert kept.get(key).tournament.seeds == (1, 2, 3)


def test_resuming_starts_a_tournament_if_there_is_none(make: Make, kept: TournamentStore) -> None:
    key = tournament.begin(make(), kept, resume=True)
    assert kept.newest()[0].tournament_id == key


def test_a_changed_tournament_is_not_resumed(make: Make, play: Play, kept: TournamentStore) -> None:
    play(make(pairs=1), tournament.begin(make(pairs=1), kept, resume=False))
    with pytest.raises(ConfigError, match="cannot be resumed: its agents, their settings"):
        tournament.begin(make(pairs=1, mirrored=False), kept, resume=True)


def test_two_processes_do_not_run_the_same_tournament(make: Make, kept: TournamentStore) -> None:
    key = tournament.begin(make(), kept, resume=False)  # this process runs it
    with pytest.raises(StoreError, match=f"'{key}' is already running"):
        tournament.begin(make(), kept, resume=True)


def test_cancelling_stops_it(make: Make, catalog: Catalog, kept: TournamentStore) -> None:
    cancel, asked = CancelToken(), make(pairs=5)
    key = tournament.begin(asked, kept, resume=False)
    seen = 0
    for _ in tournament.run(asked, key, kept, catalog, Threads(catalog, 2), max_loaded=2, cancel=cancel):
        seen += 1
        if seen == 3:
            cancel.cancel()
    assert seen == 3
    assert (kept.get(key).status, kept.get(key).reason) == ("stopped", "stopped by its owner")


def test_it_stops_when_its_time_is_over(make: Make, catalog: Catalog, kept: TournamentStore) -> None:
    asked = make(pairs=5, limits={"minutes": 1})
    key = tournament.begin(asked, kept, resume=False)
    now = iter(range(0, 100_000, 7))
    told = list(tournament.run(asked, key, kept, catalog, Threads(catalog, 2), max_loaded=2, clock=lambda: next(now)))
    assert 0 < len(told) < asked.size
    assert "its time limit of 1 min" in kept.get(key).reason


# -- failures --------------------------------------------------------------------------------------------------


class Flaky(Threads):
    """Threads on which games fail by a rule: (how often this game was tried, from 1) -> whether it fails."""

    def __init__(self, catalog: Catalog, fails: Callable[[int], bool]) -> None:
        super().__init__(catalog, 3)
        self.tries: Counter[tuple[Any, ...]] = Counter()
        self._fails = fails

    def take(self, timeout: float) -> Run | None:
        run = super().take(timeout)
        if run is None:
            return None
        key = run.scenario.scenario_id, run.agents["a"].label, run.agents["b"].label, run.seed
        self.tries[key] += 1
        return replace(run, status="failed", reason="a fault", measures=None) if self._fails(self.tries[key]) else run


def test_failed_games_are_retried(make: Make, play: Play, catalog: Catalog, kept: TournamentStore) -> None:
    asked = make()
    key = tournament.begin(asked, kept, resume=False)
    told = play(asked, key, executor=Flaky(catalog, lambda tries: tries <= 2))
    assert Counter(progress.status for progress in told) == {"done": asked.size, "retrying": 2 * asked.size}
    assert {played.attempts for played in kept.games(key)} == {3}
    assert kept.get(key).reason == ""


def test_games_that_fail_for_good_are_reported_and_retried_when_resumed(
    make: Make, play: Play, catalog: Catalog, kept: TournamentStore
) -> None:
    asked = make(limits={"retries": 1, "retry_seconds": 0})
    key = tournament.begin(asked, kept, resume=False)
    told = play(asked, key, executor=Flaky(catalog, lambda tries: True))
    assert Counter(progress.status for progress in told) == {"retrying": asked.size, "failed": asked.size}
    board = Leaderboard(asked, kept.games(key))
    assert [(played.reason, played.attempts) for played in board.failed] == [("a fault", 2)] * asked.size
    assert kept.get(key).reason == f"failed games: {asked.size}"
    assert tournament.begin(asked, kept, resume=True) == key
    assert len(play(asked, key)) == asked.size
    assert {played.status for played in kept.games(key)} == {"done"}


def test_a_model_that_cannot_be_loaded_does_not_stop_the_others(
    make: Make, play: Play, catalog: Catalog, kept: TournamentStore
) -> None:
    asked = make(models=["left", "broken"], pairs=1, limits={"retries": 0})
    key = tournament.begin(asked, kept, resume=False)
    play(asked, key)
    by_status = Counter(played.status for played in kept.games(key))
    assert by_status == {"done": 12, "failed": 12}
    for played in kept.games(key):
        assert ("broken" in (played.game.a, played.game.b)) == (played.status == "failed")


def test_retries_wait_longer_each_time(make: Make, catalog: Catalog, kept: TournamentStore) -> None:
    """With a clock that moves one step, nothing is retried before it is due."""
    asked = make(pairs=1, models=[], scenarios=["bike"], limits={"retry_seconds": 10})
    key, now, due = tournament.begin(asked, kept, resume=False), [0.0], list[float]()
    executor = Flaky(catalog, lambda tries: tries <= 2)
    submit = executor.submit

    def noted(run: Run, worker: str = "here") -> None:
        due.append(now[0])
        submit(run, worker)

    executor.submit = noted  # type: ignore[method-assign]
    retrying = 0
    for progress in tournament.run(asked, key, kept, catalog, executor, max_loaded=2, clock=lambda: now[0]):
        retrying += progress.status == "retrying"
        if progress.status == "retrying" and retrying % 2 == 0:  # both games wait
            now[0] += 10 * 2 ** (retrying // 2 - 1)
    assert due == [0, 0, 10, 10, 30, 30]


def test_without_workers_it_fails_and_can_be_resumed(
    make: Make, play: Play, catalog: Catalog, kept: TournamentStore
) -> None:
    class Nobody(Threads):
        def workers(self) -> Mapping[str, int]:
            return {}

    asked = make(pairs=1)
    key = tournament.begin(asked, kept, resume=False)
    with pytest.raises(ParleyError, match="no worker is left"):
        play(asked, key, executor=Nobody(catalog, 1))
    assert kept.get(key).status == "failed"
    assert tournament.begin(asked, kept, resume=True) == key


def test_a_game_is_recorded_once(make: Make, kept: TournamentStore, store: Store, make_run: Callable[..., Run]) -> None:
    key, game = tournament.begin(make(), kept, resume=False), Game("bike", "left", "boulware", 1)
    assert kept.record(key, game, make_run("run-1", status="failed", reason="a fault"), 1)
    assert kept.record(key, game, make_run("run-2", status="done"), 2)
    assert not kept.record(key, game, make_run("run-3", status="done"), 3)
    assert [(played.run_id, played.status, played.attempts) for played in kept.games(key)] == [("run-2", "done", 2)]
    assert {run.run_id for run in store.summaries()} == {"run-1", "run-2"}


def test_an_unknown_tournament_is_an_error(kept: TournamentStore) -> None:
    with pytest.raises(UnknownTournament, match="no tournament 'none'"):
        kept.get("none")
    assert kept.latest() is None


# -- adaptive --------------------------------------------------------------------------------------------------


def test_adaptive_tournaments_start_everywhere_and_stay_within_budget(
    make: Make, play: Play, kept: TournamentStore
) -> None:
    asked = make(models=["left", "right"], pairs=20, adaptive={"negotiations": 60, "close_points": 0})
    key = tournament.begin(asked, kept, resume=False)
    told = play(asked, key)
    games = {played.game for played in kept.games(key)}
    assert len(told) == len(games) == 60
    assert {game.meeting for game in games} >= {game.meeting for game in asked.games() if game.seed == 1}
    assert set(Counter(game.meeting for game in games).values()) == {2}
    assert tournament.begin(asked, kept, resume=True) == key
    assert play(asked, key) == []


def test_adaptive_tournaments_end_when_all_is_close_enough(make: Make, play: Play, kept: TournamentStore) -> None:
    asked = make(pairs=50, adaptive={"close_points": 200})
    key = tournament.begin(asked, kept, resume=False)
    assert len(play(asked, key)) == 3 * 2 * 2
    assert kept.get(key).status == "done"


class Straggling:
    """An Executor with four slots, where the first run to be submitted ends last of all."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._waiting = catalog, list[Run]()

    def workers(self) -> Mapping[str, int]:
        return {"here": 4}

    def submit(self, run: Run, worker: str) -> None:
        self._waiting.append(run)
        assert len(self._waiting) <= 4

    def expect(self, worker: str, models: Collection[str]) -> None:
        pass

    def take(self, timeout: float) -> Run | None:
        return run_to_end(self._catalog, self._waiting.pop(), CancelToken()) if self._waiting else None

    def close(self) -> None:
        pass


def test_adaptive_tournaments_do_not_wait_for_a_straggler(
    make: Make, play: Play, kept: TournamentStore, catalog: Catalog
) -> None:
    given = {"models": [], "baselines": ["random", "boulware"], "scenarios": ["bike"], "pairs": 20}
    asked = make(**given, adaptive={"negotiations": 20, "close_points": 0})
    told = play(asked, tournament.begin(asked, kept, resume=False), executor=Straggling(catalog))
    assert len(told) == 20
    assert told[-1].game.seed == 1


# -- swaps -----------------------------------------------------------------------------------------------------


def test_models_are_swapped_as_rarely_as_possible(
    managers: Managers, scenarios: dict[str, Scenario], kept: TournamentStore
) -> None:
    """Four models, room for two: the six pairings take seven loads in any order."""
    manager = managers({name: {} for name in "wxyz"}, max_loaded_models=2)
    catalog = Catalog(manager)
    given = {"title": "Swaps", "models": list("wxyz"), "baselines": ["boulware"], "pairs": 2}
    asked = resolve(validate(TournamentFile, given, ""), catalog, scenarios)
    key = tournament.begin(asked, kept, resume=False)
    happened = manager.subscribe(100_000)
    list(tournament.run(asked, key, kept, catalog, Threads(catalog, 6), max_loaded=2))
    manager.cleanup()  # ends the subscription
    states = [event.state for event in happened if isinstance(event, StatusEvent) and event.kind == "state"]
    assert states.count(State.LOADING) == 7


# -- killed ----------------------------------------------------------------------------------------------------

DRIVER = """
import sys
from negotiation.cli.main import main
sys.exit(main(["tournament", sys.argv[1], "--resume"]))
"""


def test_killed_at_random_points_it_ends_as_if_undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each game exactly once, and the same values."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(yaml.safe_dump({"left": {"type": "fake"}, "right": {"type": "fake"}}))
    cup = tmp_path / "cup.yaml"
    cup.write_text(
        yaml.safe_dump(
            {"title": "Cup", "models": ["left", "right"], "baselines": ["boulware"], "scenarios": ["joint_venture"],
             "pairs": 12, "limits": {"at_once": 4}}
        )
    )  # fmt: skip

    def start() -> subprocess.Popen[str]:
        environment = {**os.environ, "PARLEY_HOME": str(tmp_path / "killed"), "PYTHONPATH": str(ROOT)}
        arguments = [sys.executable, "-c", DRIVER, str(cup)]
        return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)

    def finish(home: str) -> int:
        monkeypatch.setenv("PARLEY_HOME", str(tmp_path / home))
        return main(["tournament", str(cup), "--resume", "--json", str(tmp_path / f"{home}.json")])

    monkeypatch.setenv("PARLEY_CONFIG", str(configs))
    assert finish("whole") == 0
    chance, lines = random.Random(5), 0
    for _ in range(3):
        killed = start()
        assert killed.stderr is not None
        for _ in range(chance.randint(1, 4)):  # the first line, then one for every tenth of it
            lines += bool(killed.stderr.readline())
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert lines >= 3
    assert finish("killed") == 0
    found = []
    for home in ("whole", "killed"):
        store = Store(f"sqlite:///{tmp_path / home / 'data' / 'parley.db'}")
        kept = TournamentStore(store)
        (row,) = kept.newest()
        games = kept.games(row.tournament_id)
        assert {played.game for played in games} == set(kept.get(row.tournament_id).tournament.games())
        assert len(store.summaries(limit=1000)) == len(games)
        found.append(results(games))
        store.close()
    assert found[0] == found[1]
    whole, again = (json.loads((tmp_path / f"{home}.json").read_text()) for home in ("whole", "killed"))
    for told in (whole, again):
        del told["tournament_id"], told["model_by_model"], told["model_by_scenario"]  # they name runs
    assert whole == again
