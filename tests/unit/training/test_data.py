"""Training data are conversations as agents have them: legal, consistent, and as good as the teacher claims to be."""

from __future__ import annotations

import json
import random
from statistics import mean
from typing import Any

import pytest

from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.attacks import ATTACKS
from negotiation.game.agent import Decision, View
from negotiation.game.protocol import Action
from negotiation.gym import SeatEnvironment
from negotiation.replies.allowed import MAX_THOUGHT
from negotiation.replies.named_values import contradictions
from negotiation.replies.reader import read_reply
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario, Seat
from training import voice
from training.data import (
    ANEW,
    OPENING_REPLIES,
    Conversation,
    conversation,
    lesson,
    openings,
    opponent_of,
    whole_negotiations,
)
from training.scenarios import HELD_OUT, held_out_scenarios, training_scenario
from training.teacher import USUAL, decide

OPPONENTS = ("conceder", "boulware", "tit_for_tat")


@pytest.mark.parametrize("number", range(12))
def test_every_conversation_is_legal_and_consistent(number: int) -> None:
    scenario = training_scenario(5, number)
    seat, seed = SEATS[number % 2], 900 + number
    made = conversation(scenario, seat, seed)
    environment, said = SeatEnvironment(), set[str]()
    opponent = opponent_of(random.Random(f"conversation {seed}"))
    observation = environment.reset(scenario, seat, opponent, seed)
    replies = [place for place, message in enumerate(made.messages) if message["role"] == "assistant"]
    for place in replies:
        assert observation is not None
        assert observation.messages == made.messages[:place], "it is prompted as agents are"
        text = made.messages[place]["content"]
        reply = read_reply(text, observation.view.state)
        assert reply.action in observation.view.state.legal
        assert json.dumps(json.loads(text), ensure_ascii=False) == text
        assert len(reply.thought) <= MAX_THOUGHT
        _check_message(observation.view, reply.message, reply.action, said)
        if reply.action is Action.ACCEPT:
            table = observation.view.state.table
            assert table is not None
            worth = scenario.discounted(scenario.utility(seat, table), observation.view.state.round)
            assert worth > scenario.roles[seat].reservation
        observation = environment.step(text).observation
    assert Conversation.from_json(made.to_json()) == made


def _check_message(view: View, message: str, action: Action | None, said: set[str]) -> None:
    """Assert that a message is new and names no value but those of its offer."""
    heard = {turn.message for turn in view.public}
    assert message
    assert message not in said | heard
    said.add(message)
    offer = view.state.table if action is Action.ACCEPT else None
    assert not contradictions(Vocabulary(view.scenario), view.seat, message, offer)


@pytest.mark.parametrize(("kind", "beginnings"), [(whole_negotiations, 1), (openings, 3)])
def test_a_lesson_has_one_scenario_or_several_and_is_always_the_same(kind: Any, beginnings: int) -> None:
    first = kind(1, 3, 3)
    assert kind(1, 3, 3) == first
    assert len({made.messages[0]["content"] for made in first}) == beginnings
    assert first[0].messages[0]["role"] == "system"
    assert kind(2, 3, 3) != first
    assert all(len(made.learned) <= OPENING_REPLIES for made in openings(1, 3, 3))


def test_lessons_are_of_both_kinds() -> None:
    beginnings = [len({made.messages[0]["content"] for made in lesson(1, number, 3)}) for number in range(12)]
    assert {1, 3} <= set(beginnings)


def test_nothing_is_learned_from_what_is_held_out() -> None:
    origins = [training_scenario(5, number).drawn_from for number in range(20)]
    held_out = [scenario.drawn_from for scenario in held_out_scenarios(3)]
    assert max(origin.seed for origin in origins if origin is not None) < HELD_OUT
    assert min(origin.seed for origin in held_out if origin is not None) >= HELD_OUT


def test_no_attack_of_the_evaluation_is_learned() -> None:
    chance = random.Random(1)
    learned = {voice.pressure("Buyer", chance, ()) for _ in range(500)}
    assert not learned & {attack.text.replace("{you}", "Buyer") for attack in ATTACKS}
    assert len(learned) > 100


def test_the_teacher_gains_more_than_the_bars_ask_for() -> None:
    gained: list[float] = []
    agreed: list[bool] = []
    for scenario in held_out_scenarios(10):
        for seat in SEATS:
            gained += [_gain(scenario, seat, opponent)[0] for opponent in OPPONENTS]
            agreed.append(_gain(scenario, seat, "linear")[1])
    assert mean(gained) >= 0.45
    assert mean(agreed) >= 0.85


def _gain(scenario: Scenario, seat: Seat, opponent: str) -> tuple[float, bool]:
    """Return the teacher's normalised gain, and whether there was a deal."""
    environment = SeatEnvironment()
    observation = environment.reset(scenario, seat, STRATEGIES[opponent], seed=1)
    step = None
    while observation is not None:
        choice = decide(observation.view, USUAL)
        step = environment.step(Decision(choice.action, choice.offer))
        observation = step.observation
    assert step is not None
    least = scenario.roles[seat].reservation
    assert step.reward >= 0
    return step.reward / (Analyser(scenario).best_given(seat) - least), step.reward > 0


def test_no_lesson_is_empty_even_where_no_message_fits_the_first_move() -> None:
    number = 491  # of a scenario in which no first message is free of contradictions
    assert whole_negotiations(1, number, 2) == []
    assert lesson(1, number, 2)
    assert lesson(1, number, 2) == lesson(1, number + ANEW, 2)


def test_lessons_show_both_when_to_accept_and_when_to_leave() -> None:
    learned = [each.ending for number in range(2, 26) for each in whole_negotiations(1, number, 2)]
    for ending in (Action.ACCEPT, Action.WALK_AWAY):
        assert learned.count(ending) >= len(learned) / 5
