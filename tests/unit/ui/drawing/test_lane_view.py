"""A lane is drawn from plain events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from markupsafe import escape

from manager.generation.request import Message
from negotiation.agents.config import AgentConfig
from negotiation.agents.remarks import WORDS
from negotiation.game.events import (
    Ended,
    Halted,
    InvalidReply,
    Measures,
    Note,
    Queued,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.game.protocol import Action, Ending
from negotiation.live.live_runs import DELETED
from negotiation.scenario.model import SEATS, Scenario, Seat, load_scenario
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.lane_head import head_html
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import costliest, table_html, verdict_html
from ui.drawing.turns import now_html, turns_html
from ui.kit import text

CONFIGS = Path(__file__).parents[4] / "configs"
HOSTILE = '<img src=x onerror="hurt()"><script>hurt()</script>&amp;${hurt()}{{hurt}}'


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario(CONFIGS / "scenarios" / "company_car.yaml")


def offer(index: int, price: int, **more: Any) -> TurnTaken:
    seat: Seat = "a" if index % 2 == 0 else "b"
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


def test_a_rejected_reply_is_reported_and_its_text_dropped(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, TurnStarted(0, 1, "a", "agent-a"), Writing("a", 0, '{"thought":"Old')])
    view = view.fold([Rejected("a", 0, InvalidReply("not_json", "That was no JSON.", "x"))])
    assert "That was no JSON." in now_html(view)
    assert "Old" not in now_html(view)


@pytest.mark.parametrize(
    ("queued", "words"),
    [
        (Queued(0, 0), "Waiting to start: you are next"),
        (Queued(0, 0, 0.2), "you are next, about 1 s"),
        (Queued(0, 1, 40.0), "after your other negotiation, about 40 s"),
        (Queued(1, 1, 40.0), "one visitor ahead of you, about 40 s"),
        (Queued(7, 12, 240.0), "7 visitors ahead of you, about 4 min"),
        (Queued(0, 0, 30.0, own=True), "Waiting for one of your other negotiations to end, about 30 s"),
    ],
)
def test_a_queued_visitor_sees_who_goes_first_and_for_how_long(scenario: Scenario, queued: Queued, words: str) -> None:
    view = LaneView(scenario).fold([queued])
    assert words in now_html(view).replace("\N{NO-BREAK SPACE}", " ")
    assert not now_html(view.fold([Started("r", "s", {}, 1)]))


def test_a_deleted_run_is_not_called_stopped(scenario: Scenario) -> None:
    shown = verdict_html(LaneView(scenario).fold([STARTED, Halted("stopped", DELETED)]), space_of(scenario))
    assert "<h3>Deleted</h3>" in shown
    assert "Stopped" not in shown


def test_a_waiting_turn_names_the_reason(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, TurnStarted(0, 1, "a", "agent-a")])
    assert "number 3 in the queue (about 12\N{NO-BREAK SPACE}s)" in now_html(
        view.fold([Waiting("a", "queued", 3, 12.0)])
    )
    assert "looking for" in now_html(view.fold([Waiting("a", "preparing")]))
    assert "40 MB of 90 MB" in now_html(view.fold([Waiting("a", "fetching", 1, None, 40_000_000, 90_000_000)]))


def test_an_offer_marks_changes_since_the_same_sides_last_offer() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "joint_venture.yaml")
    first = {"shares": "60 percent", "lead": "bicycle maker", "site": "new site", "term": "five years"}
    second = {**first, "lead": "start-up"}

    def turn(index: int, offered: dict[str, str]) -> TurnTaken:
        seat: Seat = "a" if index % 2 == 0 else "b"
        return TurnTaken(Turn(index, index // 2 + 1, seat, "x", Action.OFFER, offered, utility_a=0.5, utility_b=0.5))

    shown = turns_html(LaneView(scenario).fold([STARTED, turn(0, first), turn(1, first), turn(2, second)]))
    assert shown.count('class="changed"') == 1
    assert '<span>start-up</span> <del title="before">bicycle maker</del>' in shown


@pytest.mark.parametrize("note", get_args(Note))
def test_a_remark_on_a_models_reply_is_shown_with_its_turn(scenario: Scenario, note: Note) -> None:
    prompt: tuple[Message, ...] = ({"role": "user", "content": "Well?"},)
    shown = turns_html(LaneView(scenario).fold([STARTED, offer(0, 20000, prompt=prompt, notes=(note,))]))
    assert f'<p class="remark">{escape(WORDS[note])}</p>' in shown.partition("<details")[0], "without opening anything"
    assert escape(WORDS[note]) not in turns_html(LaneView(scenario).fold([STARTED, offer(0, 20000, prompt=prompt)]))


def test_hostile_text_stays_text_everywhere(scenario: Scenario) -> None:
    invalid = (InvalidReply("not_json", HOSTILE, HOSTILE, "repaired"),)
    prompt: tuple[Message, ...] = ({"role": "user", "content": HOSTILE},)
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
        HOSTILE,
    )
    view = LaneView(scenario).fold([STARTED, TurnTaken(turn), TurnStarted(1, 1, "b", HOSTILE)])
    view = view.fold(
        [Writing("b", 0, '{"thought":"' + HOSTILE.replace('"', '\\"') + '","message":"' + HOSTILE.replace('"', "'"))]
    )
    halted = view.fold([Halted("failed", HOSTILE)])
    for shown in (turns_html(view), now_html(view), verdict_html(halted, space_of(scenario))):
        assert "<img" not in shown
        assert "<script" not in shown
        assert "&lt;img" in shown


def test_the_verdict_names_gains_and_a_missed_deal() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "joint_venture.yaml")
    poor = {"shares": "40 percent", "lead": "bicycle maker", "site": "bicycle works", "term": "three years"}
    measures = Measures(0.25, 0.305, 0.4, 0.3, 0.4, rational_a=False, rational_b=False)
    view = LaneView(scenario).fold([STARTED, Ended(Ending.AGREEMENT, "b", poor, measures)])
    shown = verdict_html(view, space_of(scenario))
    assert "<h3>Deal" in shown
    assert "10 points below no deal" in shown
    assert "Bicycle maker accepted less than no deal is worth to it." in shown
    assert "Missed: " in shown


def test_no_deal_names_the_side_that_left(scenario: Scenario) -> None:
    measures = Measures(0.25, 0.2, 0.4, 0.3, 0.4, rational_a=True, rational_b=True)
    view = LaneView(scenario).fold([STARTED, Ended(Ending.WALKED_AWAY, "b", None, measures)])
    shown = verdict_html(view, space_of(scenario))
    assert "No deal" in shown
    assert "Engineer walked away." in shown
    assert "<b>25</b>" in shown
    assert "<b>20</b>" in shown
    assert "the same as no deal" in shown


def test_the_plot_draws_both_paths_the_frontier_and_the_deal(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 24000), offer(1, 14000), offer(2, 22000)])
    shown = utility_space(space_of(scenario), view.turns, agreed=False)
    assert shown.count('class="mark seat-a"') == 2
    assert shown.count('class="mark seat-b"') == 1
    assert 'class="frontier"' in shown
    assert 'class="nash"' in shown
    assert 'class="deal" d=' not in shown
    assert 'class="deal" d=' in utility_space(space_of(scenario), view.turns, agreed=True)


def test_a_forfeit_is_called_one(scenario: Scenario) -> None:
    gave_up = (InvalidReply("not_json", "No.", "x", "gave_up"),)
    turn = Turn(0, 1, "a", "x", Action.WALK_AWAY, None, invalid=gave_up)
    assert "gave no usable reply" in turns_html(LaneView(scenario).fold([STARTED, TurnTaken(turn)]))


def test_a_quote_in_a_scenarios_id_breaks_no_plot(scenario: Scenario) -> None:
    odd = scenario.model_copy(update={"scenario_id": 'a "quoted\\ one'})
    assert space_of(odd).scenario == odd
    assert space_of(odd).sample() == space_of(scenario).sample()


def test_agents_appear_under_their_display_names(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 20000), TurnStarted(1, 1, "b", "agent-b")])
    assert "Agent A" in turns_html(view, {"agent-a": "Agent A"})
    assert "Agent B" in now_html(view, {"agent-b": "Agent B"})


def test_the_head_of_a_lane_names_a_scripts_character_and_says_that_it_is_scripted(scenario: Scenario) -> None:
    players: dict[Seat, AgentConfig] = {"a": AgentConfig("hardliner"), "b": AgentConfig("agent-b")}
    head = head_html(LaneView(scenario, players=players), 1, {"agent-b": "Agent B", "hardliner": "The label"})
    assert '<span class="agent" title="scripted: The label">The Wall (hardliner)</span>' in head
    assert '<span class="agent" title="Agent B">Agent B</span>' in head


def test_a_turn_of_a_script_is_labelled_as_scripted_unless_names_are_hidden(scenario: Scenario) -> None:
    def shown(agent: str, **labels: str) -> str:
        made = Turn(0, 1, "a", agent, Action.OFFER, {"price": 20000}, "So much.")
        return turns_html(LaneView(scenario).fold([STARTED, TurnTaken(made)]), labels)

    assert "The Wall · scripted" in shown("hardliner")
    assert "scripted" not in shown("a-model")
    assert "The Wall" not in shown("hardliner", hardliner=text.HIDDEN_AGENT)


def test_a_truncated_message_is_marked(scenario: Scenario) -> None:
    def shown(message: str) -> str:
        turn = Turn(0, 1, "a", "m", Action.OFFER, {"price": 20000}, message)
        return turns_html(LaneView(scenario).fold([STARTED, TurnTaken(turn)]))

    assert 'class="cut"' in shown("word " * 40)
    assert 'class="cut"' not in shown("w" * 199 + ".")
    assert 'class="cut"' not in shown("Short")


def test_the_table_shows_the_last_offer_until_the_end(scenario: Scenario) -> None:
    view = LaneView(scenario)
    assert "8 rounds to agree" in table_html(view)
    assert "Nothing on the table yet" in table_html(view.fold([STARTED]))
    view = view.fold([STARTED, offer(0, 24000), offer(1, 14000)])
    assert "Engineer&#39;s offer from round 1 of 8" in table_html(view)
    assert "14,000" in table_html(view)
    assert table_html(view.fold([Halted("stopped", "stopped")])) == ""


def test_the_costliest_turn_is_the_one_by_which_regret_grew_most(scenario: Scenario) -> None:
    def turn(index: int, price: int) -> TurnTaken:
        a, b = (scenario.utility(seat, {"price": price}) for seat in SEATS)
        seat: Seat = "a" if index % 2 == 0 else "b"
        return TurnTaken(
            Turn(index, index // 2 + 1, seat, "x", Action.OFFER, {"price": price}, utility_a=a, utility_b=b)
        )

    space = space_of(scenario)
    view = LaneView(scenario).fold([STARTED, turn(0, 22000), turn(1, 14000), turn(2, 15000), turn(3, 14500)])
    found = costliest(view.turns, space)
    assert found is not None
    assert found[0].index == 2
    drop = scenario.utility("a", {"price": 22000}) - scenario.utility("a", {"price": 15000})
    assert found[1] == pytest.approx(drop)
    assert costliest((), space) is None


def test_the_verdict_reports_the_cost_of_priced_models(scenario: Scenario) -> None:
    turns = [offer(0, 24000), offer(1, 14000)]
    ended = Ended(Ending.WALKED_AWAY, "a", None, Measures(0.2, 0.1, 0, 0, None, True, True))
    free = LaneView(scenario).fold([STARTED, *turns, ended])
    priced = [TurnTaken(replace(taken.turn, cost=0.0012)) for taken in turns]
    costly = LaneView(scenario).fold([STARTED, *priced, ended])
    space = space_of(scenario)
    assert "Both sides together cost" not in verdict_html(free, space)
    assert "Both sides together cost $0.0024." in verdict_html(costly, space)


def test_the_rounds_show_what_each_side_asks_and_is_offered(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 24000), offer(1, 14000), offer(2, 22000)])
    shown = utility_rounds(space_of(scenario), view.turns)
    assert shown.count('class="mark seat-a"') == 2
    assert shown.count('class="given seat-a"') == 1
    assert shown.count('class="given seat-b"') == 2


def test_a_halted_turn_keeps_what_was_written_and_says_that_it_is_unfinished(scenario: Scenario) -> None:
    writing = '{"thought":"I wonder","action":"offer","offer":{"price":15000},"message":"Take it or'
    moving = LaneView(scenario).fold([STARTED, TurnStarted(0, 1, "a", "agent-a")])
    stopped = moving.fold([Writing("a", 0, writing), Halted("stopped", "stopped")])
    shown = now_html(stopped)
    assert "Take it or" in shown
    assert text.UNFINISHED in shown
    assert "I wonder" in shown
    assert "I wonder" not in now_html(stopped, eyes="b")
    assert now_html(moving.fold([Halted("stopped", "stopped")])) == ""


def test_the_head_of_a_lane_says_how_far_it_is_and_who_plays(scenario: Scenario) -> None:
    players: dict[Seat, AgentConfig] = {"a": AgentConfig("agent-a"), "b": AgentConfig("agent-b", {"temperature": 0.2})}
    view = LaneView(scenario, players=players)
    measures = Measures(0.25, 0.2, 0.4, 0.3, 0.4, rational_a=True, rational_b=True)
    states = [
        (view, "Ready"),
        (view.fold([Queued(1, 1)]), "Waiting"),
        (view.fold([STARTED, offer(0, 20000), offer(1, 15000), TurnStarted(2, 2, "a", "agent-a")]), "Round 2 of 8"),
        (view.fold([STARTED, Ended(Ending.AGREEMENT, "b", {"price": 20000}, measures)]), "Deal"),
        (view.fold([STARTED, Ended(Ending.DEADLINE, None, None, measures)]), "No deal"),
        (view.fold([STARTED, Halted("stopped", DELETED)]), "Deleted"),
    ]
    for shown, state in states:
        head = head_html(shown, 1, {"agent-a": "Agent <A>"})
        assert f">{state}</b>" in head
        assert "Agent &lt;A&gt;" in head
        assert "agent-b (temperature 0.2)" in head


def test_an_offer_shows_its_worth_to_both_sides_as_a_bar(scenario: Scenario) -> None:
    shown = turns_html(LaneView(scenario).fold([STARTED, offer(0, 20000)]))
    assert "Worth in points (of 100): 50 to Fleet manager, 40 to Engineer" in shown
    assert "--value:0.5000" in shown


def test_every_point_of_a_plot_has_a_tooltip(scenario: Scenario) -> None:
    view = LaneView(scenario).fold([STARTED, offer(0, 24000), offer(1, 14000)])
    space = utility_space(space_of(scenario), view.turns, agreed=False)
    point = "<title>Fleet manager in round 1: 50 to Fleet manager, 40 to Engineer"
    assert f"{point}\nPrice: €24,000</title>" in space
    assert utility_rounds(space_of(scenario), view.turns).count(f"{point}</title>") == 2  # asked and offered
