"""What an agent may know, and what it decides."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from manager.cancel import CancelToken
from manager.generation.request import Held, Message
from negotiation.game.events import AgentEvent, InvalidReply, Turn
from negotiation.game.protocol import Action, State
from negotiation.scenario.analysis import Floats, OutcomeSpace
from negotiation.scenario.model import Offer, Role, Scenario, Seat, other


@dataclass(frozen=True)
class PublicTurn:
    """What both sides see of a turn."""

    round: int
    seat: Seat
    action: Action
    offer: Offer | None
    message: str


@dataclass(frozen=True)
class View:
    """The negotiation as one seat sees it: the rules, its own preferences and turns, and what was said openly."""

    run_id: str
    scenario: Scenario
    space: OutcomeSpace
    state: State
    seat: Seat
    public: tuple[PublicTurn, ...]
    own: tuple[Turn, ...]
    seed: int
    cancel: CancelToken = field(default_factory=CancelToken)
    next_agent: Agent | None = None

    @cached_property
    def utilities(self) -> Floats:
        """The own utility of every outcome of `space`."""
        return self.space.utilities(self.seat)

    @property
    def role(self) -> Role:
        """The own role."""
        return self.scenario.roles[self.seat]

    @property
    def other_name(self) -> str:
        """What the other side is called; the only thing of its role that may be known."""
        return self.scenario.roles[other(self.seat)].name

    def turn_seed(self, attempt: int = 0) -> int:
        """A number that depends on the run's seed, the seat, the turn and the attempt, and on nothing else."""
        text = f"{self.seed} {self.seat} {self.state.turn} {attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])

    def random(self) -> random.Random:
        """A source of chance of this turn's own."""
        return random.Random(self.turn_seed())


@dataclass(frozen=True)
class Decision:
    """What an agent decided, and how it came about."""

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


class Agent(Protocol):
    """Plays a seat. It keeps nothing between turns: all it needs is in the view, so runs can be continued."""

    @property
    def name(self) -> str:
        """What it is called in configuration and results."""

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        """Decide this turn, reporting on the way; raises ParleyError if it cannot.

        After `Asked` it is sent the answer, a Decision, or None if there is none.
        """
