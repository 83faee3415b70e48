"""Turns become visible at a pace at which people can read, whatever the pace at which they were made."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from negotiation.game.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Measures,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Writing,
)
from negotiation.game.protocol import Action, Ending
from negotiation.replies.reader import glimpse
from negotiation.scenario.model import SEATS, load_scenario
from ui.drawing.lane_view import LaneView
from ui.widgets import follow
from ui.widgets.follow import paced, still
from ui.widgets.pacing import PACES, PAUSE_LEAST, PAUSE_MOST, TYPING_SECONDS, Pacer

CAR = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")
STARTED = Started("r", "company_car", {"a": "boulware", "b": "linear"}, 1)
ENDED = Ended(Ending.DEADLINE, None, None, Measures(0.25, 0.2, 0.4, 0.3, 0.4, rational_a=True, rational_b=True))
SCRIPTS, MODEL, PERSON = ("boulware", "linear"), "a-model", "human"
STEP = 0.1


def turn(index: int, agent: str, message: str = "So much, and no more.", seconds: float = 0.0) -> TurnTaken:
    made = Turn(
        index, index // 2 + 1, SEATS[index % 2], agent, Action.OFFER, {"price": 20000}, message, seconds=seconds
    )
    return TurnTaken(made)


def begins(index: int, agent: str) -> TurnStarted:
    return TurnStarted(index, index // 2 + 1, SEATS[index % 2], agent)


def watched(
    pacer: Pacer, happening: Sequence[tuple[float, Sequence[Event]]], pace: str = "normal", seconds: float = 60
) -> list[tuple[float, LaneView]]:
    """What is visible of events that happen at given times, whenever that changes."""
    view, seen, still_to_come = LaneView(CAR), list[tuple[float, LaneView]](), list(happening)
    for number in range(round(seconds / STEP)):
        now = number * STEP
        while still_to_come and still_to_come[0][0] <= now:
            view = view.fold(still_to_come.pop(0)[1])
        visible = pacer.show(view, now, PACES[pace])
        if not seen or visible != seen[-1][1]:
            seen.append((now, visible))
    return seen


def scripted(turns: int) -> list[Event]:
    return [STARTED, *(turn(index, SCRIPTS[index % 2]) for index in range(turns)), ENDED]


def test_a_finished_run_of_scripts_is_played_turn_by_turn() -> None:
    events = scripted(4)
    seen = watched(Pacer(0), [(0, events)])
    assert [len(view.turns) for _, view in seen] == sorted(len(view.turns) for _, view in seen)
    assert seen[-1][1] == LaneView(CAR).fold(events)
    for index in range(4):
        during = [view for _, view in seen[:-1] if len(view.turns) == index]
        assert all(view.end is None and view.moving and view.moving.agent == SCRIPTS[index % 2] for view in during)
        assert not during[0].moving.written if during[0].moving else False, "the typing indicator comes first"
        said = [glimpse(view.moving.written).get("message", "") for view in during if view.moving]
        assert len(said) > 4
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(said))
        assert said[-1] == "So much, and no more."


def test_the_longer_the_message_before_the_longer_the_pause() -> None:
    def ends(message: str) -> float:
        return watched(Pacer(0), [(0, [STARTED, turn(0, "boulware", message), turn(1, "linear")])])[-1][0]

    assert ends("Yes.") < ends("I have thought about it long and hard.") < ends("I have thought. " * 10)
    assert ends("I have thought. " * 500) <= PAUSE_LEAST + PAUSE_MOST + 2 * TYPING_SECONDS + 4 * STEP


def test_paces_differ_and_instant_shows_everything_at_once() -> None:
    ends = {pace: watched(Pacer(0), [(0, scripted(4))], pace)[-1][0] for pace in PACES}
    assert ends["slow"] > ends["normal"] > ends["fast"] > ends["instant"] == 0


def test_the_pace_can_change_at_any_time() -> None:
    pacer, view = Pacer(0), LaneView(CAR).fold(scripted(4))
    assert not pacer.show(view, 0, PACES["slow"]).turns
    written = [pacer.show(view, 1 + number * STEP, PACES["slow"]).moving for number in range(8)]
    faster = pacer.show(view, 1.8, PACES["fast"])
    assert faster.moving
    assert written[-1]
    assert faster.moving.written.startswith(written[-1].written), "nothing that was shown disappears"
    assert pacer.show(view, 1.9, PACES["instant"]) == view


def test_what_a_model_was_seen_writing_appears_at_once_and_a_scripts_answer_is_played() -> None:
    happening: list[tuple[float, list[Event]]] = [
        (0, [STARTED, begins(0, MODEL)]),
        (1, [Writing("a", 0, '{"message": "So')]),
        (5, [turn(0, MODEL), begins(1, "linear"), turn(1, "linear"), begins(2, MODEL)]),
        (20, [Writing("a", 0, '{"message": "Hm')]),
    ]
    seen = watched(Pacer(0), happening)
    first = {len(view.turns): now for now, view in reversed(seen)}
    assert first[1] == pytest.approx(5)
    assert 5 + PAUSE_LEAST + TYPING_SECONDS - STEP <= first[2] <= 5 + PAUSE_MOST + TYPING_SECONDS + STEP
    assert any(view.moving and view.moving.written.startswith('{"message": "Hm') for _, view in seen)


def test_a_model_that_answered_while_a_script_was_played_is_played_as_well() -> None:
    happening: list[tuple[float, list[Event]]] = [
        (0, [STARTED, turn(0, "boulware"), begins(1, MODEL)]),
        (0.5, [turn(1, MODEL, seconds=0.4), ENDED]),
    ]
    seen = watched(Pacer(0), happening)
    during = [view for _, view in seen if len(view.turns) == 1]
    assert during[0].moving
    assert during[0].moving.agent == MODEL
    assert len(during) > 4


def test_a_persons_own_turn_appears_at_once() -> None:
    happening: list[tuple[float, list[Event]]] = [
        (0, [STARTED, begins(0, PERSON), Asked("a", 600)]),
        (4, [turn(0, PERSON), begins(1, "linear"), turn(1, "linear"), begins(2, PERSON), Asked("a", 600)]),
    ]
    seen = watched(Pacer(0), happening)
    assert next(now for now, view in seen if len(view.turns) == 1) == pytest.approx(4)
    asked = [view for _, view in seen if view.moving and view.moving.answer_seconds and view.turns]
    assert all(len(view.turns) == 2 for view in asked), "a person answers what they have read"


def test_a_run_that_was_stopped_is_visible_at_once() -> None:
    halted = Halted("stopped", "stopped by its owner")
    happening: list[tuple[float, list[Event]]] = [
        (0, [STARTED, turn(0, "boulware"), begins(1, MODEL), Writing("b", 0, '{"message": "Wel')]),
        (0.5, [halted]),
    ]
    now, last = watched(Pacer(0), happening)[-1]
    assert now == pytest.approx(0.5)
    assert last.end == halted
    assert last.unfinished


@pytest.mark.parametrize(("seen", "at_once"), [(0, 0), (3, 3), (None, 4)])
def test_turns_that_were_seen_before_are_visible_at_once(seen: int | None, at_once: int) -> None:
    happening: list[tuple[float, list[Event]]] = [(0, scripted(4)[:-1]), (1, [turn(4, "boulware"), ENDED])]
    visible = watched(Pacer(seen), happening)
    assert len(visible[0][1].turns) == at_once
    assert len(visible[-1][1].turns) == 5


def test_a_lane_follows_until_the_end_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, view = [0.0], LaneView(CAR).fold(scripted(3))

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    async def watch(pace: str) -> list[LaneView]:
        return [visible async for visible in paced(still(view), lambda: PACES[pace], 0)]

    monkeypatch.setattr(follow, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert asyncio.run(watch("instant")) == [view]
    assert clock[0] == 0
    played = asyncio.run(watch("normal"))
    assert [len(visible.turns) for visible in played if visible.moving and not visible.moving.written] == [0, 1, 2]
    assert played[-1] == view
    assert 3 * (PAUSE_LEAST + TYPING_SECONDS) - STEP < clock[0] < 3 * (PAUSE_MOST + TYPING_SECONDS)
