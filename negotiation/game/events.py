"""Events of a negotiation, as frozen values for the page, the store, the command line and the tests.

Turns, endings and interruptions are stored. The other events only show watchers the progress.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from manager.generation.request import Held, Message
from manager.identity import Identity
from negotiation.game.protocol import Action, Ending
from negotiation.scenario.model import Offer, Seat

Note = Literal["transcript", "repeated", "other_values", "other_numbers"]
"""A remark on a model's valid reply: it has no chat template (on its first turn only), its message is the same as its
last one, or its message names other values than the offer that it makes or accepts. Earlier versions remarked instead
on numbers that are in neither side's offer."""


@dataclass(frozen=True)
class InvalidReply:
    """A reply that could not be used: its kind, its text, and whether a retry repaired it."""

    kind: str  # empty, not_json, wrong_shape, off_menu or illegal_action
    detail: str
    raw: str
    outcome: Literal["repaired", "gave_up", "pending"] = "pending"


@dataclass(frozen=True)
class Writer:
    """The model that wrote a turn, and every sampling setting as it was used."""

    identity: Identity
    sampling: Mapping[str, Any]


@dataclass(frozen=True)
class PublicTurn:
    """The part of a turn that both sides see."""

    round: int
    seat: Seat
    action: Action
    offer: Offer | None
    message: str


@dataclass(frozen=True)
class Turn:
    """A complete turn. Utilities are undiscounted, of the offer made or accepted; None when walking away."""

    index: int
    round: int
    seat: Seat
    agent: str
    action: Action
    offer: Offer | None
    message: str = ""
    thought: str = ""
    utility_a: float | None = None
    utility_b: float | None = None
    invalid: tuple[InvalidReply, ...] = ()
    prompt: tuple[Message, ...] = ()  # the messages that the agent received since its last turn
    raw: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    cost: float | None = None  # US dollars for all tokens, where the model has a price
    estimated: bool = False  # whether the token counts are estimates, as a remote server sent none
    held: Held | None = None  # what constrained a model's reply while it was generated
    notes: tuple[Note, ...] = ()

    @cached_property
    def public(self) -> PublicTurn:
        """The part that both sides see."""
        return PublicTurn(self.round, self.seat, self.action, self.offer, self.message)


@dataclass(frozen=True)
class SeatMeasures:
    """How one seat played, with one number for each of its turns. `measures` has the definitions."""

    concession: tuple[float | None, ...] = ()
    regret: tuple[float, ...] = ()
    invalid: Mapping[str, int] = field(default_factory=dict)  # kind -> number of replies
    tokens: int = 0
    seconds: float = field(default=0.0, compare=False)  # differs between identical runs
    cost: float | None = None  # US dollars; None if the model has no price


@dataclass(frozen=True)
class Measures:
    """How well a negotiation ended. Distances are Euclidean, from the undiscounted utilities of what was agreed on."""

    utility_a: float
    utility_b: float
    welfare_share: float
    pareto_distance: float
    nash_distance: float | None
    rational_a: bool  # ended at or above its reservation value
    rational_b: bool
    seats: Mapping[Seat, SeatMeasures] = field(default_factory=dict)


@dataclass(frozen=True)
class Queued:
    """The negotiation waits for a lane behind `visitors` other visitors and `ahead` negotiations.

    `own` means that it waits for another negotiation of the same visitor.
    """

    visitors: int
    ahead: int
    expected_seconds: float | None = None
    own: bool = False


@dataclass(frozen=True)
class Started:
    """A negotiation begins, or continues after `turns` earlier turns."""

    run_id: str
    scenario_id: str
    agents: dict[Seat, str]
    seed: int
    turns: int = 0


@dataclass(frozen=True)
class TurnStarted:
    """A seat is to move."""

    index: int
    round: int
    seat: Seat
    agent: str


@dataclass(frozen=True)
class Waiting:
    """The agent's model is not ready; `stage` is preparing, queued, fetching, loading, waking or lending.

    `done` and `total` are bytes; while a GPU is to be lent, seconds of the visitor's GPU time that the negotiation has
    used so far and now asks for.
    """

    seat: Seat
    stage: str
    position: int = 0
    expected_seconds: float | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Asked:
    """A person is to move within `seconds`."""

    seat: Seat
    seconds: float


@dataclass(frozen=True)
class Writing:
    """The agent wrote a piece of its reply. Attempts count from 0."""

    seat: Seat
    attempt: int
    piece: str


@dataclass(frozen=True)
class Rejected:
    """A reply could not be used. The agent is asked again, unless `invalid.outcome` is `gave_up`."""

    seat: Seat
    attempt: int
    invalid: InvalidReply


@dataclass(frozen=True)
class TurnTaken:
    """A turn is complete, and stored if there is a store. A model's turn names its writer when it is taken."""

    turn: Turn
    writer: Writer | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Ended:
    """The negotiation ended by its own rules."""

    ending: Ending
    by: Seat | None
    agreement: Offer | None
    measures: Measures


@dataclass(frozen=True)
class Halted:
    """The negotiation stopped before its end; `kind` is the class name of the error, if one was the cause."""

    status: Literal["stopped", "interrupted", "failed"]
    reason: str
    kind: str = field(default="", compare=False)


Event = Queued | Started | TurnStarted | Waiting | Asked | Writing | Rejected | TurnTaken | Ended | Halted

AgentEvent = Waiting | Asked | Writing | Rejected
"""Events that an agent yields while it decides."""

EventListener = Callable[[str, Event], None]
"""Receives the run id and each event of a run, for metrics and logs."""
