"""A person, or a program elsewhere, as an agent: ask for a decision, and play it.

The agent does not wait. It yields `Asked`, and the caller sends the answer, so that `negotiation.live.driver` can set
the negotiation aside: while a person thinks, no thread, lease or queue slot is held.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from negotiation.agents.options import HumanOptions
from negotiation.errors import IllegalTurn, NoAnswer
from negotiation.game.agent import Decision, View
from negotiation.game.events import AgentEvent, Asked
from negotiation.game.protocol import Action, GameState
from negotiation.replies.reader import clean
from negotiation.scenario.model import Offer

HUMAN = "human"
PROGRAM = "program"
OUTSIDE = (HUMAN, PROGRAM)
"""Agents whose moves come from outside."""
MAX_MESSAGE = 2000
"""Maximum length of a person's message in characters."""


@dataclass(frozen=True)
class HumanAgent:
    """Plays a seat with a person, or with a program elsewhere."""

    options: HumanOptions = field(default_factory=HumanOptions)
    name: str = HUMAN

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        answer = yield Asked(view.seat, self.options.answer_seconds)
        view.cancel.check()
        if not isinstance(answer, Decision):
            raise NoAnswer(f"the {self.name if self.name == PROGRAM else 'person'} did not answer in time")
        return answer


def read_answer(state: GameState, action: str, offer: Offer | None = None, message: str = "") -> Decision:
    """Return a person's input as a decision; raise IllegalTurn, saying what is wrong, if it is not allowed."""
    if action not in set(Action):
        raise IllegalTurn(f"the action must be one of {', '.join(state.legal)}")
    if len(message) > MAX_MESSAGE:
        raise IllegalTurn(f"the message is longer than {MAX_MESSAGE:,} characters; shorten it")
    state.apply(Action(action), offer)
    return Decision(Action(action), None if offer is None else dict(offer), clean(message))
