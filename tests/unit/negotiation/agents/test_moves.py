"""What a move amounts to for the side that makes it, and what its words may name."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from negotiation.agents.moves import MoveKind, moment
from negotiation.game.agent import View
from negotiation.game.protocol import Action
from negotiation.scenario.model import Scenario, parse_scenario

Views = Callable[..., View]
BEST, GOOD, LESS, BAD, WORST = (
    dict[str, str | int](price=price, lock=lock)
    for price, lock in ((200, "without"), (200, "with"), (190, "with"), (150, "with"), (100, "with"))
)
"""Offers in the eyes of the seller, worth 1, 0.75, 0.675, 0.375 and 0."""


def offers(*made: Any) -> list[Any]:
    return [(Action.OFFER, offer, "") for offer in made]


@pytest.mark.parametrize(
    ("before", "offer", "kind"),
    [
        ((), BEST, "open"),
        ((GOOD, WORST), GOOD, "hold"),
        ((GOOD, WORST), LESS, "small"),  # 0.075 of 0.8 that could be gained
        ((GOOD, WORST), BAD, "large"),
        ((GOOD, WORST), BEST, "raise"),
        ((BEST, WORST) * 3, BEST, "last"),
    ],
)
def test_offers_are_sorted_by_what_they_give(
    bike: Scenario, make_view: Views, before: tuple[Any, ...], offer: Any, kind: str
) -> None:
    assert moment(make_view(bike, offers(*before)), Action.OFFER, offer).kind == kind


def test_the_other_side_of_the_deadline(bike: Scenario, make_view: Views) -> None:
    moves = offers(*(BEST, WORST) * 4)
    assert moment(make_view(bike, moves[:5]), Action.OFFER, WORST).kind is MoveKind.LAST  # b's, which a can accept
    assert moment(make_view(bike, moves[:7]), Action.OFFER, WORST).kind is MoveKind.TOO_LATE


def test_an_offer_of_equal_worth_is_a_shift(bike_data: dict[str, Any], make_view: Views) -> None:
    bike_data["roles"]["a"]["weights"] = {"price": 0.5, "lock": 0.5}
    view = make_view(parse_scenario("bike", bike_data, "bike"), offers({"price": 100, "lock": "without"}, WORST))
    assert moment(view, Action.OFFER, {"price": 200, "lock": "with"}).kind is MoveKind.SHIFT


def test_accepting_much_less_than_one_asked_for_is_giving_in(bike: Scenario, make_view: Views) -> None:
    assert moment(make_view(bike, offers(GOOD, LESS)), Action.ACCEPT).kind is MoveKind.ACCEPT
    assert moment(make_view(bike, offers(GOOD, BAD)), Action.ACCEPT).kind is MoveKind.GIVE_IN
    assert moment(make_view(bike, offers(GOOD)), Action.ACCEPT).kind is MoveKind.ACCEPT  # nothing asked for yet
    assert moment(make_view(bike, offers(GOOD)), Action.WALK_AWAY).kind is MoveKind.LEAVE


@pytest.mark.parametrize(
    ("theirs", "heard"),
    [((), "nothing"), ((BAD,), "first"), ((BAD, LESS), "gave"), ((BAD, BAD), "held"), ((BAD, WORST), "took")],
)
def test_the_other_sides_last_step_is_heard(
    bike: Scenario, make_view: Views, theirs: tuple[Any, ...], heard: str
) -> None:
    moves = offers(*(offer for their in theirs for offer in (BEST, their)))
    assert moment(make_view(bike, moves), Action.OFFER, BEST).heard == heard


def all_facts(view: View, action: Action, offer: Any = None) -> dict[str, set[str]]:
    now = moment(view, action, offer)
    found: dict[str, set[str]] = {}
    for seed in range(60):
        for slot, value in now.facts(random.Random(seed)).items():
            found.setdefault(slot, set()).add(value)
    return found


def test_facts_are_those_of_the_offer(bike: Scenario, make_view: Views) -> None:
    facts = all_facts(make_view(bike, offers(BEST, WORST)), Action.OFFER, BAD)
    assert (facts["me"], facts["other"]) == ({"Seller"}, {"Buyer"})
    assert facts["round"] == {"two"}
    assert facts["topic"] == {"“Price”", "“lock”"}
    assert facts["ask"] == {"€150", "Price: €150"}  # neither term suits the seller; this one brings more
    assert facts["“ask”"] == {"€150", "“Price: €150”"}
    assert facts["gift"] == {"€150", "Price: €150", "lock: with"}
    assert facts["pinch"] == {"lock: with"}
    assert facts["less"] == {"less"}
    assert "gain" not in facts


def test_a_number_is_said_with_its_issue_where_there_are_several(bike_data: dict[str, Any], make_view: Views) -> None:
    bike_data["issues"]["lock"] = {"options": ["with 2 keys", "without"]}
    for seat in ("a", "b"):
        values = bike_data["roles"][seat]["values"]["lock"]
        values["with 2 keys"] = values.pop("with")
    view = make_view(parse_scenario("bike", bike_data, "bike"))
    offer = {"price": 150, "lock": "with 2 keys"}
    assert all_facts(view, Action.OFFER, offer)["ask"] == {"Price: €150"}


def test_walking_away_names_no_value(bike: Scenario, make_view: Views) -> None:
    facts = all_facts(make_view(bike, offers(BEST)), Action.WALK_AWAY)
    assert set(facts) == {"me", "other", "round", "topic"}
