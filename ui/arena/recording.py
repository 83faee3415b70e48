"""The recorded negotiations that a visit begins with: stored runs, replayed with the pauses of the recording."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from manager.errors import ConfigError
from negotiation.errors import StoreError
from negotiation.game.events import TurnStarted, TurnTaken, Writing
from negotiation.live.feed import stored_events
from negotiation.runs.export import read_export
from negotiation.runs.record import Run
from ui.drawing.lane_view import LaneView
from ui.drawing.turns import spoken

PAUSE_LEAST, PAUSE_MOST = 0.8, 6.0
"""Bounds on the seconds that a turn takes in a replay: time enough to read, but not to get bored."""
TYPING_STEPS, TYPING_SECONDS = 8, 1.2


def read_recording(folder: Path, lanes: int) -> tuple[Run, ...]:
    """Return the runs of the first recording in a folder, one per lane; empty if there is none.

    A recording is a file that History saves as JSON: one line per run.

    Raises:
        ConfigError: The file is no recording.
    """
    path = next(iter(sorted(folder.glob("*.jsonl"))), None)
    if path is None:
        return ()
    try:
        runs = tuple(read_export(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line)
    except (OSError, ValueError, StoreError) as error:
        raise ConfigError(f"{path}: this is no recording: {error}") from None
    if len(runs) != lanes:
        raise ConfigError(f"{path}: a recording has one line for each of the {lanes} lanes, but this has {len(runs)}")
    return runs


async def replayed(run: Run) -> AsyncIterator[LaneView]:
    """Yield the views of a recorded run as its watchers saw them. Holds no thread."""
    started, *_, end = stored_events(run)
    view = LaneView(run.scenario, players=run.agents).fold([started])
    for turn in run.turns:
        view = view.fold([TurnStarted(turn.index, turn.round, turn.seat, turn.agent)])
        yield view
        await asyncio.sleep(min(max(turn.seconds, PAUSE_LEAST), PAUSE_MOST))
        for piece in _pieces(spoken(run.scenario, turn)):
            view = view.fold([Writing(turn.seat, 0, piece)])
            yield view
            await asyncio.sleep(TYPING_SECONDS / TYPING_STEPS)
        view = view.fold([TurnTaken(turn)])
        yield view
    yield view.fold([end])


def _pieces(message: str) -> list[str]:
    """Return the pieces in which a message is written, as parts of a model's reply."""
    reply = json.dumps({"message": message}, ensure_ascii=False) if message else ""
    step = max(1, -(-len(reply) // TYPING_STEPS))
    return [reply[place : place + step] for place in range(0, len(reply), step)]
