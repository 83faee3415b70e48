"""What a visitor wants to see of tournaments, what a look at them finds, and what the page shows."""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.service import Running
from negotiation.tournament.store import Counts, TournamentSummary


@dataclass(frozen=True)
class Wanted:
    """What a visitor asked to see."""

    opened: bool = False
    tournament_id: str | None = None
    where: str = ""  # a scenario's id; empty for all


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What decides whether the page has to change. It is cheap to look at; a leaderboard is not."""

    listed: tuple[TournamentSummary, ...]
    running: Running | None
    row: TournamentSummary | None  # the tournament that is shown
    counts: Counts
    where: str
    allowed: bool

    @property
    def other(self) -> str:
        """Return the title of a tournament that runs on this server but is not shown."""
        if self.running is None or self.here:
            return ""
        return next((row.title for row in self.listed if row.tournament_id == self.running.tournament_id), "")

    @property
    def here(self) -> Running | None:
        """Return the live progress of the tournament that is shown, if it runs on this server."""
        shown = self.running and self.row and self.running.tournament_id == self.row.tournament_id
        return self.running if shown else None


@dataclass(frozen=True)
class Painted:
    """What the page shows."""

    glance: Glance | None = None
    board: Leaderboard | None = None
    settled: bool = False  # the board holds every game that was counted

    @property
    def tournament_id(self) -> str | None:
        """Return the id of the tournament that is shown."""
        return self.glance.row.tournament_id if self.glance and self.glance.row else None
