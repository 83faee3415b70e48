"""A negotiation that pauses whenever a program is to move, and what the program sees and may do then."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manager.errors import ParleyError
from manager.generation.request import Grammar, Message
from negotiation.agents import prompts
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import IllegalTurn, UnknownAgent
from negotiation.families.family import Family
from negotiation.families.generate import draw_scenario
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, Asked, Ended, Halted, InvalidReply, Measures
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.replies.allowed import legal
from negotiation.replies.reader import read_reply
from negotiation.scenario.model import SEATS, Scenario, Seat, other

ACCEPT, WALK_AWAY, FIRST_OFFER = 0, 1, 2
"""Numbers of actions. `FIRST_OFFER + i` offers the outcome with number i, in the order of `OutcomeSpace`."""


@dataclass(frozen=True)
class Episode:
    """One negotiation to play.

    Args:
        scenario: What it is about, or the family from which the seed draws it.
        seat: The seat that the program plays.
        opponent: The agent in the other seat, or the name of a strategy.
        seed: Controls all randomness.
    """

    scenario: Scenario | Family
    seat: Seat
    opponent: Agent | str
    seed: int = 1

    @property
    def agents(self) -> dict[Seat, Agent]:
        """The agents other than the program. Raises UnknownAgent for an unknown strategy."""
        opponent = self.opponent
        if isinstance(opponent, str):
            if opponent not in STRATEGIES:
                raise UnknownAgent(f"unknown strategy '{opponent}'; choose from: {', '.join(STRATEGIES)}")
            opponent = STRATEGIES[opponent]
        return {other(self.seat): opponent}


@dataclass(frozen=True)
class Observation:
    """What a seat sees before its turn.

    `messages` are what a model in this seat is prompted with, oldest first; `added` are those that are new. They depend
    on `prompt_version`.
    """

    view: View
    options: ModelOptions = prompts.DEFAULTS
    prompt_version: int = prompts.VERSION

    @property
    def seat(self) -> Seat:
        """The seat that is to move."""
        return self.view.seat

    @property
    def scenario(self) -> Scenario:
        """What is negotiated; if it was drawn, its `drawn_from` names the family and the seed."""
        return self.view.scenario

    @cached_property
    def added(self) -> tuple[Message, ...]:
        """The messages that this turn adds to the conversation."""
        return prompts.new_messages(self.view, self.options)

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation."""
        return (*prompts.conversation(self.view, self.options), *self.added)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The legal actions, shape [2 + outcomes]: accept, walk away, and an offer of each outcome."""
        allowed = self.view.state.legal
        mask = np.full(FIRST_OFFER + len(self.view.space), Action.OFFER in allowed)
        mask[ACCEPT], mask[WALK_AWAY] = Action.ACCEPT in allowed, Action.WALK_AWAY in allowed
        return mask

    @cached_property
    def grammar(self) -> Grammar:
        """The legal replies, as a grammar for generating them."""
        return legal(self.view.state).grammar()

    def decision(self, move: str | int | Decision) -> Decision:
        """Return a move as a decision.

        Args:
            move: A reply as a model writes it, the number of an action, or a decision. An unreadable or illegal reply
                walks away, as an agent without retries does.

        Raises:
            IllegalTurn: The number is not that of a legal action, or the decision is not legal.
        """
        if isinstance(move, Decision):
            self.view.state.apply(move.action, move.offer)
            return move
        if isinstance(move, str):
            return self._read(move)
        if not 0 <= move < len(self.mask) or not self.mask[move]:
            raise IllegalTurn(f"action {move} is not legal now; choose one that the mask allows")
        if move < FIRST_OFFER:
            return Decision(Action.ACCEPT if move == ACCEPT else Action.WALK_AWAY)
        return Decision(Action.OFFER, self.view.space.offer(move - FIRST_OFFER))

    def _read(self, text: str) -> Decision:
        reply = read_reply(text, self.view.state)
        if reply.action is None:
            assert reply.kind is not None
            invalid = (InvalidReply(reply.kind, reply.detail, text, "gave_up"),)
            return Decision(Action.WALK_AWAY, invalid=invalid, prompt=self.added, raw=text)
        return Decision(reply.action, reply.offer, reply.message, reply.thought, prompt=self.added, raw=text, tokens=0)


class Table:
    """A negotiation in which programs play the seats without an agent.

    Args:
        scenario: What it is about, or the family from which the seed draws it.
        agents: The agents of the other seats; they may be scripts or models.
        seed: Controls all randomness.
        options: What the observations tell.

    Raises:
        ScenarioError: The family has no scenario for this seed.
        ParleyError: An agent failed.
    """

    def __init__(
        self,
        scenario: Scenario | Family,
        agents: Mapping[Seat, Agent] | None = None,
        seed: int = 1,
        options: ModelOptions = prompts.DEFAULTS,
    ) -> None:
        self.observation: Observation | None = None
        """What the seat to move sees; None once the negotiation is over."""
        self.ended: Ended | None = None
        self.scenario = draw_scenario(scenario, seed) if isinstance(scenario, Family) else scenario
        self._program = _Program()
        seats: dict[Seat, Agent] = {seat: (agents or {}).get(seat, self._program) for seat in SEATS}
        self._options = options
        self._events = negotiate(Negotiation("gym", self.scenario, seats, seed))
        self._advance(None)

    @property
    def measures(self) -> Measures | None:
        """How the negotiation went; None until it is over."""
        return self.ended.measures if self.ended else None

    def move(self, move: str | int | Decision) -> None:
        """Make the move of the seat whose turn it is, and play on until a program is to move or it is over.

        Raises:
            IllegalTurn: The move is not legal now, or the negotiation is over.
            ParleyError: An agent failed.
        """
        if self.observation is None:
            raise IllegalTurn("the negotiation is over")
        self._advance(self.observation.decision(move))

    def reward(self, seat: Seat) -> float:
        """Return what a seat gained over its reservation value, discounted; 0 until the negotiation is over."""
        if self.ended is None:
            return 0.0
        measures = self.ended.measures
        worth = measures.utility_a if seat == "a" else measures.utility_b
        return worth - self.scenario.roles[seat].reservation

    def _advance(self, decision: Decision | None) -> None:
        self.observation = None
        try:
            event = self._events.send(decision)
            while True:
                match event:
                    case Asked():
                        assert self._program.view is not None
                        self.observation = Observation(self._program.view, self._options)
                        return
                    case Ended():
                        self.ended = event
                    case Halted():
                        raise ParleyError(f"the negotiation did not end ({event.status}): {event.reason}")
                event = next(self._events)
        except StopIteration:
            return


class _Program:
    """The agent of the seats that programs play: it remembers its view and asks for the decision."""

    name = "program"

    def __init__(self) -> None:
        self.view: View | None = None

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        self.view = view
        decision = yield Asked(view.seat, float("inf"))
        assert isinstance(decision, Decision)
        return decision
