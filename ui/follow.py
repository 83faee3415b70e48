"""Following a run: the updates that keep a lane up to date, live or from the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from negotiation.parley import Parley
from negotiation.runs import Run
from negotiation.watch import stored_events
from ui.agents import labels
from ui.lane import Lane, Painter
from ui.space import space_of
from ui.view import LaneView

UPDATE_SECONDS = 0.1
OTHER_PROCESS_SECONDS = 2.0


async def follow_run(parley: Parley, lane: Lane, run_id: str) -> AsyncIterator[dict[Any, Any]]:
    """Updates of a lane for a run: from its beginning to its end if it runs here, else as it is stored."""
    run = await asyncio.to_thread(parley.store.run, run_id)
    painter = Painter(lane, await asyncio.to_thread(space_of, run.scenario), labels(parley))
    view = LaneView(run.scenario)
    watch = parley.live.watch(run_id)
    if watch is None:
        async for updates in _follow_stored(parley, painter, run):
            yield updates
        return
    with watch:
        yield await asyncio.to_thread(painter.paint, view)
        while view.end is None:
            if events := watch.poll(0):
                view = view.fold(events)
                yield painter.paint(view)
            await asyncio.sleep(UPDATE_SECONDS)


async def _follow_stored(parley: Parley, painter: Painter, run: Run) -> AsyncIterator[dict[Any, Any]]:
    while True:
        view = LaneView(run.scenario).fold(stored_events(run))
        yield await asyncio.to_thread(painter.paint, view)
        if run.status != "running":
            return
        await asyncio.sleep(OTHER_PROCESS_SECONDS)  # another process drives it, or did
        await asyncio.to_thread(parley.store.mark_interrupted)
        run = await asyncio.to_thread(parley.store.run, run.run_id)
