"""What happens in a negotiation, as frozen values: the page, the store, the command line and the tests all listen.

A turn, an ending and an interruption are facts and are stored; the others only tell those who watch how it comes
about. All can be written as JSON and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from manager.generation.request import Held, Message
from negotiation.game.protocol import Action, Ending
from negotiation.scenario.model import Offer, Seat


@dataclass(frozen=True)
class InvalidReply:
    """A reply that could not be used: its kind, its text, and what became of it."""

    kind: str  # empty, not_json, wrong_shape, off_menu or illegal_action
    detail: str
    raw: str
    outcome: Literal["repaired", "gave_up", "pending"] = "pending"


@dataclass(frozen=True)
class Turn:
    """One agent's turn, complete. Utilities are undiscounted, of the offer made or accepted; None when walking away."""

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
    prompt: tuple[Message, ...] = ()  # what the agent was told since its last turn
    raw: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    cost: float | None = None  # US dollars for all tokens, where the model has a price
    estimated: bool = False  # whether a server elsewhere did not say how many tokens there were
    held: Held | None = None  # what a model's reply was held to while it was written


@dataclass(frozen=True)
class SeatMeasures:
    """How one seat played, turn by turn; a number for each of its turns. Definitions: measures.py."""

    concession: tuple[float | None, ...] = ()
    regret: tuple[float, ...] = ()
    invalid: Mapping[str, int] = field(default_factory=dict)  # kind -> how many replies
    tokens: int = 0
    seconds: float = field(default=0.0, compare=False)  # differs each time
    cost: float | None = None  # US dollars, as far as the model has a price


@dataclass(frozen=True)
class Measures:
    """How well a negotiation ended. Distances are in utility, from the point that was reached."""

    utility_a: float
    utility_b: float
    welfare_share: float
    pareto_distance: float
    nash_distance: float | None
    rational_a: bool  # ended at or above the own reservation value
    rational_b: bool
    seats: Mapping[Seat, SeatMeasures] = field(default_factory=dict)


@dataclass(frozen=True)
class Queued:
    """The negotiation waits for a lane: behind so many other visitors and negotiations, for about so long.

    `own` says that it waits for one of its own visitor's to end.
    """

    visitors: int
    ahead: int
    expected_seconds: float | None = None
    own: bool = False


@dataclass(frozen=True)
class Started:
    """A negotiation begins, or goes on after `turns` that were made before."""

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
    """The agent's model is not ready: `stage` is preparing, queued, fetching, loading or waking."""

    seat: Seat
    stage: str
    position: int = 0
    expected_seconds: float | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Asked:
    """A person is to move, and has so many seconds for it."""

    seat: Seat
    seconds: float


@dataclass(frozen=True)
class Writing:
    """The agent wrote a piece of its reply; attempt 0 is the first."""

    seat: Seat
    attempt: int
    piece: str


@dataclass(frozen=True)
class Rejected:
    """A reply could not be used. The agent is asked again, unless the ledger's entry says that it gave up."""

    seat: Seat
    attempt: int
    invalid: InvalidReply


@dataclass(frozen=True)
class TurnTaken:
    """A turn is complete (and stored, where there is a store)."""

    turn: Turn


@dataclass(frozen=True)
class Ended:
    """The negotiation came to an end of its own."""

    ending: Ending
    by: Seat | None
    agreement: Offer | None
    measures: Measures


@dataclass(frozen=True)
class Halted:
    """The negotiation did not come to an end: `status` is stopped, interrupted or failed; `kind` is the error's."""

    status: Literal["stopped", "interrupted", "failed"]
    reason: str
    kind: str = field(default="", compare=False)


Event = Queued | Started | TurnStarted | Waiting | Asked | Writing | Rejected | TurnTaken | Ended | Halted

AgentEvent = Waiting | Asked | Writing | Rejected
"""What an agent reports while it makes up its mind."""

EventListener = Callable[[str, Event], None]
"""Is told a run's id and each of its events, for figures and logs."""
