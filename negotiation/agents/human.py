"""A person as an agent: asks, and plays what is answered.

Waiting is not done here: the agent yields `Asked` and is sent the answer, so that whoever drives the negotiation may
put it aside meanwhile (`driver.py`), and no thread, lease or place in a queue is held for somebody who thinks.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from negotiation.agents.options import HumanOptions
from negotiation.errors import IllegalTurn, NoAnswer
from negotiation.game.agent import Decision, View
from negotiation.game.events import AgentEvent, Asked
from negotiation.game.protocol import Action, State
from negotiation.replies.reader import clean
from negotiation.scenario.model import Offer

HUMAN = "human"
MAX_WORDS = 2000
"""How many characters a person may say in a turn."""


@dataclass(frozen=True)
class HumanAgent:
    """Plays a seat with a person."""

    options: HumanOptions = field(default_factory=HumanOptions)

    @property
    def name(self) -> str:
        return HUMAN

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        answer = yield Asked(view.seat, self.options.answer_seconds)
        view.cancel.check()
        if not isinstance(answer, Decision):
            raise NoAnswer("a person was asked and nobody answered")
        return answer


def read_answer(state: State, action: str, offer: Offer | None = None, message: str = "") -> Decision:
    """What a person wants to do, as a decision; raises IllegalTurn, naming what is wrong."""
    if action not in set(Action):
        raise IllegalTurn(f"the action must be one of {', '.join(state.legal)}")
    if len(message) > MAX_WORDS:
        raise IllegalTurn(f"the message is longer than {MAX_WORDS:,} characters; say it in fewer words")
    state.apply(Action(action), offer)
    return Decision(Action(action), None if offer is None else dict(offer), clean(message))
