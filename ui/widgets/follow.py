"""Follow a run, live or from the store: its successive views, and the updates of the lane that shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from negotiation.live.feed import stored_events
from negotiation.live.live_runs import DELETED
from negotiation.runs.record import Run
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.components import Updates
from ui.widgets.agent_picker import labels
from ui.widgets.lane import Lane, Painter
from ui.widgets.pacing import Pacer

UPDATE_SECONDS = 0.2
OTHER_PROCESS_SECONDS = 2.0
SIGN_SECONDS = 2.0
"""The longest silence: a watcher who left is noticed only when something is sent."""


def stored_view(run: Run) -> LaneView:
    """Return the view of a stored run."""
    return LaneView(run.scenario, players=run.agents).fold(stored_events(run))


async def views(
    parley: Parley, run_id: str, factor: Callable[[], float] = lambda: 0.0, seen: int | None = None
) -> AsyncIterator[LaneView]:
    """Yield the views of a run until its end is visible. Holds no thread, and counts as a watcher.

    Args:
        factor: The pace now (`pacing.PACES`); by default everything is visible at once.
        seen: How many turns are visible at once; by default those made so far.

    Raises:
        UnknownRun: If there is no such run.
    """
    async with aclosing(_latest(parley, run_id)) as latest:
        async for visible in paced(latest, factor, seen):
            yield visible


async def paced(
    latest: AsyncIterator[LaneView], factor: Callable[[], float], seen: int | None = None
) -> AsyncIterator[LaneView]:
    """Yield what is visible of the latest view, whenever that changes, until its end is visible.

    Args:
        latest: Yields the latest view whenever it is asked, also after the end.
        factor, seen: As for `views`.
    """
    pacer, before, silent = Pacer(seen), None, 0.0
    async for view in latest:
        visible = pacer.show(view, time.monotonic(), factor())
        if visible != before or silent >= SIGN_SECONDS:
            before, silent = visible, 0.0
            yield visible
        if visible.end is not None:
            return
        await asyncio.sleep(UPDATE_SECONDS)
        silent += UPDATE_SECONDS


async def still(view: LaneView) -> AsyncIterator[LaneView]:
    """Yield a view that no longer changes, for ever."""
    while True:
        yield view


async def _latest(parley: Parley, run_id: str) -> AsyncGenerator[LaneView]:
    """Yield the view of a run as it is now, for ever."""
    run = await asyncio.to_thread(parley.store.run, run_id)
    watch = parley.live.watch(run_id)
    if watch is not None:
        view = LaneView(run.scenario, players=run.agents)
        with watch:
            while True:
                view = view.fold(watch.poll(0))
                yield view
    view, read = stored_view(run), time.monotonic()
    while True:
        yield view
        if run.status == "running" and time.monotonic() - read >= OTHER_PROCESS_SECONDS:  # another process drives it
            await asyncio.to_thread(parley.store.mark_interrupted)
            try:
                run = await asyncio.to_thread(parley.store.run, run_id)
            except UnknownRun:
                run = replace(run, status="stopped", reason=DELETED)
            view, read = stored_view(run), time.monotonic()


async def painted(
    parley: Parley, lane: Lane, shown: AsyncIterator[LaneView], *, hidden: bool = False
) -> AsyncIterator[Updates]:
    """Yield the updates that show views in a lane; with `hidden`, they do not say who plays."""
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
