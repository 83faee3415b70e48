"""What a lane shows follows from plain events."""

from __future__ import annotations

from pathlib import Path

import pytest

from negotiation.analysis import Analyser
from negotiation.events import (
    Ended,
    Halted,
    InvalidReply,
    Measures,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.protocol import Action, Ending
from negotiation.scenario import Scenario, load_scenario
from ui.charts import utility_space
from ui.lane import now_html, turns_html, verdict_html
from ui.view import LaneView

CONFIGS = Path(__file__).parents[3] / "configs"
HOSTILE = '<img src=x onerror="hurt()"><script>hurt()</script>&amp;${hurt()}{{hurt}}'


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario(CONFIGS / "scenarios" / "company_car.yaml")


def offer(index: int, price: int, **more: object) -> TurnTaken:
    seat = "a" if index % 2 == 0 else "b"
    return TurnTaken(
        Turn(
            index,
            index // 2 + 1,
            seat,
            f"agent-{seat}",
            Action.OFFER,
            {"price": price},
            "So much.",
            "Hm.",
            0.5,
            0.4,
            **more,
        )
    )


STARTED = Started("run-1", "company_car", {"a": "agent-a", "b": "agent-b"}, 1)


def test_events_fold_into_turns_and_the_turn_being_made(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 20000), TurnStarted(1, 1, "b", "agent-b")])
    assert [turn.index for turn in view.turns] == [0]
    assert view.moving is not None
    waiting = view.fold([Waiting("b", "loading", 1, 4.0, 5, 10)])
    assert "loading the model" in now_html(waiting)
    assert 'value="50"' in now_html(waiting)
    writing = waiting.fold([Writing("b", 0, '{"thought":"I wo'), Writing("b", 0, "nder")])
    assert "I wonder" in now_html(writing)
    assert "is thinking" in now_html(writing)
    speaking = writing.fold([Writing("b", 0, '","action":"offer","offer":{"price":15000},"message":"Take')])
    assert "is speaking" in now_html(speaking)
    assert "Take" in now_html(speaking)
    assert now_html(speaking.fold([offer(1, 15000)])) == ""


def test_a_rejected_reply_is_said_and_its_text_forgotten(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, TurnStarted(0, 1, "a", "agent-a"), Writing("a", 0, '{"thought":"Old')])
    view = view.fold([Rejected("a", 0, InvalidReply("not_json", "That was no JSON.", "x"))])
    assert "That was no JSON." in now_html(view)
    assert "Old" not in now_html(view)


def test_queued_and_preparing_say_what_is_waited_for(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, TurnStarted(0, 1, "a", "agent-a")])
    assert "number 3 in the queue (about 12 s)" in now_html(view.fold([Waiting("a", "queued", 3, 12.0)]))
    assert "looking for" in now_html(view.fold([Waiting("a", "preparing")]))
    assert "40 MB of 90 MB" in now_html(view.fold([Waiting("a", "fetching", 1, None, 40_000_000, 90_000_000)]))


def test_an_offer_marks_what_changed_since_the_last_own_one() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "joint_venture.yaml")
    first = {"shares": "60 percent", "lead": "bicycle maker", "site": "new site", "term": "five years"}
    second = {**first, "lead": "start-up"}

    def turn(index: int, offered: dict[str, str]) -> TurnTaken:
        seat = "a" if index % 2 == 0 else "b"
        return TurnTaken(Turn(index, index // 2 + 1, seat, "x", Action.OFFER, offered, utility_a=0.5, utility_b=0.5))

    shown = turns_html(LaneView(scenario).fold([STARTED, turn(0, first), turn(1, first), turn(2, second)]))
    assert shown.count('class="changed"') == 1
    assert '<dd class="changed">start-up</dd>' in shown


def test_hostile_text_is_shown_as_text_everywhere(scenario: Scenario) -> None:
    invalid = (InvalidReply("not_json", HOSTILE, HOSTILE, "repaired"),)
    prompt = ({"role": "user", "content": HOSTILE},)
    turn = Turn(
        0,
        1,
        "a",
        HOSTILE,
        Action.OFFER,
        {"price": 20000},
        HOSTILE,
        HOSTILE,
        0.5,
        0.4,
        invalid,
        prompt,
        HOSTILE,  # type: ignore[arg-type]
    )
    view = LaneView(scenario).fold([STARTED, TurnTaken(turn), TurnStarted(1, 1, "b", HOSTILE)])
    view = view.fold(
        [Writing("b", 0, '{"thought":"' + HOSTILE.replace('"', '\\"') + '","message":"' + HOSTILE.replace('"', "'"))]
    )
    halted = view.fold([Halted("failed", HOSTILE)])
    for shown in (turns_html(view), now_html(view), verdict_html(halted, Analyser(scenario))):
        assert "<img" not in shown
        assert "<script" not in shown
        assert "&lt;img" in shown


def test_the_verdict_says_who_got_what_and_what_was_wasted() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "joint_venture.yaml")
    poor = {"shares": "40 percent", "lead": "bicycle maker", "site": "bicycle works", "term": "three years"}
    measures = Measures(0.25, 0.305, 0.4, 0.3, 0.4, rational_a=False, rational_b=False)
    view = LaneView(scenario).fold([STARTED, Ended(Ending.AGREEMENT, "b", poor, measures)])
    shown = verdict_html(view, Analyser(scenario))
    assert "Deal: " in shown
    assert "Bicycle maker got 0.25, 0.10 worse than no deal (0.35)." in shown
    assert "Bicycle maker accepted less than walking away would have given." in shown
    assert "Something was left on the table" in shown


def test_no_deal_names_who_left(scenario: Scenario) -> None:
    measures = Measures(0.25, 0.2, 0.4, 0.3, 0.4, rational_a=True, rational_b=True)
    view = LaneView(scenario).fold([STARTED, Ended(Ending.WALKED_AWAY, "b", None, measures)])
    shown = verdict_html(view, Analyser(scenario))
    assert "No deal" in shown
    assert "Engineer walked away." in shown
    assert "0.25 to the Fleet manager, 0.20 to the Engineer" in shown


def test_the_plot_draws_both_paths_the_frontier_and_the_deal(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 24000), offer(1, 14000), offer(2, 22000)])
    shown = utility_space(scenario, Analyser(scenario), view.turns, agreed=False)
    assert shown.count('class="mark seat-a"') == 2
    assert shown.count('class="mark seat-b"') == 1
    assert 'class="frontier"' in shown
    assert 'class="nash"' in shown
    assert 'class="deal" d=' not in shown
    assert 'class="deal" d=' in utility_space(scenario, Analyser(scenario), view.turns, agreed=True)


def test_a_forfeit_is_named_as_such(scenario: Scenario) -> None:
    gave_up = (InvalidReply("not_json", "No.", "x", "gave_up"),)
    turn = Turn(0, 1, "a", "x", Action.WALK_AWAY, None, invalid=gave_up)
    assert "gave no usable reply" in turns_html(LaneView(scenario).fold([STARTED, TurnTaken(turn)]))
