"""The state of a lane as a plain value that events are folded into. Uses neither Gradio nor HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from negotiation.agents.config import AgentConfig
from negotiation.game.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Queued,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.scenario.model import Scenario, Seat


@dataclass(frozen=True)
class Moving:
    """The turn being made."""

    round: int
    seat: Seat
    agent: str
    waiting: Waiting | None = None
    written: str = ""
    rejected: str = ""
    attempt: int = 0
    answer_seconds: float | None = None  # how long a person who is asked has to answer


@dataclass(frozen=True)
class LaneView:
    """A negotiation so far. `unfinished` is the turn that was being made when it was halted."""

    scenario: Scenario
    run_id: str = ""
    turns: tuple[Turn, ...] = ()
    moving: Moving | None = None
    end: Ended | Halted | None = None
    queued: Queued | None = None  # while it waits for a lane
    unfinished: Moving | None = None
    players: Mapping[Seat, AgentConfig] = field(default_factory=dict)
    seed: int = 1

    @property
    def begun(self) -> bool:
        """Whether the negotiation has started."""
        return bool(self.run_id)

    def fold(self, events: Iterable[Event]) -> LaneView:
        """Return the view after more events."""
        view = self
        for event in events:
            view = view._after(event)
        return view

    def _after(self, event: Event) -> LaneView:
        match event:
            case Queued():
                moving = self.moving and replace(self.moving, answer_seconds=None)  # the person has answered
                return replace(self, queued=event, moving=moving)
            case Started(run_id=run_id, seed=seed):
                return replace(self, run_id=run_id, seed=seed, queued=None)
            case TurnStarted(round=number, seat=seat, agent=agent):
                return replace(self, moving=Moving(number, seat, agent), queued=None)
            case Waiting() if self.moving:
                return replace(self, moving=replace(self.moving, waiting=event))
            case Asked(seconds=seconds) if self.moving:
                return replace(self, moving=replace(self.moving, answer_seconds=seconds))
            case Writing(attempt=attempt, piece=piece) if self.moving:
                before = self.moving.written if attempt == self.moving.attempt else ""
                moving = replace(self.moving, waiting=None, rejected="", attempt=attempt)
                return replace(self, moving=replace(moving, written=before + piece))
            case Rejected(invalid=invalid) if self.moving:
                again = invalid.detail if invalid.outcome == "pending" else ""
                return replace(self, moving=replace(self.moving, written="", rejected=again))
            case TurnTaken(turn=turn):
                return replace(self, turns=(*self.turns, turn), moving=None, queued=None)
            case Ended():
                return replace(self, end=event, moving=None, queued=None)
            case Halted():
                return replace(self, end=event, moving=None, queued=None, unfinished=self.moving)
        return self
