"""Programs see what agents are prompted with, may do what the protocol allows, and are paid what a deal is worth."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import numpy as np
import pytest

from negotiation.agents.strategies import STRATEGIES
from negotiation.app.settings import SHIPPED
from negotiation.errors import IllegalTurn, ScenarioError, UnknownAgent
from negotiation.families.family import FAMILIES, Family, family_names, load_family
from negotiation.families.generate import draw_scenario
from negotiation.game.agent import Decision
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.measures import final_utility
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.gym import (
    ACCEPT,
    FIRST_OFFER,
    WALK_AWAY,
    Episode,
    Observation,
    SeatEnvironment,
    Table,
    VectorEnvironment,
)
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.model import SEATS, Scenario, Seat, load_scenarios, other

SCENARIOS = load_scenarios(SHIPPED / "scenarios")
SMALL = [scenario for scenario in SCENARIOS.values() if len(OutcomeSpace(scenario)) <= 1000]
NIGHT_TRAIN = SCENARIOS["night_train"]


def shuffled(observation: Observation, chance: random.Random) -> int:
    """Return a random legal action, most often an offer."""
    legal = np.flatnonzero(observation.mask).tolist()
    offers = [action for action in legal if action >= FIRST_OFFER]
    return chance.choice(offers if offers and chance.random() < 0.9 else legal)


def play_and_check(scenario: Scenario | Family, seat: Seat, opponent: str, seed: int) -> Scenario:
    """Play at random, check masks and rewards on the way, and return the scenario that was played."""
    chance = random.Random(f"{seat} {opponent} {seed}")
    environment = SeatEnvironment()
    observation = environment.reset(scenario, seat, opponent, seed)
    assert observation is not None
    while observation is not None:
        played, state = observation.scenario, observation.view.state
        assert observation.seat == seat == state.seat
        assert len(observation.mask) == FIRST_OFFER + played.outcomes
        for action, allowed in (
            (Action.ACCEPT, observation.mask[ACCEPT]),
            (Action.WALK_AWAY, observation.mask[WALK_AWAY]),
        ):
            assert allowed == (action in state.legal)
        assert set(observation.mask[FIRST_OFFER:].tolist()) == {Action.OFFER in state.legal}
        step = environment.step(shuffled(observation, chance))
        assert step.scenario == played
        observation = step.observation
        if not step.terminated:
            assert step.reward == 0
    assert step.measures is not None
    worth = step.measures.utility_a if seat == "a" else step.measures.utility_b
    assert step.reward == worth - played.roles[seat].reservation
    with pytest.raises(IllegalTurn, match="over"):
        environment.step(WALK_AWAY)
    return played


@pytest.mark.parametrize("seat", SEATS)
@pytest.mark.parametrize("opponent", STRATEGIES)
@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.scenario_id)
def test_rewards_are_the_measures_and_masks_are_the_protocol(scenario: Scenario, opponent: str, seat: Seat) -> None:
    assert play_and_check(scenario, seat, opponent, seed=3) == scenario


@pytest.mark.parametrize("seat", SEATS)
@pytest.mark.parametrize("name", family_names(FAMILIES))
def test_the_seed_draws_what_is_played_from_a_family(name: str, seat: Seat) -> None:
    family = load_family(name)
    for seed, opponent in enumerate(("linear", "random", "tit_for_tat")):
        played = play_and_check(family, seat, opponent, seed)
        assert played == draw_scenario(family, seed)
        assert played.drawn_from is not None
        assert (played.drawn_from.family, played.drawn_from.seed) == (name, seed)


def test_a_seed_that_no_scenario_can_be_drawn_from_is_refused() -> None:
    with pytest.raises(ScenarioError, match="seed from 0"):
        SeatEnvironment().reset(load_family("price"), "a", "linear", seed=-1)


def test_two_programs_at_one_table_are_both_paid() -> None:
    table = Table(NIGHT_TRAIN)
    seen = []
    while (observation := table.observation) is not None:
        seen.append(observation.seat)
        table.move(ACCEPT if len(seen) == 3 else FIRST_OFFER + len(seen))
    assert seen == ["a", "b", "a"]
    offer = observation_offer(FIRST_OFFER + 2)
    state = GameState(NIGHT_TRAIN, 2, "a", offer).apply(Action.ACCEPT)
    for seat in SEATS:
        assert table.reward(seat) == final_utility(state, seat) - NIGHT_TRAIN.roles[seat].reservation


def observation_offer(action: int) -> dict[str, str | int]:
    table = Table(NIGHT_TRAIN)
    assert table.observation is not None
    offer = table.observation.decision(action).offer
    assert offer is not None
    return dict(offer)


def test_a_strategy_behind_the_environment_plays_as_at_any_table() -> None:
    agents = {seat: STRATEGIES["boulware" if seat == "a" else "linear"] for seat in SEATS}
    events = list(negotiate(Negotiation("gym", NIGHT_TRAIN, agents, seed=5)))
    moves = [event.turn for event in events if isinstance(event, TurnTaken) and event.turn.seat == "a"]
    environment = SeatEnvironment()
    environment.reset(NIGHT_TRAIN, "a", "linear", seed=5)
    for turn in moves:
        said = {"thought": "", "action": turn.action, "offer": turn.offer, "message": turn.message}
        step = environment.step(json.dumps(said))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert step.measures is not None
    assert (step.measures.utility_a, step.measures.utility_b) == (ended.measures.utility_a, ended.measures.utility_b)


def test_the_conversation_is_what_a_model_is_prompted_with() -> None:
    environment = SeatEnvironment()
    first = environment.reset(NIGHT_TRAIN, "a", "linear", seed=5)
    assert first is not None
    assert [message["role"] for message in first.messages] == ["system", "user"]
    reply = first.grammar.sample(random.Random(1)) if first.grammar.sample else ""
    while json.loads(reply)["action"] != "offer":
        reply = first.grammar.sample(random.Random(reply)) if first.grammar.sample else ""
    second = environment.step(reply).observation
    assert second is not None
    assert second.messages[:2] == first.messages
    assert second.messages[2] == {"role": "assistant", "content": reply}
    assert second.messages[3:] == second.added
    assert second.prompt_version >= 2


def test_replies_sampled_from_the_grammar_are_never_invalid() -> None:
    chance = random.Random(11)
    for scenario in SMALL:
        environment = SeatEnvironment()
        observation = environment.reset(scenario, "b", "tit_for_tat", seed=1)
        while observation is not None:
            assert observation.grammar.sample is not None
            step = environment.step(observation.grammar.sample(chance))
            assert step.invalid is None
            observation = step.observation


def test_an_unreadable_reply_walks_away_and_says_why() -> None:
    environment = SeatEnvironment()
    environment.reset(NIGHT_TRAIN, "a", "linear")
    step = environment.step("Let us talk about the weather.")
    assert step.terminated
    assert step.reward == 0
    assert step.invalid is not None
    assert "JSON" in step.invalid


@pytest.mark.parametrize("action", [ACCEPT, -1, 10**9])
def test_an_action_that_the_mask_forbids_is_refused_and_nothing_happens(action: int) -> None:
    environment = SeatEnvironment()
    observation = environment.reset(NIGHT_TRAIN, "a", "linear")
    with pytest.raises(IllegalTurn, match="mask"):
        environment.step(action)
    assert observation is not None
    assert environment.step(FIRST_OFFER).episode.seat == "a"


def test_a_decision_that_is_not_legal_is_refused_and_nothing_happens() -> None:
    environment = SeatEnvironment()
    first = environment.reset(NIGHT_TRAIN, seat="a", opponent="linear")
    for wrong in (Decision(Action.ACCEPT), Decision(Action.OFFER), Decision(Action.OFFER, {"window": "ajar"})):
        with pytest.raises(IllegalTurn):
            environment.step(wrong)
    assert first is not None
    assert environment.step(Decision(Action.OFFER, first.view.space.offer(0))).observation is not None


def test_an_unknown_opponent_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownAgent, match=r"'nobody'.*boulware"):
        SeatEnvironment().reset(NIGHT_TRAIN, "a", "nobody")


def test_a_vector_plays_every_episode_once_whatever_its_size() -> None:
    prices = load_family("price")

    def episodes() -> Iterator[Episode]:
        for seed in range(20):
            yield Episode(prices if seed % 5 == 0 else NIGHT_TRAIN, SEATS[seed % 2], "conceder", seed)

    for size in (1, 3, 50):
        vector, ended = VectorEnvironment(episodes(), size), []
        chance = random.Random(2)
        while not vector.done:
            moves = [None if seen is None else shuffled(seen, chance) for seen in vector.observations]
            steps = vector.step(moves)
            ended += [step.episode.seed for step in steps if step is not None and step.terminated]
        assert sorted(ended) == list(range(20))
        assert vector.step([None] * size) == [None] * size


def test_the_same_seed_gives_the_same_negotiation() -> None:
    def played(seed: int) -> list[str]:
        environment, chance, seen = SeatEnvironment(), random.Random(4), []
        observation = environment.reset(NIGHT_TRAIN, "b", "random", seed)
        while observation is not None:
            seen.append(observation.messages[-1]["content"])
            observation = environment.step(shuffled(observation, chance)).observation
        return seen

    assert played(8) == played(8)
    assert len({tuple(played(seed)) for seed in range(6)}) > 1


def test_the_other_seat_is_free_for_a_program_only_without_an_agent() -> None:
    for seat in SEATS:
        table = Table(NIGHT_TRAIN, {other(seat): STRATEGIES["linear"]})
        seats = set()
        while table.observation is not None:
            seats.add(table.observation.seat)
            table.move(FIRST_OFFER)
        assert seats == {seat}
