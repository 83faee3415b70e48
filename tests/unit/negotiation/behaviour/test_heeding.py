"""Whether a side gives way where the other side said that it matters."""

from __future__ import annotations

from typing import Any

import pytest

from negotiation.behaviour.heeding import heeded
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import Offer, Scenario

NEEDS_WATER = "Water is what I need most."


def offers(*moves: tuple[Offer, str]) -> list[Turn]:
    return [
        Turn(index, index // 2 + 1, "ab"[index % 2], "any", Action.OFFER, offer, message)  # type: ignore[arg-type]
        for index, (offer, message) in enumerate(moves)
    ]


def packs(food: int, water: int, firewood: int) -> dict[str, Any]:
    return {"food": food, "water": water, "firewood": firewood}


@pytest.mark.parametrize(
    ("after", "heeds"),
    [
        (packs(1, 2, 1), [1.0]),  # more water for the hiker, nothing else
        (packs(1, 1, 1), [0.0]),  # nothing
        (packs(2, 1, 2), [-1.0]),  # more of all but the water
        (packs(2, 2, 2), [0.0]),  # more of all: it would have given the water anyway
        (packs(2, 2, 1), [0.5]),
    ],
)
def test_giving_way_is_compared_with_the_other_issues(
    shipped: dict[str, Scenario], after: Offer, heeds: list[float]
) -> None:
    camp = shipped["camp_supplies"]
    turns = offers((packs(3, 3, 3), ""), (packs(1, 1, 1), ""), (packs(3, 3, 2), NEEDS_WATER), (after, ""))
    assert heeded(camp, turns, "b") == heeds
    assert heeded(camp, turns, "a") == []  # the camper said nothing


def test_there_is_no_chance_without_an_offer_before_and_after_or_without_room(shipped: dict[str, Scenario]) -> None:
    camp = shipped["camp_supplies"]
    first = offers((packs(3, 3, 3), NEEDS_WATER), (packs(1, 1, 1), ""))
    assert heeded(camp, first, "b") == []
    full = offers((packs(3, 3, 3), ""), (packs(1, 3, 1), ""), (packs(3, 3, 2), NEEDS_WATER), (packs(2, 3, 1), ""))
    assert heeded(camp, full, "b") == []
    assert heeded(camp, full[:3], "b") == []


def test_one_issue_leaves_nothing_to_compare_with(shipped: dict[str, Scenario]) -> None:
    said = "The price matters most to me."
    turns = offers(({"price": 22000}, ""), ({"price": 15000}, ""), ({"price": 21000}, said), ({"price": 16000}, ""))
    assert heeded(shipped["company_car"], turns, "b") == []
