"""Runs as files that the browser saves: nothing is left on the server's disk."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Literal

from negotiation.runs.export import to_csv, to_jsonl
from negotiation.runs.record import Run
from ui.kit.html import tag

Kind = Literal["jsonl", "csv"]
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv;charset=utf-8"}
MOST_RUNS = 500
"""So many runs go into one file, the newest."""


def file_html(runs: Sequence[Run], kind: Kind) -> str:
    """Runs as a file that the browser saves."""
    written = "".join(to_jsonl(runs)) if kind == "jsonl" else "\ufeff" + to_csv(runs)  # the mark is for spreadsheets
    name = f"parley-{runs[0].run_id[:8]}.{kind}" if len(runs) == 1 else f"parley-{len(runs)}-runs.{kind}"
    return saved_html(name, TYPES[kind], written)


def saved_html(name: str, kind: str, written: str) -> str:
    """What `scripts/download.js` saves. Each is different from the last, so that the same may be saved again."""
    data = base64.b64encode(written.encode("utf-8", "replace")).decode()
    return tag("template", "", data_file=name, data_type=kind, data_bytes=data, data_once=secrets.token_hex(4))
