"""Runs as files that the browser saves, without a copy on the server's disk."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from negotiation.runs.export import to_csv, to_jsonl
from negotiation.runs.record import Run
from ui.kit.templates import element

Kind = Literal["jsonl", "csv"]
TYPES = {"jsonl": "application/jsonl", "csv": "text/csv;charset=utf-8"}
MOST_RUNS = 500
"""The most runs in one file; the newest ones are taken."""


def file_html(runs: Sequence[Run], kind: Kind) -> Markup:
    """Return runs as a file that the browser saves."""
    written = (
        "".join(to_jsonl(runs)) if kind == "jsonl" else "\ufeff" + to_csv(runs)
    )  # a byte order mark for spreadsheets
    name = f"parley-{runs[0].run_id[:8]}.{kind}" if len(runs) == 1 else f"parley-{len(runs)}-runs.{kind}"
    return saved_html(name, TYPES[kind], written)


def saved_html(name: str, kind: str, written: str) -> Markup:
    """Return a file for `scripts/download.js`; `data-once` makes each differ, so that a file can be saved twice."""
    data = base64.b64encode(written.encode("utf-8", "replace")).decode()
    return element("template", data_file=name, data_type=kind, data_bytes=data, data_once=secrets.token_hex(4))
