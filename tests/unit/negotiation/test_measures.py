"""The figures of an ended negotiation, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negotiation.analysis import Analyser
from negotiation.events import Measures
from negotiation.measures import final_utility, measure
from negotiation.protocol import Action, State
from negotiation.scenario import Scenario

Points = Callable[..., Scenario]
POINTS = (1.0, 0.0), (0.6, 0.7), (0.0, 1.0), (0.3, 0.3)


def agreed(scenario: Scenario, deal: int, turns: int = 1) -> State:
    """The state after a deal was offered so often and then accepted."""
    state = State(scenario)
    for _ in range(turns):
        state = state.apply(Action.OFFER, {"deal": f"o{deal}"})
    return state.apply(Action.ACCEPT)


def measures(state: State) -> Measures:
    return measure(state, Analyser(state.scenario))


def test_a_deal_on_the_frontier(of_points: Points) -> None:
    found = measures(agreed(of_points(*POINTS, reservation=(0.2, 0.1)), 1))
    assert found == Measures(0.6, 0.7, 1.0, 0.0, 0.0, rational_a=True, rational_b=True)


def test_a_deal_that_wastes_something(of_points: Points) -> None:
    found = measures(agreed(of_points(*POINTS, reservation=(0.2, 0.4)), 3))
    assert (found.utility_a, found.utility_b) == (0.3, 0.3)
    assert found.welfare_share == pytest.approx(0.6 / 1.3)
    assert found.pareto_distance == pytest.approx(0.5)
    assert found.nash_distance == pytest.approx(0.5)
    assert (found.rational_a, found.rational_b) == (True, False)


def test_no_deal_is_worth_the_reservation_values(of_points: Points) -> None:
    scenario = of_points(*POINTS, reservation=(0.2, 0.4))
    left = measures(State(scenario).apply(Action.WALK_AWAY))
    late = State(scenario)
    while late.ending is None:
        late = late.apply(Action.OFFER, {"deal": "o1"})
    assert left == measures(late)
    assert (left.utility_a, left.utility_b) == (0.2, 0.4)
    assert left.pareto_distance == pytest.approx(math.hypot(0.4, 0.3))
    assert left.nash_distance == pytest.approx(math.hypot(0.4, 0.3))
    assert (left.rational_a, left.rational_b) == (True, True)


def test_without_a_nash_point_there_is_no_distance_to_it(of_points: Points) -> None:
    assert measures(agreed(of_points((1, 0), (0, 1)), 0)).nash_distance is None


@pytest.mark.parametrize(("turns", "utility"), [(1, 0.6), (2, 0.54), (3, 0.54), (4, 0.486), (7, 0.4374)])
def test_a_deal_is_discounted_by_the_round_it_was_made_in(of_points: Points, turns: int, utility: float) -> None:
    """A deal offered in turn n is accepted in turn n + 1: two turns are a round, and the first costs nothing."""
    state = agreed(of_points(*POINTS, discount=0.9), 1, turns)
    assert state.round == (turns + 2) // 2
    assert final_utility(state, "a") == utility


def test_no_deal_is_not_discounted(of_points: Points) -> None:
    state = State(of_points(*POINTS, reservation=(0.25, 0.5), discount=0.5))
    for _ in range(4):
        state = state.apply(Action.OFFER, {"deal": "o1"})
    state = state.apply(Action.WALK_AWAY)
    assert (final_utility(state, "a"), final_utility(state, "b")) == (0.25, 0.5)


def test_a_late_deal_may_fall_below_the_reservation_value(of_points: Points) -> None:
    """0.6 after two rounds of 0.7 is 0.294; exactly the reservation value is still rational."""
    scenario = of_points(*POINTS, reservation=(0.3, 0.343), discount=0.7)
    found = measures(agreed(scenario, 1, turns=4))
    assert (found.utility_a, found.utility_b) == (0.294, 0.343)
    assert (found.rational_a, found.rational_b) == (False, True)


@given(data=st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_figures_of_any_end_are_sound(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    analyser = Analyser(scenario)
    offer = analyser.space.offer(data.draw(st.integers(0, scenario.outcomes - 1)))
    turns = data.draw(st.integers(1, 2 * scenario.rounds - 1))
    state = State(scenario)
    for _ in range(turns):
        state = state.apply(Action.OFFER, offer)
    found = measure(state.apply(data.draw(st.sampled_from([Action.ACCEPT, Action.WALK_AWAY]))), analyser)
    assert 0 <= found.utility_a <= 1
    assert 0 <= found.utility_b <= 1
    assert found.pareto_distance >= 0
    assert found.welfare_share >= 0
    assert (found.nash_distance is None) == (analyser.nash is None)
    assert found.nash_distance is None or found.nash_distance >= found.pareto_distance
    assert found.rational_a == (found.utility_a >= scenario.roles["a"].reservation)
