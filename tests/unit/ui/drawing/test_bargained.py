"""How both sides bargained, at the end of a lane."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, Measures, Started, Turn, TurnTaken
from negotiation.game.protocol import Action, Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Scenario, Seat, load_scenario
from ui.drawing.bargained import bargained
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import verdict_html

SCENARIOS = Path(__file__).resolve().parents[4] / "configs" / "scenarios"


@pytest.fixture(scope="module")
def car() -> Scenario:
    return load_scenario(SCENARIOS / "company_car.yaml")


def of_scripts(scenario: Scenario, a: str, b: str, seed: int = 3) -> LaneView:
    agents: dict[Seat, Agent] = {"a": STRATEGIES[a], "b": STRATEGIES[b]}
    players: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b)}
    return LaneView(scenario, players=players).fold(negotiate(Negotiation("run", scenario, agents, seed)))


def of_talkers(scenario: Scenario, message: str) -> LaneView:
    turns = [
        Turn(0, 1, "a", "talker", Action.OFFER, {"price": 20000}, message, utility_a=0.6, utility_b=0.45),
        Turn(1, 1, "b", "talker", Action.ACCEPT, None, "Fine.", utility_a=0.6, utility_b=0.45),
    ]
    players: dict[Seat, AgentConfig] = {"a": AgentConfig("talker"), "b": AgentConfig("talker")}
    measures = Measures(0.6, 0.45, 1, 0, 0, rational_a=True, rational_b=True)
    end = Ended(Ending.AGREEMENT, "b", {"price": 20000}, measures)
    started = Started("run", scenario.scenario_id, {"a": "talker", "b": "talker"}, 1)
    return LaneView(scenario, players=players).fold([started, *map(TurnTaken, turns), end])


def test_scripts_are_shown_by_their_moves(car: Scenario) -> None:
    view = of_scripts(car, "conceder", "boulware")
    found = bargained(view)
    assert found is not None
    rows = {row.title: row.values for row in found.rows}
    assert rows["first offer"] == {"a": "100 points", "b": "100 points"}
    assert rows["gave way"] == {"a": "early", "b": "late"}
    assert rows["asked for more"]["b"].startswith("0 of ")
    assert view.seed == 3
    assert found.untruths == ()
    shown = verdict_html(view, space_of(car))
    assert "How they bargained" in shown
    assert "No untrue statement" not in shown  # scripts say nothing of their own


def test_the_best_response_says_whether_it_was_reached(car: Scenario) -> None:
    """A boulware with the last word takes what is worth no deal to it, so the best price for the seller is 22,000."""
    found = bargained(of_scripts(car, "hardliner", "boulware"))
    assert found is not None
    best = {row.title: row.values for row in found.rows}["best possible"]
    assert best["a"] == "80 points, 55 more than it got"
    assert best["b"] == "20 points, reached"  # the hardliner gives nothing, and no deal is worth 20


def test_what_a_side_said_is_set_right(car: Scenario) -> None:
    shown = verdict_html(of_talkers(car, "I cannot go below €20,000."), space_of(car))
    assert "<b>Round 1, Fleet manager</b> claimed a limit that it does not have." in shown
    assert "Price: €19,750 would still be worth more to it than no deal." in shown
    assert "No untrue statement was found" in verdict_html(of_talkers(car, "I ask for €20,000."), space_of(car))


def test_nothing_is_said_before_the_end_or_about_turns_of_others(car: Scenario) -> None:
    view = of_scripts(car, "conceder", "boulware")
    assert bargained(replace(view, end=None)) is None
    assert bargained(replace(view, players={})) is None
    forked = {**view.players, "a": AgentConfig("linear")}
    assert bargained(replace(view, players=forked)) is None
