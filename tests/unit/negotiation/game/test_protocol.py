"""Alternating offers: what may be done when, and that nothing else ever happens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.errors import IllegalTurn
from negotiation.game.protocol import Action, Ending, GameState
from negotiation.scenario.model import Offer, Scenario, Seat, other
from tests.support.effort import examples

OFFER, ACCEPT, WALK_AWAY = Action.OFFER, Action.ACCEPT, Action.WALK_AWAY
GOOD: Offer = {"price": 150, "lock": "with"}
BETTER: Offer = {"price": 160, "lock": "without"}


def after(scenario: Scenario, *offers: Offer, starts: Seat = "a") -> GameState:
    """The state after some offers."""
    state = GameState(scenario, starts=starts)
    for offer in offers:
        state = state.apply(OFFER, offer)
    return state


# -- turns and rounds ------------------------------------------------------------------------------------------


def test_the_first_seat_may_offer_or_leave(bike: Scenario) -> None:
    state = GameState(bike)
    assert (state.seat, state.round, state.legal) == ("a", 1, (OFFER, WALK_AWAY))


def test_a_round_is_one_turn_of_each(bike: Scenario) -> None:
    states = [after(bike, *[GOOD] * count) for count in range(8)]
    assert [state.seat for state in states] == ["a", "b"] * 4
    assert [state.round for state in states] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [state.last_turn for state in states] == [False] * 7 + [True]


def test_either_seat_may_begin(bike: Scenario) -> None:
    assert [after(bike, *[GOOD] * count, starts="b").seat for count in range(3)] == ["b", "a", "b"]


# -- who may accept what ---------------------------------------------------------------------------------------


def test_only_the_other_sides_latest_offer_can_be_accepted(bike: Scenario) -> None:
    state = after(bike, GOOD, BETTER).apply(ACCEPT)
    assert (state.ending, state.agreement, state.ended_by) == (Ending.AGREEMENT, BETTER, "a")
    assert state.round == 2


def test_nothing_can_be_accepted_before_an_offer(bike: Scenario) -> None:
    with pytest.raises(IllegalTurn, match="there is no offer on the table that could be accepted"):
        GameState(bike).apply(ACCEPT)


def test_an_own_offer_is_never_accepted(bike: Scenario) -> None:
    """After an offer the other side moves; once it has answered with its own, the first one is gone."""
    state = after(bike, GOOD)
    assert state.seat == "b"
    assert after(bike, GOOD, BETTER).table == BETTER


def test_walking_away_ends_it_without_a_deal(bike: Scenario) -> None:
    state = after(bike, GOOD).apply(WALK_AWAY)
    assert (state.ending, state.agreement, state.ended_by) == (Ending.WALKED_AWAY, None, "b")


def test_one_may_walk_away_at_once(bike: Scenario) -> None:
    assert GameState(bike).apply(WALK_AWAY).ended_by == "a"


def test_an_offer_keeps_what_it_was_when_it_was_made(bike: Scenario) -> None:
    offer: dict[str, Any] = dict(GOOD)
    state = after(bike, offer)
    offer["price"] = 7
    assert state.apply(ACCEPT).agreement == GOOD


# -- the deadline ----------------------------------------------------------------------------------------------


def test_an_offer_in_the_last_turn_ends_it_without_a_deal(bike: Scenario) -> None:
    state = after(bike, *[GOOD] * 8)
    assert (state.ending, state.agreement, state.ended_by, state.legal) == (Ending.DEADLINE, None, None, ())


def test_the_last_turn_may_still_accept(bike: Scenario) -> None:
    state = after(bike, *[GOOD] * 6, BETTER)
    assert state.last_turn
    done = state.apply(ACCEPT)
    assert (done.ending, done.agreement, done.ended_by, done.round) == (Ending.AGREEMENT, BETTER, "b", 4)


def test_one_round_is_enough_for_a_deal(of_points: Callable[..., Scenario]) -> None:
    state = GameState(of_points((0.5, 0.5), (1, 0), rounds=1)).apply(OFFER, {"deal": "o0"})
    assert state.last_turn
    assert state.apply(ACCEPT).ending is Ending.AGREEMENT


@pytest.mark.parametrize(
    "moves", [[(OFFER, GOOD), (ACCEPT, None)], [(WALK_AWAY, None)], [(OFFER, GOOD)] * 8], ids=["deal", "left", "late"]
)
@pytest.mark.parametrize("action", list(Action))
def test_nothing_happens_after_the_end(bike: Scenario, moves: list[Any], action: Action) -> None:
    state = GameState(bike)
    for move in moves:
        state = state.apply(*move)
    assert state.legal == ()
    with pytest.raises(IllegalTurn, match=rf"the negotiation is over \({state.ending}\)"):
        state.apply(action, GOOD if action is OFFER else None)


# -- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "offer", "says"),
    [
        (OFFER, None, "'offer' needs an offer"),
        (ACCEPT, GOOD, "'accept' takes no offer"),
        (WALK_AWAY, GOOD, "'walk_away' takes no offer"),
        (OFFER, {}, "'price' is missing"),
        (OFFER, {**GOOD, "price": 151}, "'price' cannot be '151'"),
        (OFFER, {**GOOD, "price": True}, "'price' cannot be 'True'"),
        (OFFER, {**GOOD, "lock": "WITH"}, "'lock' cannot be 'WITH'"),
        (OFFER, {**GOOD, "bell": 1}, "'bell' is not an issue"),
    ],
)
def test_a_refused_turn_says_why_and_changes_nothing(bike: Scenario, action: Action, offer: Any, says: str) -> None:
    state = after(bike, GOOD)
    before = copy.copy(state)
    with pytest.raises(IllegalTurn, match=f"^{says}"):
        state.apply(action, offer)
    assert state == before


# -- any sequence ----------------------------------------------------------------------------------------------

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.just({}),
    st.text(max_size=3),
    st.dictionaries(st.sampled_from(["issue_0", "issue_1", "x"]), st.integers() | st.text(max_size=3), max_size=3),
)


@given(data=st.data(), starts=st.sampled_from(["a", "b"]))
@examples(100)
def test_no_sequence_of_actions_reaches_an_illegal_state(
    data: st.DataObject, starts: Seat, scenarios: st.SearchStrategy[Scenario]
) -> None:
    """Plays anything at all against the rules, spelled out a second time."""
    scenario = data.draw(scenarios)
    possible = st.fixed_dictionaries({name: st.sampled_from(i.choices) for name, i in scenario.issues.items()})
    state, made, ended = GameState(scenario, starts=starts), list[Offer](), False
    for _ in range(data.draw(st.integers(1, 16))):
        action = data.draw(st.sampled_from([OFFER, OFFER, OFFER, ACCEPT, WALK_AWAY]))
        offer = data.draw(possible if action is OFFER and data.draw(st.integers(0, 3)) else st.none() | JUNK)
        allowed = not ended and (
            (action is OFFER and isinstance(offer, dict) and scenario.problem(offer) is None)
            or (action is ACCEPT and offer is None and bool(made))
            or (action is WALK_AWAY and offer is None)
        )
        before, seat = copy.deepcopy(state), state.seat
        try:
            state = state.apply(action, offer)
        except IllegalTurn:
            assert not allowed
            assert state == before
            continue
        assert allowed
        if action is OFFER and offer is not None:
            made.append(offer)
        ended = action is not OFFER or len(made) == 2 * scenario.rounds
        assert state.turn == len(made)
        assert state.table == made[-1] if made else state.table is None
        assert (state.ending is not None) == ended
        assert (state.agreement is not None) == (action is ACCEPT)
        if action is ACCEPT:
            assert (state.agreement, state.ended_by, state.ending) == (made[-1], seat, Ending.AGREEMENT)
        if action is WALK_AWAY:
            assert (state.ended_by, state.ending) == (seat, Ending.WALKED_AWAY)
        if not ended:
            assert state.seat == other(seat)
            assert 1 <= state.round <= scenario.rounds
            assert state.legal == (OFFER, ACCEPT, WALK_AWAY)
        else:
            assert state.legal == ()
