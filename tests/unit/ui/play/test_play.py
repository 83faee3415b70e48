"""What the Play tab shows a person, and what it hides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.coaching import lessons
from negotiation.game.events import (
    Asked,
    Ended,
    Measures,
    Queued,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.game.protocol import Action, Ending, GameState
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, Seat, load_scenario
from tests.support.finished import finished
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.turns import now_html, turns_html
from ui.kit import text as shared
from ui.play import text
from ui.play.offer_form import best_offer, builder_html, worth_html
from ui.play.preferences import own_html, preferences_html
from ui.play.reveal import reveal_html

SCENARIOS = Path(__file__).parents[4] / "configs" / "scenarios"


@pytest.fixture
def venture() -> Scenario:
    return load_scenario(SCENARIOS / "joint_venture.yaml")


@pytest.fixture
def car() -> Scenario:
    return load_scenario(SCENARIOS / "company_car.yaml")


def test_a_person_sees_only_their_own_side(venture: Scenario) -> None:
    shown = own_html(venture, "a")
    assert venture.roles["a"].briefing.split(".")[0] in shown
    assert venture.roles["b"].briefing.split(".")[0] not in shown
    assert shown.count('scope="col"') == 2
    assert preferences_html(venture, ("a", "b")).count('scope="col"') == 3


def test_the_form_starts_with_the_best_offer_and_lists_every_option(venture: Scenario) -> None:
    start = best_offer(venture, "b")
    assert venture.utility("b", start) == 1
    form = builder_html(GameState(venture, starts="b"), "b", "run", start, taken=0, turn=True)
    assert form.count("<option") == sum(len(issue.choices) for issue in venture.issues.values())
    assert form.count("selected") == len(venture.issues)
    assert 'data-do="accept" disabled' in form
    assert 'data-do="offer" disabled' not in form
    waiting = builder_html(GameState(venture), "b", "run", start, taken=0, turn=False)
    assert waiting.count("disabled") == 3


def test_a_range_is_a_slider_with_an_exact_number(car: Scenario) -> None:
    form = builder_html(GameState(car), "a", "run", {"price": 20000}, taken=0, turn=True)
    assert 'type="range" value="20000"' in form
    assert 'type="number" value="20000"' in form


def state_at(scenario: Scenario, turn: int) -> GameState:
    """The state after so many turns, in each of which 20,000 was offered."""
    state = GameState(scenario)
    while state.turn < turn:
        state = state.apply(Action.OFFER, {"price": 20000})
    return state


def form_at(scenario: Scenario, turn: int) -> str:
    state = state_at(scenario, turn)
    return builder_html(state, state.seat, "run", {"price": 20000}, taken=0, turn=True)


def test_the_last_round_warns_and_the_last_offer_can_always_be_answered(car: Scenario) -> None:
    last = 2 * car.rounds - 1
    form = form_at(car, last)
    assert text.LAST_WORD in form
    assert 'class="primary" type="button" data-do="accept">' in form
    assert 'data-do="offer" disabled' in form, "nobody could answer it"
    before, earlier = form_at(car, last - 1), form_at(car, last - 2)
    assert text.LAST_OFFER["a"].format(other=car.roles["b"].name) in before
    assert text.LAST_OFFER["b"] in earlier
    for form in (before, earlier):
        assert 'data-do="accept">' in form
        assert 'data-do="offer">' in form
    assert '<p class="last-word" role="status"></p>' in form_at(car, last - 3)


def test_the_rules_say_who_has_the_last_word(car: Scenario) -> None:
    assert f"so {car.roles['b'].name} has the last word" in own_html(car, "a")
    assert "you have the last word" in own_html(car, "b")


def test_an_offer_that_nobody_can_answer_says_so(car: Scenario) -> None:
    late = Turn(2 * car.rounds - 1, car.rounds, "b", "m", Action.OFFER, {"price": 20000}, utility_a=0.5, utility_b=0.5)
    view = LaneView(car, "run")
    assert shared.TOO_LATE in turns_html(view.fold([TurnTaken(late)]))
    assert shared.TOO_LATE not in turns_html(view.fold([TurnTaken(replace(late, index=late.index - 1, seat="a"))]))


def test_the_worth_of_an_offer_is_shown_only_for_its_own_side(venture: Scenario, car: Scenario) -> None:
    shown = worth_html(venture, "a", best_offer(venture, "a"), 1)
    assert "100" in shown
    assert venture.roles["b"].name not in shown
    assert text.OFFER_INCOMPLETE in worth_html(car, "a", None, 1)


def turn(seat: Seat, action: Action, price: int | None, **more: Any) -> TurnTaken:
    offer = None if price is None else {"price": price}
    return TurnTaken(Turn(0, 1, seat, f"agent-{seat}", action, offer, utility_a=0.61, utility_b=0.37, **more))


def test_the_other_sides_thoughts_prompts_and_worth_stay_hidden(car: Scenario) -> None:
    moved = turn(
        "b", Action.OFFER, 18000, thought="SECRET", prompt=({"role": "user", "content": "SECRET"},), raw="SECRET"
    )
    view = LaneView(car).fold([Started("run", "company_car", {"a": "human", "b": "m"}, 1), moved])
    assert "SECRET" in turns_html(view)
    seen = turns_html(view, eyes="a")
    assert "SECRET" not in seen
    assert "61 to Fleet manager" in seen
    assert "37" not in seen
    view = view.fold([TurnStarted(1, 1, "b", "m"), Waiting("b", "loading", done=1, total=2)])
    view = view.fold([Writing("b", 0, '{"thought":"SECRET","action":"offer","message":"Hello')])
    assert "SECRET" not in now_html(view, eyes="a")
    assert "Hello" in now_html(view, eyes="a")


def test_a_person_sees_that_it_is_their_turn(car: Scenario) -> None:
    view = LaneView(car, "run").fold([TurnStarted(0, 1, "a", "human"), Asked("a", 600.0)])
    assert shared.YOUR_TURN in now_html(view, eyes="a")
    assert shared.PERSON_THINKS in now_html(view)


def test_a_person_is_not_asked_again_while_their_answer_waits_for_a_lane(car: Scenario) -> None:
    view = LaneView(car, "run").fold([TurnStarted(0, 1, "a", "human"), Asked("a", 600.0), Queued(1, 1)])
    assert shared.YOUR_TURN not in now_html(view, eyes="a")
    assert view.moving is not None
    assert view.moving.answer_seconds is None


def ended(scenario: Scenario, foe: str) -> Run:
    measures = Measures(0.6, 0.3, 0.9, 0.1, 0.1, True, True)
    taken = (turn("a", Action.OFFER, 20000).turn, turn("b", Action.ACCEPT, None).turn)
    agents: dict[Seat, AgentConfig] = {"a": AgentConfig("human"), "b": AgentConfig(foe)}
    done = Ended(Ending.AGREEMENT, "b", {"price": 20000}, measures)
    return Run(run_id="run", scenario=scenario, agents=agents, seed=1, turns=taken).end(done)


def test_the_reveal_compares_with_scripted_strategies_or_with_points_of_theory(car: Scenario) -> None:
    against_script = reveal_html(ended(car, "boulware"), "a")
    assert text.BASELINES_ABOUT.format(opponent=STRATEGIES["boulware"].label, seed=1) in against_script
    assert car.roles["b"].briefing.split(".")[0] in against_script
    against_model = reveal_html(ended(car, "some-model"), "a")
    assert text.REFERENCES_ABOUT in against_model
    assert text.REFERENCE_POINTS["egalitarian"] in against_model


def test_the_reveal_coaches_with_the_two_turns_that_cost_most(venture: Scenario) -> None:
    run = finished(venture, "conceder", "boulware")
    shown = reveal_html(run, "a")
    found = lessons(run, "a", space_of(venture).analyser)
    assert 1 <= shown.count("<li><p><b>Round ") == len(found) <= 2
    assert f"Round {found[0].turn.round}." in shown
    assert "they would have accepted this" in shown
    assert text.COACHING_NOTHING in reveal_html(finished(venture, "linear", "hardliner"), "a")
    assert f'data-card="card/{run.run_id}.png"' in shown


def test_a_run_that_did_not_end_reveals_nothing(car: Scenario) -> None:
    run = Run(
        run_id="run",
        scenario=car,
        agents={"a": AgentConfig("human"), "b": AgentConfig("boulware")},
        seed=1,
        status="stopped",
    )
    assert reveal_html(run, "a") == ""
