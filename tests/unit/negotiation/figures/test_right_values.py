"""Figures that were once wrong, each on the smallest case that shows it, with the right value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import View
from negotiation.game.events import Ended
from negotiation.game.measures import measure
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario
from ui.drawing.outcome_space import Space
from ui.drawing.table_and_verdict import missed

Views = Callable[..., View]


# -- discounting -----------------------------------------------------------------------------------------------


def nash_deal_in_round_three(shipped: dict[str, Scenario]) -> GameState:
    """The night train with a discount of 0.9, where the Nash deal is offered and accepted in round 3."""
    scenario = shipped["night_train"].model_copy(update={"discount": 0.9})
    nash, other = ({"window": "open", "lamp": "on"}, {"window": "closed", "lamp": "off"})
    assert Analyser(scenario).point(Analyser(scenario).nash or 0).offer == nash
    state = GameState(scenario)
    for offer in (other, other, other, other, nash):
        state = state.apply(Action.OFFER, offer)
    return state.apply(Action.ACCEPT)


def test_discounting_leaves_the_distances_of_a_deal_as_they_are(shipped: dict[str, Scenario]) -> None:
    state = nash_deal_in_round_three(shipped)
    found = measure(state, Analyser(state.scenario))
    assert (found.utility_a, found.utility_b) == (0.567, 0.567)  # 0.7 x 0.9^2
    assert (found.nash_distance, found.pareto_distance) == (0, 0)


def test_discounting_does_not_leave_on_the_table_the_deal_that_was_made(shipped: dict[str, Scenario]) -> None:
    state = nash_deal_in_round_three(shipped)
    assert missed(Space(state.scenario), state.agreement, state.round) == ""
    poor = {"window": "closed", "lamp": "off"}
    words = missed(Space(state.scenario), poor, state.round)
    assert words.startswith("Missed: Window: open, Reading lamp: on would have been worth 57 points")


# -- Nash ties -------------------------------------------------------------------------------------------------


def test_nash_ties_are_all_at_distance_zero(shipped: dict[str, Scenario]) -> None:
    """Two outcomes of camp_supplies have the largest product of gains; MiCRO reaches the one listed second."""
    scenario = shipped["camp_supplies"].model_copy(update={"rounds": 100})
    analyser = Analyser(scenario)
    assert len(analyser.nash_ties) == 2
    *_, end = negotiate(Negotiation("run", scenario, dict.fromkeys(SEATS, STRATEGIES["micro"]), seed=1))
    assert isinstance(end, Ended)
    assert end.measures.nash_distance == 0
    for index in analyser.nash_ties:
        point = analyser.point(int(index))
        assert analyser.nash_distance(point.utility_a, point.utility_b) == 0


# -- slack -----------------------------------------------------------------------------------------------------


def test_slack_lets_a_strategy_offer_what_is_worth_exactly_its_ask(
    shipped: dict[str, Scenario], make_view: Views
) -> None:
    """In round 7 `linear` asks for 1 - 0.7 x 6/9 = 0.5333...; 27 outcomes are worth that, rounded to 0.533333333."""
    scenario = shipped["job_offer"]
    worst = Analyser(scenario).space.offer(int(Analyser(scenario).space.utilities("b").argmin()))
    begun: list[Any] = [(Action.OFFER, worst, "")] * 13
    view = make_view(scenario, begun)
    assert (view.seat, view.state.round) == ("b", 7)
    equals = np.flatnonzero(view.utilities == 0.533333333)
    assert len(equals) == 27
    offered = set()
    for seed in range(200):
        decision = STRATEGIES["linear"].decide(make_view(scenario, begun, seed=seed))
        assert decision.offer is not None
        offered.add(view.space.index(decision.offer))
    assert offered <= set(equals.tolist())
    assert len(offered) > 20


# -- camp_supplies ---------------------------------------------------------------------------------------------


def test_camp_supplies_is_worth_five_of_36_points_without_a_deal(shipped: dict[str, Scenario]) -> None:
    """A deal of 5 points, one pack of what matters most, is as good as no deal and therefore not irrational."""
    scenario = shipped["camp_supplies"]
    five = {"food": 0, "water": 1, "firewood": 0}
    assert scenario.roles["a"].reservation == scenario.utility("a", five) == round(5 / 36, 9)
    assert scenario.roles["b"].reservation == scenario.utility("b", {"food": 3, "water": 3, "firewood": 2})
    found = measure(GameState(scenario).apply(Action.OFFER, five).apply(Action.ACCEPT), Analyser(scenario))
    assert found.rational_a
    assert found.utility_a == pytest.approx(5 / 36, abs=1e-9)
