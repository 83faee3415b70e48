"""Draws how far along a tournament is, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from negotiation.tournament.service import Running
from negotiation.tournament.store import Counts, TournamentSummary
from ui.kit.templates import render
from ui.kit.units import seconds
from ui.tournament import text

BUSY_SECONDS, IDLE_SECONDS = 1, 15
"""How often an open page looks, while any tournament runs here or the one that is shown may be running elsewhere, and
otherwise."""


@dataclass(frozen=True)
class Note:
    """A remark beside the progress, and the class that it is drawn with."""

    words: str
    look: str = ""


def progress_html(row: TournamentSummary, size: int, counts: Counts, running: Running | None, other: str) -> Markup:
    """Draw the progress of a tournament.

    Args:
        size: Its number of negotiations.
        counts: How many of them ended.
        running: Its live progress, if it runs on this server.
        other: The title of another tournament that runs on this server, or "".
    """
    latest = running.latest if running else None
    done, failed = (latest.done, latest.failed) if latest else (counts.done, counts.failed)
    total = latest.total if latest else size
    notes = []
    if running is not None and running.stopping:
        notes.append(Note(text.STOPPING))
    elif latest is not None and latest.seconds_left is not None:
        notes.append(Note(text.LEFT.format(time=seconds(latest.seconds_left))))
    if failed:
        notes.append(Note(text.FAILED.format(count=failed), "notice"))
    if running is not None and running.retried:
        notes.append(Note(text.RETRIED.format(count=running.retried)))
    if row.reason:
        notes.append(Note(row.reason, "reason"))
    return render(
        "tournament/progress",
        status=row.status,
        words=text.STATUS[row.status],
        fraction=(done + failed) / max(total, 1) if row.status == "running" else None,
        done=text.PROGRESS.format(done=done, total=total),
        notes=notes,
        other=text.OTHER.format(title=other) if other else "",
        tick=BUSY_SECONDS if other or running or row.status == "running" else IDLE_SECONDS,
    )
