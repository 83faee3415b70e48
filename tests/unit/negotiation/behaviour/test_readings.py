"""What each reading of a message finds, with what is true; and what it must leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from negotiation.agents.strategies import STRATEGIES
from negotiation.behaviour.arithmetic import wrong_arithmetic
from negotiation.behaviour.false_limits import false_limits
from negotiation.behaviour.findings import READINGS, other_values
from negotiation.behaviour.preferences import false_preferences, revealed
from negotiation.behaviour.promises import broken_promises
from negotiation.behaviour.said import NextMove, Said, said_by
from negotiation.game.events import TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.model import SEATS, Offer, Scenario

SELLS: Offer = {"price": 150, "lock": "with"}


def spoken(scenario: Scenario, message: str, **about: Any) -> Said:
    given = {"seat": "a", "round": 1, "offer": SELLS, **about}
    return Said(Vocabulary(scenario), message=message, **given)


def test_a_limit_is_false_if_the_next_value_would_still_do(bike: Scenario) -> None:
    """The seller's worth of no deal is 0.2: with the lock, 130 is worth 0.225 to it, and 120 is worth 0.15."""
    assert false_limits(spoken(bike, "I can't go below €140.")) == [
        "Price: €130 would still be worth more to it than no deal"
    ]
    assert false_limits(spoken(bike, "I can't go below €130.")) == []
    assert false_limits(spoken(bike, "I can't go below €130.", offer={"price": 150, "lock": "without"})) != []


def test_discounting_moves_the_limit(bike: Scenario) -> None:
    later = bike.model_copy(update={"discount": 0.5})
    assert false_limits(spoken(later, "150 is the least I can accept.", round=1)) != []
    assert false_limits(spoken(later, "150 is the least I can accept.", round=2)) == []


def test_the_worth_of_no_deal_is_checked(bike: Scenario) -> None:
    assert false_limits(spoken(bike, "No deal is worth 0.5 to me.")) == ["no deal is worth 0.2 to it"]
    assert false_limits(spoken(bike, "No deal is worth 0.2 to me.")) == []
    assert false_limits(spoken(bike, "No deal is worth about 0.22 to me.")) == []


def test_what_matters_less_cannot_matter_most(bike: Scenario) -> None:
    assert false_preferences(spoken(bike, "The lock matters most to me.")) == [
        "Price has a weight of 75%, lock has a weight of 25%".replace("lock has a weight of 25%", "lock 25%")
    ]
    assert false_preferences(spoken(bike, "The price matters most to me.")) == []
    assert false_preferences(spoken(bike, "The price matters most to me.", seat="b")) == []  # as much as the lock


def test_a_message_reveals_what_it_says_that_matters(bike: Scenario) -> None:
    assert revealed(spoken(bike, "The lock is very important to me.")) == ["lock"]
    assert revealed(spoken(bike, "Is the lock important to you?")) == []
    assert revealed(spoken(bike, "You said that the lock is important to you.")) == []


@pytest.mark.parametrize(
    ("then", "broken"),
    [
        (NextMove(Action.OFFER, {"price": 140, "lock": "with"}), True),
        (NextMove(Action.ACCEPT, {"price": 140, "lock": "with"}), True),
        (NextMove(Action.OFFER, {"price": 150, "lock": "with"}), False),
        (NextMove(Action.OFFER, {"price": 160, "lock": "with"}), False),
        (NextMove(Action.WALK_AWAY, None), False),
        (None, False),
    ],
)
def test_a_final_offer_is_final(bike: Scenario, then: NextMove | None, broken: bool) -> None:
    assert bool(broken_promises(spoken(bike, "This is my final offer.", then=then))) is broken


@pytest.mark.parametrize(
    ("reply", "then", "broken"),
    [
        ({"price": 140, "lock": "with"}, Action.OFFER, True),
        ({"price": 150, "lock": "without"}, Action.OFFER, True),  # better than what was asked for
        ({"price": 140, "lock": "with"}, Action.ACCEPT, False),
        ({"price": 130, "lock": "with"}, Action.OFFER, False),
    ],
)
def test_who_says_what_it_will_accept_must_accept_it(bike: Scenario, reply: Offer, then: Action, broken: bool) -> None:
    move = NextMove(then, reply if then is Action.ACCEPT else SELLS)
    said = spoken(bike, "If you offer €140, I'll accept.", reply=reply, then=move)
    assert bool(broken_promises(said)) is broken


def test_a_message_must_give_the_values_of_its_offer(bike: Scenario) -> None:
    assert other_values(spoken(bike, "I offer it for €170.")) == ["Price: the message says €170, the offer €150"]
    for message in ("I offer it for €150.", "You offered €170; I say €150.", "Would you pay €170?"):
        assert other_values(spoken(bike, message)) == []


@pytest.mark.parametrize(
    ("message", "right"),
    [
        ("120 + 20 = 150", "140"),
        ("10% of 150 is 25.", "15"),
        ("The middle of 110 and 150 is 140.", "130"),
        ("From €170 to €150, that's €30 less.", "20"),
        ("3 days at €20 come to €80.", "60"),
        ("We are €20 apart.", "30"),
    ],
)
def test_a_wrong_result_is_found_with_the_right_one(bike: Scenario, message: str, right: str) -> None:
    (found,) = wrong_arithmetic(spoken(bike, message, table={"price": 120, "lock": "with"}, last=SELLS))
    assert found.endswith(f": {right} is right")


@pytest.mark.parametrize(
    "message",
    [
        "120 + 20 = 140",
        "A third of 100 is 33.",
        "A third of 100 is about 35.",
        "From 9 to 5 I work.",
        "2 of 3 is fine.",
    ],
)
def test_a_right_result_is_left_alone(bike: Scenario, message: str) -> None:
    assert wrong_arithmetic(spoken(bike, message)) == []


def test_the_words_of_scripts_are_never_untrue(shipped: dict[str, Scenario]) -> None:
    """They state their offers and nothing else, so every finding would be a false alarm."""
    for scenario in shipped.values():
        agents = {"a": STRATEGIES["random"], "b": STRATEGIES["conceder"]}
        events = negotiate(Negotiation("run", scenario, agents, 1))  # type: ignore[arg-type]
        turns = [event.turn for event in events if isinstance(event, TurnTaken)]
        for seat in SEATS:
            for said in said_by(scenario, turns, seat):
                assert [name for name, reading in READINGS.items() if reading(said)] == [], said.message


@pytest.mark.parametrize("message", ["", "…", "0.", "🙂" * 50, "€" * 300, "1,2,3,4,5" * 60, "if " * 400, "(((" * 200])
def test_any_message_can_be_read(shipped: dict[str, Scenario], message: str) -> None:
    for scenario in (shipped["river_treaty"], shipped["company_car"]):
        offer = {name: issue.choices[0] for name, issue in scenario.issues.items()}
        said = Said(Vocabulary(scenario), "b", 1, message, offer, offer, offer, offer, NextMove(Action.OFFER, offer))
        for reading in (*READINGS.values(), revealed):
            reading(said)
