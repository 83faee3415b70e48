"""The figures of an ended negotiation, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.game.events import InvalidReply, Measures, Turn
from negotiation.game.measures import accepted_below_reservation, final_utility, fingerprint, measure, measure_seat
from negotiation.game.protocol import Action, GameState
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario
from tests.support.effort import examples

Points = Callable[..., Scenario]
POINTS = (1.0, 0.0), (0.6, 0.7), (0.0, 1.0), (0.3, 0.3)


def agreed(scenario: Scenario, deal: int, turns: int = 1) -> GameState:
    """The state after a deal was offered so often and then accepted."""
    state = GameState(scenario)
    for _ in range(turns):
        state = state.apply(Action.OFFER, {"deal": f"o{deal}"})
    return state.apply(Action.ACCEPT)


def measures(state: GameState) -> Measures:
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
    left = measures(GameState(scenario).apply(Action.WALK_AWAY))
    late = GameState(scenario)
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
    state = GameState(of_points(*POINTS, reservation=(0.25, 0.5), discount=0.5))
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
@examples(80)
def test_figures_of_any_end_are_sound(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    analyser = Analyser(scenario)
    offer = analyser.space.offer(data.draw(st.integers(0, scenario.outcomes - 1)))
    turns = data.draw(st.integers(1, 2 * scenario.rounds - 1))
    state = GameState(scenario)
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


# -- turns -----------------------------------------------------------------------------------------------------


def taken(scenario: Scenario, *moves: tuple[Action, int | None]) -> list[Turn]:
    """Turns of a and b in turn, with the utilities of what they offered or accepted."""
    turns: list[Turn] = []
    for index, (action, deal) in enumerate(moves):
        offer = None if deal is None else {"deal": f"o{deal}"}
        settled = turns[-1].offer if action is Action.ACCEPT else offer
        a, b = (None if settled is None else scenario.utility(seat, settled) for seat in SEATS)
        turns.append(Turn(index, index // 2 + 1, "ab"[index % 2], "any", action, offer, "", "", a, b))  # type: ignore[arg-type]
    return turns


OFFER, ACCEPT, LEAVE = Action.OFFER, Action.ACCEPT, Action.WALK_AWAY


def test_concession_and_regret_of_every_turn(of_points: Points) -> None:
    """b keeps 0.1: the best that a can hope for is o1 (0.6). a keeps 0.2: for b it is o1, too (0.7)."""
    scenario = of_points(*POINTS, reservation=(0.2, 0.1))
    turns = taken(scenario, (OFFER, 0), (OFFER, 2), (OFFER, 1), (OFFER, 3), (OFFER, 0), (LEAVE, None))
    a, b = (measure_seat(seat, Analyser(scenario), turns) for seat in SEATS)
    assert a.concession == (None, 0.4, -0.4)
    assert a.regret == (-0.4, 0.0, -0.4)  # o0 is worth more than can be hoped for
    assert b.concession == (None, 0.7, None)
    assert b.regret == (-0.3, 0.4, 0.6)  # walking away is worth the reservation value


def test_accepting_is_no_concession_and_regrets_what_it_gives_up(of_points: Points) -> None:
    scenario = of_points(*POINTS)
    b = measure_seat("b", Analyser(scenario), taken(scenario, (OFFER, 3), (OFFER, 2), (OFFER, 1), (ACCEPT, None)))
    assert b.concession == (None, None)
    assert b.regret == pytest.approx((0.0, 0.3))


def test_invalid_replies_tokens_and_seconds_are_added_up(of_points: Points) -> None:
    scenario = of_points(*POINTS)
    bad = tuple(InvalidReply(kind, "", "") for kind in ("empty", "off_menu", "empty"))
    turns = [replace(turn, invalid=bad, tokens=7, seconds=0.25) for turn in taken(scenario, *[(OFFER, 1)] * 3)]
    a = measure_seat("a", Analyser(scenario), turns)
    assert (dict(a.invalid), a.tokens, a.seconds) == ({"empty": 4, "off_menu": 2}, 14, 0.5)


def test_an_ended_negotiation_is_measured_turn_by_turn(of_points: Points) -> None:
    scenario = of_points(*POINTS)
    turns = taken(scenario, (OFFER, 1), (ACCEPT, None))
    found = measure(agreed(scenario, 1), Analyser(scenario), turns)
    assert found.seats == {seat: measure_seat(seat, Analyser(scenario), turns) for seat in ("a", "b")}


def test_the_same_moves_have_the_same_fingerprint(of_points: Points) -> None:
    scenario = of_points(*POINTS)
    turns = taken(scenario, (OFFER, 1), (ACCEPT, None))
    said = [replace(turn, message="Hello", tokens=9) for turn in turns]
    assert fingerprint(turns) == fingerprint(said) != fingerprint(taken(scenario, (OFFER, 2), (ACCEPT, None)))


# -- accepting less than no deal -------------------------------------------------------------------------------


def accepting(index: int, utility_b: float) -> Turn:
    return Turn(index, index // 2 + 1, "b", "any", Action.ACCEPT, None, utility_a=1 - utility_b, utility_b=utility_b)


@pytest.mark.parametrize(("worth", "below"), [(0.29, True), (0.3, False), (0.9, False)])
def test_accepting_less_than_no_deal(of_points: Points, worth: float, below: bool) -> None:
    scenario = of_points(*POINTS, reservation=(0.0, 0.3))
    turns = [Turn(0, 1, "a", "any", Action.OFFER, {"deal": "o0"}), accepting(1, worth)]
    assert accepted_below_reservation(scenario, turns, "b") is below
    assert accepted_below_reservation(scenario, turns, "a") is None


def test_a_deal_that_is_accepted_late_is_worth_less(of_points: Points) -> None:
    scenario = of_points(*POINTS, reservation=(0.0, 0.3), discount=0.5)
    assert accepted_below_reservation(scenario, [accepting(1, 0.5)], "b") is False
    assert accepted_below_reservation(scenario, [accepting(3, 0.5)], "b") is True


def test_without_an_acceptance_there_is_nothing_to_report(of_points: Points) -> None:
    scenario = of_points(*POINTS)
    offered = Turn(0, 1, "a", "any", Action.OFFER, {"deal": "o1"})
    assert accepted_below_reservation(scenario, [offered], "a") is None
    assert accepted_below_reservation(scenario, [], "a") is None
