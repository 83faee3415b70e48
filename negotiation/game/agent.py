"""The agent protocol: the view an agent gets, and the decision it returns."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from manager.cancel import CancelToken
from manager.generation.request import Held, Message
from negotiation.game.events import AgentEvent, InvalidReply, Note, PublicTurn, Turn, Writer
from negotiation.game.protocol import Action, GameState
from negotiation.scenario.analysis import Floats, OutcomeSpace
from negotiation.scenario.model import Offer, Role, Scenario, Seat, other


@dataclass(frozen=True)
class View:
    """The negotiation as one seat sees it: the rules, its own preferences and turns, and the public turns."""

    run_id: str
    scenario: Scenario
    space: OutcomeSpace
    state: GameState
    seat: Seat
    public: tuple[PublicTurn, ...]
    own: tuple[Turn, ...]
    seed: int
    cancel: CancelToken = field(default_factory=CancelToken)
    next_agent: Agent | None = None

    @cached_property
    def utilities(self) -> Floats:
        """The seat's utility of every outcome of `space`, shape [outcomes]."""
        return self.space.utilities(self.seat)

    @property
    def role(self) -> Role:
        """The seat's role."""
        return self.scenario.roles[self.seat]

    @property
    def other_name(self) -> str:
        """The name of the other role, which is all that an agent may know about it."""
        return self.scenario.roles[other(self.seat)].name

    def turn_seed(self, attempt: int = 0) -> int:
        """Return a seed that depends only on the run's seed, the seat, the turn and the attempt."""
        text = f"{self.seed} {self.seat} {self.state.turn} {attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])

    def random(self) -> random.Random:
        """Return a random generator for this turn."""
        return random.Random(self.turn_seed())


@dataclass(frozen=True)
class Decision:
    """The decision of an agent, with the record of how it was made."""

    action: Action
    offer: Offer | None = None
    message: str = ""
    thought: str = ""
    invalid: tuple[InvalidReply, ...] = ()
    prompt: tuple[Message, ...] = ()
    raw: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    held: Held | None = None
    notes: tuple[Note, ...] = ()
    writer: Writer | None = None


class Agent(Protocol):
    """Plays a seat. It stores nothing between turns: the view has all it needs, so runs can be continued."""

    @property
    def name(self) -> str:
        """The name in configuration and results."""

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        """Decide this turn, and yield events on the way.

        After `RequestFacts`, the caller sends the person's Decision, or None without one.

        Raises:
            ParleyError: The agent cannot decide.
        """
