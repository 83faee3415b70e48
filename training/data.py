"""Conversations to learn from: the teacher plays generated scenarios against all kinds of opponents.

They have exactly the form in which agents are prompted: the gym's observations, and replies in JSON with the separators
of the grammar. `python -m training.data FILE` writes one JSON line for each conversation.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from manager.generation.request import Message
from negotiation.agents import prompts
from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.attacks import worst_for
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent
from negotiation.game.protocol import Action
from negotiation.gym.environment import SeatEnvironment
from negotiation.replies.allowed import MAX_THOUGHT
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.model import SEATS, Scenario, Seat, other
from training import voice
from training.scenarios import training_scenario
from training.teacher import USUAL, Manner, asking, decide
from training.thoughts import thought

PRESSED, TAUGHT = 0.12, 0.1
"""The shares of opponents that press, and of those that are the teacher itself."""
OPPONENTS = {
    "boulware": 3,
    "linear": 3,
    "conceder": 4,
    "tit_for_tat": 3,
    "nice_tit_for_tat": 1,
    "micro": 1,
    "hardliner": 0.5,
    "random": 2,
}
"""How often the others are which strategy. The teacher must get to see offers that it can accept."""
TOUGH = {"boulware": 2, "hardliner": 1, "random": 1}
"""The same where the teacher is to leave: their last offers may be worth less to it than no deal."""
STRAYS = 0.12
"""How often the teacher makes an odd offer, which is not learned, to show how to go on from one."""


OPENINGS, OPENING_REPLIES = 0.25, 2
"""The share of lessons about openings, and the number of replies in one. Later replies can copy what earlier ones read
in the table of preferences, so whole conversations teach little reading for their length."""
PLAYED = 8
"""How many times as many negotiations are played as a lesson has."""
ANEW = 10**7
"""Added to the number of a lesson that came out empty."""
OTHER = 500_000
"""Added to the seed of openings, so that they come from other scenarios."""


@dataclass(frozen=True)
class Conversation:
    """What is learned from one negotiation.

    Attributes:
        messages: The whole conversation, from the system message to the last reply.
        learned: For each reply, whether it is to be learned.
        reward: The gain over no deal.
    """

    messages: tuple[Message, ...]
    learned: tuple[bool, ...]
    scenario: str
    opponent: str
    reward: float
    prompt_version: int = prompts.VERSION

    @property
    def ending(self) -> Action:
        """The side's last action."""
        return Action(json.loads(self.messages[-1]["content"])["action"])

    def to_json(self) -> str:
        """Return the conversation on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Conversation:
        """Return the conversation of a line."""
        data = json.loads(line)
        return cls(**{**data, "messages": tuple(data["messages"]), "learned": tuple(data["learned"])})


def reply(decision: Decision) -> str:
    """Return a decision as the reply of a model."""
    offer = None if decision.offer is None else dict(decision.offer)
    data = {"thought": decision.thought, "action": decision.action, "offer": offer, "message": decision.message}
    return json.dumps(data, ensure_ascii=False)


@dataclass(frozen=True)
class Presser:
    """Plays a strategy, or offers what is worst for the other side, and presses instead of arguing."""

    seed: int
    strategy: str = ""

    @property
    def name(self) -> str:
        return f"presser {self.strategy}".strip()

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        chance = random.Random(f"press {self.seed} {view.state.turn}")
        said = [turn.message for turn in view.public]
        text = voice.pressure(view.other_name, chance, said)
        if not self.strategy:
            return Decision(Action.OFFER, worst_for(view.scenario, other(view.seat)), text)
        made = STRATEGIES[self.strategy].decide(view)
        return replace(made, message=text) if made.action is Action.OFFER else made


@dataclass(frozen=True)
class Teacher:
    """The teacher as an agent with a voice."""

    manner: Manner = USUAL
    name: str = "teacher"

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        try:
            return taught(view, self.manner, Vocabulary(view.scenario), pressed=False)
        except ValueError:  # everything was said
            choice = decide(view, self.manner)
            return Decision(choice.action, choice.offer)


def taught(view: View, manner: Manner, vocabulary: Vocabulary, *, pressed: bool, stray: bool = False) -> Decision:
    """Return the teacher's decision with its thought and message.

    Args:
        pressed: Whether the other side presses.
        stray: Whether it makes an odd offer instead of its own, unless it would accept or leave.
    """
    choice = decide(view, manner)
    if stray and choice.action is Action.OFFER:
        aim = random.Random(f"stray {view.turn_seed()}").uniform(view.role.reservation, 1.0)
        choice = replace(choice, offer=asking(view, aim))
    words = voice.spoken(view, choice.action, choice.offer, pressed=pressed, vocabulary=vocabulary)
    return Decision(choice.action, choice.offer, words, thought(view, choice)[:MAX_THOUGHT])


def opponent_of(chance: random.Random, usual: Mapping[str, float] = OPPONENTS) -> Agent:
    """Return an opponent: a strategy with random parameters, the teacher itself, or one that presses.

    Args:
        chance: Draws it.
        usual: How often it is which strategy, if it is one.
    """
    if chance.random() < PRESSED:
        return Presser(chance.randrange(10**9), chance.choice(["", "boulware", "linear", "conceder"]))
    if chance.random() < TAUGHT:
        return Teacher(Manner(chance.uniform(0.3, 1.5), chance.uniform(0.1, 0.6)))
    name = chance.choices(list(usual), list(usual.values()))[0]
    known = STRATEGIES[name]
    exponent = known.exponent and known.exponent * 2 ** chance.uniform(-1, 1)
    return known.variant(exponent=exponent, margin=chance.choice([0.0, 0.0, chance.uniform(0, 0.3)]))


def conversation(
    scenario: Scenario,
    seat: Seat,
    seed: int,
    most_replies: int | None = None,
    opponents: Mapping[str, float] = OPPONENTS,
) -> Conversation:
    """Play a scenario from one seat, and return the conversation, or the beginning of it with so many replies."""
    chance = random.Random(f"conversation {seed}")
    opponent = opponent_of(chance, opponents)
    pressed, vocabulary = isinstance(opponent, Presser), Vocabulary(scenario)
    environment = SeatEnvironment()
    observation = environment.reset(scenario, seat, opponent, seed)
    learned: list[bool] = []
    messages: tuple[Message, ...] = ()
    reward = 0.0
    while observation is not None and len(learned) != most_replies:
        view = observation.view
        stray = chance.random() < STRAYS
        try:
            made = taught(view, USUAL, vocabulary, pressed=pressed and bool(view.public), stray=stray)
        except ValueError:  # everything was said
            break
        learned.append(not (stray and made.action is Action.OFFER))
        text = reply(made)
        messages = (*observation.messages, {"role": "assistant", "content": text})
        step = environment.step(text)
        assert step.invalid is None, step.invalid
        observation, reward = step.observation, step.reward
    return Conversation(messages, tuple(learned), scenario.scenario_id, opponent.name, reward)


def lesson(seed: int, number: int, branches: int) -> list[Conversation]:
    """Return what is learned together: whole negotiations in one scenario, or openings in several.

    Args:
        seed: Another seed gives other lessons.
        number: The number of the lesson; each is drawn independently of the others.
        branches: The number of conversations.
    """
    opens = random.Random(f"kind {seed} {number}").random() < OPENINGS
    made = openings(seed, number, branches) if opens else whole_negotiations(seed, number, branches)
    return made or lesson(seed, number + ANEW, branches)  # in some scenarios, no message fits any first move


def openings(seed: int, number: int, branches: int) -> list[Conversation]:
    """Return how negotiations in different scenarios begin."""
    made = []
    for place in range(branches):
        own = number * branches + place
        scenario = training_scenario(seed + OTHER, own)
        seat = random.Random(f"seat {seed} {number} {place}").choice(SEATS)
        made.append(conversation(scenario, seat, 1000 * (seed * 10**7 + number) + place, OPENING_REPLIES))
    return [one for one in made if any(one.learned)]


def whole_negotiations(seed: int, number: int, branches: int) -> list[Conversation]:
    """Return conversations in one seat of one scenario, which begin with the same system message.

    More are played, and those come first in which the teacher decides what it does so only once in a conversation:
    accepting, in lessons with an even number, or leaving in its last turn.
    """
    scenario = training_scenario(seed, number)
    seat = random.Random(f"seat {seed} {number}").choice(SEATS)
    leaves = bool(number % 2)
    seeds = (1000 * (seed * 10**7 + number) + branch for branch in range(PLAYED * branches))
    played = (conversation(scenario, seat, each, opponents=TOUGH if leaves else OPPONENTS) for each in seeds)
    made = [one for one in played if any(one.learned)]
    ending = Action.WALK_AWAY if leaves else Action.ACCEPT
    return sorted(made, key=lambda one: (one.ending != ending, one.ending is Action.OFFER))[:branches]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lessons", type=int, default=100)
    parser.add_argument("--branches", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with arguments.file.open("w", encoding="utf-8") as file:
        for number in range(arguments.lessons):
            file.writelines(made.to_json() + "\n" for made in lesson(arguments.seed, number, arguments.branches))


if __name__ == "__main__":
    main()
