"""Tournaments on drawn scenarios: resumed, extended, stored in full with where they come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.config.strict_yaml import validate
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.strategy_options import EXPONENTS, MOST_MARGIN
from negotiation.batch.executor import Threads
from negotiation.families.family import load_family
from negotiation.families.generate import draw_scenario
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario
from negotiation.tournament import runner as tournament
from negotiation.tournament.plan import Tournament
from negotiation.tournament.plan_file import TournamentFile, resolve
from negotiation.tournament.store import TournamentStore

Make = Callable[..., Tournament]
Play = Callable[[Tournament, str], list[str]]


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers({}))


@pytest.fixture
def make(catalog: Catalog, bike: Scenario) -> Make:
    def resolved(**given: Any) -> Tournament:
        scenarios = {} if "scenarios" in given or given.get("family", "") is None else {"family": "integrative"}
        data = {"title": "Cup", "baselines": ["boulware", "conceder"], "pairs": 1, "count": 3, **scenarios, **given}
        given = {key: value for key, value in data.items() if value is not None}
        return resolve(validate(TournamentFile, given, "cup.yaml"), catalog, {"bike": bike}, "cup.yaml")

    return resolved


@pytest.fixture
def kept(store: Store) -> TournamentStore:
    return TournamentStore(store)


@pytest.fixture
def play(catalog: Catalog, kept: TournamentStore) -> Play:
    """Plays what is missing, and returns the scenarios of these games."""

    def played(asked: Tournament, tournament_id: str) -> list[str]:
        told = tournament.run(asked, tournament_id, kept, catalog, Threads(catalog, 4), max_loaded=1)
        return [progress.game.scenario_id for progress in told]

    return played


def test_the_scenarios_are_those_of_the_family(make: Make) -> None:
    asked = make(draw_seed=5)
    family = load_family("integrative")
    assert asked.scenarios == {f"integrative_5_{index}": draw_scenario(family, 5, index) for index in (1, 2, 3)}
    assert asked.size == 3 * 2
    assert list(make().scenarios) == [f"integrative_1_{index}" for index in (1, 2, 3)]


def test_rounds_replace_the_deadlines_of_drawn_scenarios(make: Make) -> None:
    assert {scenario.rounds for scenario in make(rounds=30).scenarios.values()} == {30}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"count": None}, "give family and count"),
        ({"family": None}, "give family and count"),
        ({"scenarios": ["bike"], "family": "price"}, "give either scenarios (a list) or family and count"),
        ({"family": None, "count": None, "draw_seed": 3}, "key 'draw_seed': there is nothing to draw"),
        ({"family": "prise"}, "cup.yaml: key 'family': unknown family 'prise'; choose from: casino, integrative"),
        ({"count": 0}, "key 'count'"),
        ({"count": 201}, "key 'count'"),
        ({"draw_seed": -1}, "key 'draw_seed'"),
    ],
)
def test_what_is_wrong_is_named(make: Make, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        make(**given)


def test_families_are_looked_up_in_the_configuration(catalog: Catalog, tmp_path: Path) -> None:
    given = TournamentFile(title="Cup", baselines="all", family="price", count=1, pairs=1)
    with pytest.raises(ConfigError, match="unknown family 'price'"):
        resolve(given, catalog, {}, families=tmp_path)


def test_runs_carry_the_scenario_in_full_and_where_it_comes_from(
    make: Make, play: Play, kept: TournamentStore, store: Store
) -> None:
    asked = make(draw_seed=5)
    key = tournament.begin(asked, kept, resume=False)
    play(asked, key)
    games = kept.games(key)
    assert len(games) == asked.size
    for played in games:
        run = store.run(played.run_id)
        assert run.scenario == asked.scenarios[played.game.scenario_id]
        assert run.provenance is not None
        assert run.provenance.drawn_from == run.scenario.drawn_from
        origin = run.provenance.drawn_from
        assert origin is not None
        assert (origin.family, origin.seed) == ("integrative", 5)
        assert run.scenario.scenario_id == f"integrative_5_{origin.index}"


def test_more_scenarios_can_be_drawn_before_resuming(make: Make, play: Play, kept: TournamentStore) -> None:
    few, more = make(), make(count=5)
    key = tournament.begin(few, kept, resume=False)
    assert set(play(few, key)) == {"integrative_1_1", "integrative_1_2", "integrative_1_3"}
    assert tournament.begin(more, kept, resume=True) == key
    assert set(play(more, key)) == {"integrative_1_4", "integrative_1_5"}
    assert kept.get(key).tournament == more
    assert len(kept.games(key)) == more.size


@pytest.mark.parametrize("change", [{"draw_seed": 2}, {"family": "price"}, {"rounds": 20}, {"mirrored": False}])
def test_another_draw_is_another_tournament(make: Make, kept: TournamentStore, change: dict[str, Any]) -> None:
    asked = make()
    kept.end(tournament.begin(asked, kept, resume=False), "stopped")
    with pytest.raises(ConfigError, match="cannot be resumed"):
        tournament.begin(make(**change), kept, resume=True)


def test_a_stored_tournament_is_unchanged(make: Make, kept: TournamentStore, catalog: Catalog) -> None:
    asked = make(family="casino")
    key = tournament.begin(asked, kept, resume=False)
    assert tournament.unchanged(kept.get(key), catalog) == asked
    assert asked.people is not None


def test_opponents_with_hidden_parameters_are_drawn_for_each_scenario_and_seed(
    make: Make, play: Play, kept: TournamentStore, store: Store
) -> None:
    """Both seats of a seed meet the same opponent, and the record says which one it was."""
    hidden = {"agent": "boulware", "options": {"hidden": True}}
    asked = make(baselines=[hidden, "conceder"], seeds=[1, 2], pairs=None)
    assert list(asked.agents) == ["boulware (hidden=True)", "conceder"]
    key = tournament.begin(asked, kept, resume=False)
    play(asked, key)
    met: dict[tuple[str, int], set[tuple[float, float]]] = {}
    for played in kept.games(key):
        run = store.run(played.run_id)
        config = next(config for config in run.agents.values() if config.agent == "boulware")
        exponent, margin = config.options["exponent"], config.options["margin"]
        assert EXPONENTS["boulware"][0] <= exponent <= EXPONENTS["boulware"][1]
        assert 0 <= margin <= MOST_MARGIN
        met.setdefault((played.game.scenario_id, played.game.seed), set()).add((exponent, margin))
    assert len(met) == 6
    assert all(len(drawn) == 1 for drawn in met.values())
    assert len(set.union(*met.values())) == 6
