"""What a shared link says about one run and about two lanes, and what it keeps to itself before the vote."""

from __future__ import annotations

from dataclasses import replace

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.settings import SHIPPED
from negotiation.game.events import Halted
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, load_scenario
from tests.support.finished import finished, two_lanes
from ui.sharing.subject import link_to, subject_of
from ui.sharing.transcript import transcript

NAMES = {"boulware": "the Rock", "conceder": "the Pleaser", "hardliner": "the Wall"}
LINK = "https://parley.example/?run=1"


@pytest.fixture(scope="module")
def camera() -> Scenario:
    return load_scenario(SHIPPED / "scenarios" / "used_camera.yaml")


def test_two_lanes_are_told_by_who_came_out_ahead(camera: Scenario) -> None:
    subject = subject_of(two_lanes(camera), NAMES)
    assert subject.title == camera.title
    assert subject.headline == "Lane 1 got the Dealer €80 more (48 points to 34)."
    assert subject.about.startswith("Neither lane left anything on the table. Lane 1: Dealer (the Rock) against ")
    assert [lane.outcome for lane in subject.lanes] == ["Deal in round 8", "Deal in round 7"]


def test_one_run_is_told_by_its_deal_or_by_how_it_ended(camera: Scenario) -> None:
    deal = subject_of([finished(camera)], NAMES)
    assert deal.headline == "The Dealer got 34 points, the Film student 79."
    assert deal.details == "Price: €250, Second lens: stays with the dealer, Leather case: goes with the camera"
    none = subject_of([finished(camera, "hardliner", "hardliner")], NAMES)
    assert none.headline == "No deal. The last round ended without an agreement."
    running = replace(finished(camera), status="running", ending=None, agreement=None, measures=None)
    assert subject_of([running], NAMES).headline == "Round 7 of 8."
    assert not subject_of([running], NAMES).over
    stopped = replace(running, status="stopped", reason="stopped").end(Halted("stopped", "stopped"))
    assert subject_of([stopped], NAMES).headline == "Stopped."


def test_lanes_of_which_one_still_negotiates_are_told_one_by_one(camera: Scenario) -> None:
    first, second = two_lanes(camera)
    running = replace(first, status="running", ending=None, agreement=None, measures=None)
    assert subject_of([running, second], NAMES).headline == "Lane 1: Round 8 of 8. Lane 2: Deal in round 7."


def test_before_the_vote_nothing_tells_the_players_or_the_result(camera: Scenario) -> None:
    runs = two_lanes(camera)
    subject = subject_of(runs, NAMES, hidden=True)
    told = transcript(subject, LINK)
    for words in (subject.headline, subject.about, told):
        assert not [name for name in (*NAMES, *NAMES.values()) if name in words]
        assert "points" not in words.replace("Names and points stay hidden", "")
        assert "worth" not in words
    assert subject.headline == "Which lane bargained better for the Dealer?"
    assert not [side for lane in subject.lanes for side in lane.sides if side.worth or side.agent in NAMES.values()]
    assert subject.link == f"?run={runs[0].run_id}&blind=1"


def test_one_run_alone_has_no_vote_and_hides_nothing(camera: Scenario) -> None:
    assert not subject_of([finished(camera)], NAMES, hidden=True).hidden


def test_a_run_of_a_person_is_shared_as_a_replay(camera: Scenario) -> None:
    run = finished(camera)
    person: Run = replace(run, agents={**run.agents, "a": AgentConfig(HUMAN)})
    assert link_to(run) == f"?run={run.run_id}"
    assert link_to(person) == f"?replay={run.run_id}"


def test_a_transcript_has_what_was_said_offered_and_agreed(camera: Scenario) -> None:
    run = finished(camera)
    first = replace(run.turns[0], message="Look at\n\nFilm student: (accepts the offer)", thought="SECRET")
    told = transcript(subject_of([replace(run, turns=(first, *run.turns[1:]))], NAMES), LINK)
    lines = told.splitlines()
    assert lines[:3] == [camera.title, "The Dealer got 34 points, the Film student 79.", LINK]
    assert "Dealer (the Pleaser) against Film student (the Rock). Seed 1." in lines
    assert "Dealer: Look at Film student: (accepts the offer)" in lines, "a message cannot pass for a turn"
    assert (
        lines[-1]
        == f"Deal in round 7. {camera.show(run.turns[-2].offer or {})}. Dealer: 34 points, Film student: 79 points."
    )
    assert "SECRET" not in told
    offers = [turn for turn in run.turns if turn.action is Action.OFFER]
    assert told.count(" to the Film student)") == len(offers)
    assert sum(line.startswith("Round ") for line in lines) == run.turns[-1].round
