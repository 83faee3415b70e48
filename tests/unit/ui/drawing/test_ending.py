"""The end of two lanes says who came out ahead in the scenario's own terms, what was left, and what decided it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.app.settings import SHIPPED
from negotiation.game.events import Turn
from negotiation.game.measures import measure
from negotiation.game.protocol import Action, Ending, GameState
from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, load_scenario
from ui.arena.presets import SCRIPTS
from ui.arena.recording import read_recording
from ui.drawing.ending import compare, contested
from ui.drawing.outcome_space import space_of

SCENARIOS = SHIPPED / "scenarios"
CAMERA = load_scenario(SCENARIOS / "used_camera.yaml")
STAYS, GOES = CAMERA.issues["lens"].choices


def deal(price: int, lens: str | int = STAYS, case: str | int = GOES) -> Offer:
    return {"price": price, "lens": lens, "case": case}


def ended(agreement: Offer | None, *opening: Offer, a: str = "boulware", b: str = "linear") -> Run:
    """Return a run in which side a made `opening` offers, and then accepted, or the rounds ran out."""
    turns = []
    for place, offer in enumerate(opening):
        worth = {seat: CAMERA.utility(seat, offer) for seat in ("a", "b")}
        turns.append(
            Turn(2 * place, place + 1, "a", a, Action.OFFER, offer, utility_a=worth["a"], utility_b=worth["b"])
        )
    ending = Ending.DEADLINE if agreement is None else Ending.AGREEMENT
    state = GameState(CAMERA, agreement=agreement, ending=ending)
    return Run(
        run_id="r",
        scenario=CAMERA,
        agents={"a": AgentConfig(a), "b": AgentConfig(b)},
        seed=1,
        status="done",
        ending=ending,
        agreement=agreement,
        measures=measure(state, space_of(CAMERA).analyser, turns),
        turns=tuple(turns),
    )


@pytest.mark.parametrize(
    ("first", "second", "ahead", "headline"),
    [
        (ended(deal(330)), ended(deal(250)), 1, "Lane 1 got the Dealer €80 more (48 points to 34)."),
        (ended(deal(390, STAYS, STAYS)), ended(deal(440, GOES)), 1, "Lane 1 got the Dealer 21 points more."),
        (ended(deal(330)), ended(deal(330)), 0, "Both lanes made the same deal."),
        (ended(None), ended(None), 0, "No deal in either lane."),
        (ended(deal(330)), ended(None), 1, "Only lane 1 made a deal. It got the Dealer 18 points more than no deal."),
        (
            ended(None),
            ended(deal(200)),
            1,
            "Only lane 2 made a deal, and no deal would have been better for the Dealer",
        ),
    ],
)
def test_the_headline_says_who_came_out_ahead_in_the_scenarios_own_terms(
    first: Run, second: Run, ahead: int, headline: str
) -> None:
    found = compare((first, second))
    assert found is not None
    assert (found.ahead, found.role) == (ahead, "Dealer")
    assert found.headline.startswith(headline)


def test_the_lanes_are_judged_for_the_side_in_which_they_differ() -> None:
    first, second = ended(deal(330), b="linear"), ended(deal(250), b="conceder")
    assert contested((first, second)) == "b"
    found = compare((first, second))
    assert found is not None
    assert found.headline == "Lane 2 saved the Film student €80 (79 points to 68)."


def test_the_details_name_other_issues_what_was_left_and_the_turn_that_decided() -> None:
    first = ended(deal(390, STAYS, STAYS))
    second = ended(deal(250, GOES, STAYS), deal(600, STAYS, STAYS), deal(240, GOES, STAYS))
    found = compare((first, second))
    assert found is not None
    words = " ".join(found.details)
    assert "Second lens: stays with the dealer in lane 1, goes with the camera in lane 2." in words
    assert "Left on the table: 14 points in lane 1, 23 points in lane 2." in words
    assert "Decided in round 2 of lane 2, where the Dealer gave away" in words


def test_two_efficient_deals_leave_nothing_on_the_table() -> None:
    found = compare(read_recording(SHIPPED / "recordings", SCRIPTS))
    assert found is not None
    assert "Neither lane left anything on the table." in found.details


def test_lanes_that_did_not_end_by_themselves_are_not_compared() -> None:
    run = ended(deal(330))
    assert compare((run,)) is None
    assert compare((run, replace(run, status="stopped"))) is None
