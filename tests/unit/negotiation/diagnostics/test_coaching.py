"""Lessons name deals that were really to be had: scripts play on and accept them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.coaching import LEAST_COST, Lesson, lessons
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, Ended, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat, other
from tests.support.finished import finished


@dataclass(frozen=True)
class Moves:
    """Plays moves that are given by turn, and walks away after them."""

    moves: dict[int, Decision]
    name: str = "moves"

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        return self.moves.get(view.state.turn, Decision(Action.WALK_AWAY))


def played(scenario: Scenario, seat: Seat, mine: dict[int, Decision], script: str, seed: int = 1) -> Run:
    """Play moves in a seat against a script."""
    agents: dict[Seat, Agent] = {seat: Moves(mine), other(seat): STRATEGIES[script]}
    configs: dict[Seat, AgentConfig] = {seat: AgentConfig("human"), other(seat): AgentConfig(script)}
    events = list(negotiate(Negotiation("run", scenario, agents, seed)))
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    end = events[-1]
    assert isinstance(end, Ended)
    return Run(run_id="run", scenario=scenario, agents=configs, seed=seed, turns=turns).end(end)


def moves_of(run: Run, seat: Seat, before: int) -> dict[int, Decision]:
    made = (turn for turn in run.turns[:before] if turn.seat == seat)
    return {turn.index: Decision(turn.action, turn.offer) for turn in made}


def worth(run: Run, seat: Seat) -> float:
    assert run.measures is not None
    return run.measures.utility_a if seat == "a" else run.measures.utility_b


def learned(run: Run, seat: Seat, lesson: Lesson, script: str) -> Run:
    """Play a run again with what a lesson recommends."""
    mine = moves_of(run, seat, lesson.turn.index)
    better = Decision(Action.ACCEPT) if lesson.on_table else Decision(Action.OFFER, lesson.better)
    return played(run.scenario, seat, {**mine, lesson.turn.index: better}, script)


@pytest.mark.parametrize("script", sorted(STRATEGIES))
@pytest.mark.parametrize("seat", SEATS)
def test_what_a_lesson_recommends_is_accepted_and_worth_what_it_says(bike: Scenario, script: str, seat: Seat) -> None:
    for agent in ("conceder", "hardliner", "linear"):
        pair = (agent, script) if seat == "a" else (script, agent)
        run = finished(bike, *pair)
        for lesson in lessons(run, seat, Analyser(bike)):
            again = learned(run, seat, lesson, script)
            assert lesson.certain
            assert again.agreement == lesson.better
            assert worth(again, seat) == pytest.approx(lesson.worth)
            assert worth(again, seat) - worth(run, seat) == pytest.approx(lesson.cost)
            assert lesson.cost >= LEAST_COST


@pytest.mark.parametrize("script", ["boulware", "linear", "conceder"])
def test_no_offer_that_a_script_would_have_accepted_is_worth_more(bike: Scenario, script: str) -> None:
    analyser, checked = Analyser(bike), 0
    everything: list[Offer] = [analyser.space.offer(index) for index in range(len(analyser.space))]
    for agent in ("conceder", "linear", "micro"):
        run = finished(bike, agent, script)
        for lesson in lessons(run, "a", analyser, most=len(run.turns)):
            mine, turn = moves_of(run, "a", lesson.turn.index), lesson.turn.index
            tried = (played(bike, "a", {**mine, turn: Decision(Action.OFFER, one)}, script) for one in everything)
            accepted = [each for each in tried if each.agreement is not None and len(each.turns) == turn + 2]
            assert max((worth(each, "a") for each in accepted), default=0.0) <= lesson.worth + 1e-9
            checked += 1
    assert checked


def test_walking_away_in_the_last_turn_from_a_good_offer_is_a_lesson(bike: Scenario) -> None:
    analyser = Analyser(bike)
    best = analyser.point(int(analyser.frontier[-1])).offer
    run = played(bike, "b", {turn: Decision(Action.OFFER, best) for turn in (1, 3, 5)}, "conceder")
    assert (run.ended_by, run.turns[-1].index) == ("b", 7)
    lesson = next(one for one in lessons(run, "b", analyser, most=10) if one.turn.index == 7)
    assert lesson.on_table
    assert lesson.better == run.turns[-2].offer
    assert lesson.cost == pytest.approx(bike.utility("b", lesson.better) - bike.roles["b"].reservation)


def test_lessons_come_costliest_first_one_for_a_turn_and_no_more_than_asked_for(bike: Scenario) -> None:
    run = finished(bike, "conceder", "conceder")
    found = lessons(run, "b", Analyser(bike), most=20)
    assert [lesson.cost for lesson in found] == sorted((lesson.cost for lesson in found), reverse=True)
    assert len({lesson.turn.index for lesson in found}) == len(found)
    assert lessons(run, "b", Analyser(bike)) == found[:2]


def test_an_opponent_that_is_no_script_is_taken_at_its_word(bike: Scenario) -> None:
    run = finished(bike, "conceder", "linear")
    model = replace(run, agents={**run.agents, "b": AgentConfig("some-model")})
    for lesson in lessons(model, "a", Analyser(bike), most=20):
        if lesson.on_table:
            continue
        assert not lesson.certain
        answer = run.turns[lesson.turn.index + 1]
        assert answer.utility_b is not None
        assert bike.utility("b", lesson.better) >= answer.utility_b - 1e-9


def test_a_run_that_did_not_end_has_no_lessons(bike: Scenario) -> None:
    run = replace(finished(bike), status="stopped", measures=None)
    assert lessons(run, "a", Analyser(bike)) == []
