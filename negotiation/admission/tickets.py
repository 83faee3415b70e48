"""A negotiation's request for a lane, and its position in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from negotiation.admission.limits import Caller


class Stage(Enum):
    """The stages of a ticket."""

    ENTERING = "entering"  # admitted, not yet ready to start
    WAITING = "waiting"  # queued for a lane
    RUNNING = "running"  # in a lane
    ASIDE = "aside"  # waiting for a person, without a lane
    GONE = "gone"


@dataclass(eq=False)
class LaneTicket:
    """One negotiation that needs a lane."""

    caller: Caller
    background: bool
    stage: Stage = Stage.ENTERING
    begin: Callable[[], None] = field(default=lambda: None, repr=False)
    since: float = 0.0  # when its stage began, in seconds of the lanes' clock


@dataclass(frozen=True)
class QueuePosition:
    """A negotiation's position in the queue.

    Attributes:
        visitors: Other visitors with negotiations ahead.
        ahead: Negotiations ahead.
        expected_seconds: Estimated waiting time; None before any negotiation has ended.
        own: Whether it waits for another negotiation of the same visitor.
    """

    visitors: int
    ahead: int
    expected_seconds: float | None
    own: bool = False
