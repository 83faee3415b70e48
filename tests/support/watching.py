"""Watching runs in tests: joining one that is driven, and waiting for what it is to tell."""

from __future__ import annotations

from negotiation.game.events import Event
from negotiation.live.feed import Watch
from negotiation.live.live_runs import LiveRuns

PATIENCE = 20.0
"""Seconds after which something that should happen is taken not to."""


def follow(live: LiveRuns, run_id: str) -> Watch:
    """Join a run, which is driven."""
    watch = live.watch(run_id)
    assert watch is not None
    return watch


def until(watch: Watch, wanted: Event | type, seen: list[Event] | None = None) -> list[Event]:
    """What a watcher has `seen` once a certain event came, or any of a kind."""
    seen = [] if seen is None else seen
    while not any(event == wanted or type(event) is wanted for event in seen):
        new = watch.poll(PATIENCE)
        assert new, f"no {wanted} after {seen}"
        seen += new
    return seen
