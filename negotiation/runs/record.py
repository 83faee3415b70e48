"""A stored negotiation as a value. How it is written down: codec.py; where: database.py and journal.py."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from negotiation.agents.config import AgentConfig
from negotiation.game.events import Ended, Halted, Measures, Turn, TurnTaken
from negotiation.game.protocol import Ending
from negotiation.runs.provenance import Provenance
from negotiation.scenario.model import Offer, Scenario, Seat

Status = Literal["running", "done", "stopped", "interrupted", "failed"]

LATEST = 250_000_000_000
"""The latest time in seconds since 1970: in the year 9892, within what dates can be."""
STORED = ConfigDict(allow_inf_nan=False)
"""Rules for stored values: numbers are finite."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stored run."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    run_id: str
    scenario: Scenario
    agents: dict[Seat, AgentConfig]
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    owner: str | None = None
    created: Annotated[float, Field(ge=0, le=LATEST)] = 0.0  # seconds since 1970
    published: bool = False
    status: Status = "running"
    reason: str = ""
    comparison: str | None = None  # the id that runs started together share
    lane: int | None = None
    forked_from: str | None = None  # the run whose first `forked_turns` turns this one begins with
    forked_turns: int | None = None
    ending: Ending | None = None
    ended_by: Seat | None = None
    agreement: Offer | None = None
    measures: Measures | None = None
    turns: tuple[Turn, ...] = ()
    provenance: Provenance | None = None  # None for runs of versions that recorded none

    @property
    def cost(self) -> float:
        """US dollars for its own turns, as far as their models have a price; copied turns cost it nothing."""
        return sum(turn.cost or 0.0 for turn in self.turns[self.forked_turns or 0 :])

    def written(self, event: TurnTaken) -> Run:
        """Return the run with the writer of a turn in its provenance."""
        if self.provenance is None:
            return self
        return replace(self, provenance=self.provenance.written(event.turn.seat, event.turn.index, event.writer))

    def end(self, event: Ended | Halted) -> Run:
        """Return the run as it is after its last event."""
        if isinstance(event, Halted):
            return replace(self, status=event.status, reason=event.reason)
        return replace(
            self,
            status="done",
            ending=event.ending,
            ended_by=event.by,
            agreement=event.agreement,
            measures=event.measures,
        )


def new_run_id() -> str:
    """Return a run id that cannot be guessed (128 bits) and never looks like a command-line option."""
    return secrets.token_hex(16)
