"""The bad habits that `benchmarks.habits` counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.habit_counts import Habits, echo_share, echoes, habits, opens_at_reservation
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import Scenario, Seat

Points = Callable[..., Scenario]
LINE = tuple((number / 100, 1 - number / 100) for number in range(101))


def turn(index: int, seat: Seat, deal: str | None = None, message: str = "", **about: Any) -> Turn:
    offer = None if deal is None else {"deal": deal}
    about.setdefault("action", Action.OFFER if offer else Action.WALK_AWAY)
    return Turn(index=index, round=index // 2 + 1, seat=seat, agent="any", offer=offer, message=message, **about)


@pytest.mark.parametrize(
    ("deal", "at_limit"), [("o30", True), ("o32", True), ("o28", True), ("o33", False), ("o27", False), ("o100", False)]
)
def test_opening_at_the_reservation_value(of_points: Points, deal: str, at_limit: bool) -> None:
    scenario = of_points(*LINE, reservation=(0.3, 0.3))
    turns = [turn(0, "a", deal), turn(1, "b", "o0"), turn(2, "a", "o30")]
    assert opens_at_reservation(scenario, turns, "a") is at_limit


def test_a_seat_without_an_offer_has_no_opening(of_points: Points) -> None:
    scenario = of_points(*LINE)
    assert opens_at_reservation(scenario, [turn(0, "a", "o50"), turn(1, "b")], "b") is None
    assert opens_at_reservation(scenario, [], "a") is None


HEARD = "I can offer you the car for 15,000 euros, which is fair."


@pytest.mark.parametrize(
    ("message", "share"),
    [
        (HEARD, 1.0),
        ("i can OFFER you the car: for 15 000 euros which is fair!", 1.0),
        ("I can offer you nothing.", 0.8),
        ("You can offer me the car, which is fair.", 0.0),
        ("Something else entirely, with words of my own.", 0.0),
        ("the car", 1.0),
        ("my car", 0.0),
        ("...", 0.0),
        ("", 0.0),
    ],
)
def test_the_share_of_repeated_words(message: str, share: float) -> None:
    assert echo_share(message, HEARD) == share


def test_an_echo_repeats_the_other_sides_last_message() -> None:
    said = ["I offer you a good car.", "A good price, please.", "Then we are far apart.", "I offer you a good car."]
    turns = [turn(index, "ab"[index % 2], "o0", message) for index, message in enumerate(said)]  # type: ignore[arg-type]
    assert echoes(turns, "b") == [False, False]  # the last repeats what was said before the last
    assert echoes(turns, "a") == [False]
    turns.append(turn(4, "a", "o0", said[3]))
    assert echoes(turns, "a") == [False, True]


def test_an_empty_message_is_no_echo() -> None:
    assert echoes([turn(0, "a", "o0", ""), turn(1, "b", "o0", "Hello."), turn(2, "a", "o0", "")], "a") == []
    assert echoes([turn(0, "a", "o0", ""), turn(1, "b", "o0", "Hello.")], "b") == []


def test_habits_add_up(of_points: Points) -> None:
    scenario = of_points(*LINE, reservation=(0.0, 0.3))
    one = [
        turn(0, "a", "o70", "Take this or leave it."),
        turn(1, "b", "o70", "Take this or leave it."),
        turn(2, "a", "o90", "No."),
        turn(3, "b", action=Action.ACCEPT, utility_b=0.1, message="Yes."),
    ]
    seen = habits(scenario, one, "b")
    assert seen == Habits(1, 1, 2, 1, 1, 1)
    assert seen + Habits(1, 0, 3, 0, 1, 0) == Habits(2, 1, 5, 1, 2, 1)
    assert habits(scenario, [], "b") == Habits()
