"""Watch a run in a test: join it, and wait for its events."""

from __future__ import annotations

from negotiation.game.events import Event
from negotiation.live.feed import Watch
from negotiation.live.live_runs import LiveRuns

PATIENCE = 60.0
"""Seconds to wait for an expected event before the test fails."""


def follow(live: LiveRuns, run_id: str) -> Watch:
    """Join a run, which must be active."""
    watch = live.watch(run_id)
    assert watch is not None
    return watch


def until(watch: Watch, wanted: Event | type, seen: list[Event] | None = None) -> list[Event]:
    """Wait for an event, or any event of a type, and return all events `seen` up to then."""
    seen = [] if seen is None else seen
    while not any(event == wanted or type(event) is wanted for event in seen):
        new = watch.poll(PATIENCE)
        assert new, f"no {wanted} after {seen}"
        seen += new
    return seen
