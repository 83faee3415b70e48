"""The recorded negotiations that a visit begins with: stored runs."""

from __future__ import annotations

import json
from pathlib import Path

from manager.errors import ConfigError
from negotiation.errors import StoreError
from negotiation.runs.export import read_export
from negotiation.runs.record import Run


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
