"""Follow a run, live or from the store: its successive views, and the updates of the lane that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from negotiation.game.events import Halted
from negotiation.live.feed import stored_events
from negotiation.live.live_runs import DELETED
from negotiation.runs.record import Run
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.components import Updates
from ui.widgets.agent_picker import labels
from ui.widgets.lane import Lane, Painter

UPDATE_SECONDS = 0.2
OTHER_PROCESS_SECONDS = 2.0
SIGN_SECONDS = 2.0
"""The longest silence: a watcher who left is noticed only when something is sent."""


def stored_view(run: Run) -> LaneView:
    """Return the view of a stored run."""
    return LaneView(run.scenario, players=run.agents).fold(stored_events(run))


async def views(parley: Parley, run_id: str) -> AsyncIterator[LaneView]:
    """Yield the views of a run until it ends. Holds no thread, and counts as a watcher.

    Raises:
        UnknownRun: If there is no such run.
    """
    run = await asyncio.to_thread(parley.store.run, run_id)
    watch = parley.live.watch(run_id)
    if watch is None:
        while True:
            yield stored_view(run)
            if run.status != "running":
                return
            await asyncio.sleep(OTHER_PROCESS_SECONDS)  # another process drives it
            await asyncio.to_thread(parley.store.mark_interrupted)
            try:
                run = await asyncio.to_thread(parley.store.run, run_id)
            except UnknownRun:
                yield stored_view(run).fold([Halted("stopped", DELETED)])
                return
    view = LaneView(run.scenario, players=run.agents)
    with watch:
        yield view
        silent = 0.0
        while view.end is None:
            events = watch.poll(0)
            if events or silent >= SIGN_SECONDS:
                view, silent = view.fold(events), 0.0
                yield view
            await asyncio.sleep(UPDATE_SECONDS)
            silent += UPDATE_SECONDS


async def follow_run(parley: Parley, lane: Lane, run_id: str, *, hidden: bool = False) -> AsyncIterator[Updates]:
    """Yield the updates of a lane: a run from its beginning to its end if it runs here, else as it is stored.

    With `hidden`, they do not say who plays.
    """
    async for updates in painted(parley, lane, views(parley, run_id), hidden=hidden):
        yield updates


async def painted(
    parley: Parley, lane: Lane, shown: AsyncIterator[LaneView], *, hidden: bool = False
) -> AsyncIterator[Updates]:
    """Yield the updates that show views in a lane, `hidden` as for `follow_run`."""
    painter: Painter | None = None
    async for view in shown:
        seen = replace(view, players={}) if hidden else view
        if painter is None:
            secret = {config.agent: text.HIDDEN_AGENT for config in view.players.values()}
            names = secret if hidden else labels(parley)
            painter = Painter(lane, await asyncio.to_thread(space_of, view.scenario), names)
            yield await asyncio.to_thread(painter.paint, seen)
        else:
            yield painter.paint(seen)
