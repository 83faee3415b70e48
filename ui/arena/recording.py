"""The recorded negotiations that a visit begins with: stored runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from manager.errors import ConfigError
from negotiation.comparison.comparison import Players
from negotiation.errors import StoreError
from negotiation.runs.export import read_export
from negotiation.runs.record import Run


def read_recording(folder: Path, lanes: Sequence[Players]) -> tuple[Run, ...]:
    """Return the runs of a recording in a folder, one per lane; empty if there is none.

    A recording is a file that History saves as JSON: one line per run.

    Args:
        folder: The files with recordings.
        lanes: Who plays in each lane: the first recording of these is chosen, or else the first of all.

    Raises:
        ConfigError: A file is no recording.
    """
    found = [_read(path, len(lanes)) for path in sorted(folder.glob("*.jsonl"))]
    wanted = list(lanes)
    same = (runs for runs in found if [(run.agents["a"], run.agents["b"]) for run in runs] == wanted)
    return next(same, found[0] if found else ())


def _read(path: Path, lanes: int) -> tuple[Run, ...]:
    try:
        runs = tuple(read_export(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line)
    except (OSError, ValueError, StoreError) as error:
        raise ConfigError(f"{path}: this is no recording: {error}") from None
    if len(runs) != lanes:
        raise ConfigError(f"{path}: a recording has one line for each of the {lanes} lanes, but this has {len(runs)}")
    return runs
