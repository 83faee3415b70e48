"""The state of an open Play tab."""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.scenario.model import Scenario, Seat


@dataclass(frozen=True)
class Playing:
    """The negotiation that a page plays."""

    run_id: str
    seat: Seat
    scenario: Scenario


@dataclass
class OpenPage:
    """What one open page plays.

    Mutable, because a follower that draws a run for minutes has to notice when the visitor begins another one.
    """

    playing: Playing | None = None
    round: int = 1
    seen: int | None = None  # how many turns are shown at once, before the rest is played; by default those made so far
    following: str = ""  # the id of the run that a follower draws
    settled: bool = False  # the visitor chose something, so the browser's memory no longer matters
    opened: bool = False  # the address has been read

    @property
    def run_id(self) -> str:
        """Return the id of the run that is played, or "" if none is."""
        return self.playing.run_id if self.playing else ""
