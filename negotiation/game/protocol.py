"""Alternating offers with a deadline, as a pure state machine: the only place that decides what is legal.

The seats take turns, and a round is one turn of each. In its turn a seat makes an offer, accepts the other side's
latest offer, or walks away. Without an agreement by the end of the last round there is no deal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from negotiation.errors import IllegalTurn
from negotiation.scenario.model import Offer, Scenario, Seat, other


class Action(StrEnum):
    """The action of a turn."""

    OFFER = "offer"
    ACCEPT = "accept"
    WALK_AWAY = "walk_away"


class Ending(StrEnum):
    """How a negotiation ended."""

    AGREEMENT = "agreement"
    WALKED_AWAY = "walked_away"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class GameState:
    """The state of a negotiation. `table` is the other side's offer, which may be accepted now."""

    scenario: Scenario
    turn: int = 0
    starts: Seat = "a"
    table: Offer | None = None
    ending: Ending | None = None
    agreement: Offer | None = None
    ended_by: Seat | None = None

    @property
    def round(self) -> int:
        """The current round, from 1."""
        return self.turn // 2 + 1

    @property
    def seat(self) -> Seat:
        """The seat to move."""
        return self.starts if self.turn % 2 == 0 else other(self.starts)

    @property
    def last_turn(self) -> bool:
        """Whether no turn follows this one, so that an offer made now can no longer be accepted."""
        return self.turn == 2 * self.scenario.rounds - 1

    @property
    def last_offer(self) -> bool:
        """Whether an offer made now is the seat's last that the other side can accept."""
        return self.turn in (2 * self.scenario.rounds - 3, 2 * self.scenario.rounds - 2)

    @property
    def legal(self) -> tuple[Action, ...]:
        """The actions that the seat may take now; none when the negotiation is over."""
        if self.ending is not None:
            return ()
        if self.table is None:
            return (Action.OFFER, Action.WALK_AWAY)
        return (Action.OFFER, Action.ACCEPT, Action.WALK_AWAY)

    def apply(self, action: Action, offer: Offer | None = None) -> GameState:
        """Return the state after a turn; raise IllegalTurn, saying what is wrong, if it is not allowed."""
        if self.ending is not None:
            raise IllegalTurn(f"the negotiation is over ({self.ending})")
        if action not in self.legal:
            raise IllegalTurn("there is no offer on the table that could be accepted")
        if (offer is not None) != (action is Action.OFFER):
            raise IllegalTurn(f"'{action}' {'needs an' if action is Action.OFFER else 'takes no'} offer")
        match action:
            case Action.ACCEPT:
                return replace(self, ending=Ending.AGREEMENT, agreement=self.table, ended_by=self.seat)
            case Action.WALK_AWAY:
                return replace(self, ending=Ending.WALKED_AWAY, ended_by=self.seat)
            case Action.OFFER:
                if problem := self.scenario.problem(offer):
                    raise IllegalTurn(problem)
                assert offer is not None
                ending = Ending.DEADLINE if self.last_turn else None
                return replace(self, turn=self.turn + 1, table=dict(offer), ending=ending)
