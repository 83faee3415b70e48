"""Scripted strategies with options, and parameters that are hidden from the other side."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.options import StrategyOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.agents.strategy_options import EXPONENTS, MOST_MARGIN, settled
from negotiation.game.agent import View
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.codec import run_from_json, run_to_json
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Scenario

Points = Callable[..., Scenario]
Views = Callable[..., View]


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers({}))


@pytest.fixture
def line(of_points: Points) -> Scenario:
    """A hundred and one outcomes on a line, of which a wants the last and b the first."""
    return of_points(*((step / 100, 1 - step / 100) for step in range(101)), reservation=(0.2, 0.2), rounds=20)


def offers(catalog: Catalog, scenario: Scenario, agent: AgentConfig, seed: int = 1) -> list[float]:
    """The utilities that an agent in seat a asks for against a hardliner, which never agrees."""
    agents = {"a": catalog.create(agent), "b": STRATEGIES["hardliner"]}
    events = negotiate(Negotiation("asks", scenario, {seat: agents[seat] for seat in SEATS}, seed))
    turns = [event.turn for event in events if isinstance(event, TurnTaken)]
    return [turn.utility_a for turn in turns if turn.seat == "a" and turn.utility_a is not None]


def test_the_exponent_says_how_early_a_strategy_gives_in(catalog: Catalog, line: Scenario) -> None:
    """In round 11 of 20, linear asks for 1 - 0.8 x 10/19, with exponent 2 for 1 - 0.8 x (10/19)^(1/2)."""
    assert offers(catalog, line, AgentConfig("linear"))[10] == pytest.approx(0.58, abs=0.005)
    assert offers(catalog, line, AgentConfig("linear", {"exponent": 2}))[10] == pytest.approx(0.42, abs=0.005)
    assert offers(catalog, line, AgentConfig("linear", {"exponent": 0.2})) == offers(
        catalog, line, AgentConfig("boulware")
    )


def test_the_margin_raises_the_floor(catalog: Catalog, line: Scenario) -> None:
    """A quarter of the way from 0.2 to 1 is 0.4."""
    assert min(offers(catalog, line, AgentConfig("conceder"))) == pytest.approx(0.2)
    assert min(offers(catalog, line, AgentConfig("conceder", {"margin": 0.25}))) == pytest.approx(0.4)


def test_nothing_below_the_margin_is_accepted_even_in_the_last_turn(
    catalog: Catalog, of_points: Points, make_view: Views
) -> None:
    """With a margin of 0.9, b needs 0.2 + 0.9 x (0.8 - 0.2) = 0.74."""
    scenario = of_points((1, 0), (0.5, 0.6), (0.3, 0.8), reservation=(0.2, 0.2), rounds=1)
    view = make_view(scenario, [(Action.OFFER, {"deal": "o2"}, "")])
    assert view.seat == "b"
    eager, proud = (catalog.create(AgentConfig("linear", options)) for options in ({}, {"margin": 0.9}))
    assert [_decided(agent, view).action for agent in (eager, proud)] == [Action.ACCEPT, Action.ACCEPT]
    low = make_view(scenario, [(Action.OFFER, {"deal": "o1"}, "")])
    assert [_decided(agent, low).action for agent in (eager, proud)] == [Action.ACCEPT, Action.OFFER]


def _decided(agent: Any, view: View) -> Any:
    acting: Generator[Any, Any, Any] = agent.act(view)
    with pytest.raises(StopIteration) as decided:
        next(acting)
    return decided.value.value


@pytest.mark.parametrize("name", STRATEGIES)
def test_hidden_parameters_are_drawn_from_scenario_and_seed(name: str) -> None:
    def drawn(scenario_id: str, seed: int) -> StrategyOptions:
        return settled(name, StrategyOptions(hidden=True), scenario_id, seed)

    assert drawn("car", 1) == drawn("car", 1)
    found = [drawn(scenario_id, seed) for scenario_id in ("car", "flat") for seed in range(1, 51)]
    assert len({(options.exponent, options.margin) for options in found}) > 75
    margins = [options.margin for options in found if options.margin is not None]
    assert len(margins) == 100
    assert 0 <= min(margins) < MOST_MARGIN / 4
    assert MOST_MARGIN >= max(margins) > 3 * MOST_MARGIN / 4
    if name in EXPONENTS:
        low, high = EXPONENTS[name]
        assert all(options.exponent is not None and low <= options.exponent <= high for options in found)
    else:
        assert {options.exponent for options in found} == {None}


def test_what_is_given_is_not_drawn() -> None:
    found = settled("boulware", StrategyOptions(hidden=True, margin=0.1), "car", 1)
    assert found.margin == 0.1
    assert found.exponent is not None


def test_without_hidden_nothing_is_drawn() -> None:
    assert settled("boulware", StrategyOptions(), "car", 1) == StrategyOptions()


def test_an_agent_plays_the_parameters_that_are_recorded(catalog: Catalog, line: Scenario) -> None:
    hidden = AgentConfig("conceder", {"hidden": True})
    for seed in (1, 2, 3):
        recorded = hidden.settled(line.scenario_id, seed)
        assert set(recorded.options) == {"hidden", "exponent", "margin"}
        assert offers(catalog, line, hidden, seed) == offers(catalog, line, recorded, seed)
        plain = AgentConfig("conceder", {key: recorded.options[key] for key in ("exponent", "margin")})
        assert offers(catalog, line, plain, seed) == offers(catalog, line, recorded, seed)
    assert offers(catalog, line, hidden, 1) != offers(catalog, line, hidden, 2)


def test_a_recorded_opponent_is_known_in_hindsight(line: Scenario) -> None:
    recorded = AgentConfig("boulware", {"hidden": True}).settled(line.scenario_id, 4)
    assert recorded.script is not None
    assert recorded.script.exponent == recorded.options["exponent"]
    assert AgentConfig("boulware", {"exponent": "many"}).script is None


def test_recorded_parameters_survive_the_store(line: Scenario) -> None:
    agents = {seat: AgentConfig("linear", {"hidden": True}).settled("x", 1) for seat in SEATS}
    run = Run(run_id="r", scenario=line, agents=agents, seed=1)
    assert run_from_json(run_to_json(run)).agents == agents


def test_hidden_strategies_draw_so_that_seeds_are_independent() -> None:
    assert AgentConfig("boulware").by_rule
    assert not AgentConfig("boulware", {"hidden": True}).by_rule


def test_options_left_alone_are_not_recorded(catalog: Catalog) -> None:
    assert catalog.complete(AgentConfig("micro")).options == {}
    assert catalog.complete(AgentConfig("boulware", {"hidden": "true"})).label == "boulware (hidden=True)"


@pytest.mark.parametrize(
    ("agent", "options", "says"),
    [
        ("micro", {"exponent": 2}, "agent 'micro': key 'exponent': only boulware, linear, conceder have one"),
        ("boulware", {"exponent": 0}, "agent 'boulware': key 'exponent'"),
        ("boulware", {"margin": 1}, "agent 'boulware': key 'margin'"),
        ("boulware", {"hidden": "perhaps"}, "agent 'boulware': key 'hidden'"),
    ],
)
def test_a_wrong_option_is_named(catalog: Catalog, agent: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        catalog.create(AgentConfig(agent, options))
    assert says in str(refused.value)


def test_hidden_strategies_reach_the_end(catalog: Catalog, line: Scenario) -> None:
    named = dict(zip(SEATS, ("boulware", "micro"), strict=True))
    agents = {seat: catalog.create(AgentConfig(name, {"hidden": True})) for seat, name in named.items()}
    *_, end = negotiate(Negotiation("hidden", line, agents))
    assert isinstance(end, Ended)
