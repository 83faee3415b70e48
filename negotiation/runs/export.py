"""Runs as files for other programs: JSON Lines (everything) and CSV (one row per turn, safe for spreadsheets)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from negotiation.runs.codec import UNREADABLE, run_from_json, run_to_json, turns_to_json, unreadable
from negotiation.runs.exports.columns import TURN, turn_row
from negotiation.runs.record import Run

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Beginnings that make a spreadsheet treat a text as a formula (OWASP, "CSV Injection")."""


def export_run(run: Run) -> dict[str, Any]:
    """Return a run with its turns as plain data, without its owner."""
    data = run_to_json(run)
    del data["owner"], data["published"]
    data["scenario"], data["scenario_definition"] = data.pop("scenario_id"), data["scenario"]
    if run.published:
        data["forked_from"] = None  # the link to a private run is a secret
    return {**data, "turns": turns_to_json(run.turns)}


def read_export(data: Mapping[str, Any]) -> Run:
    """Return the run that `export_run` wrote; raises StoreError if the data is no run."""
    try:
        scenario = {"scenario_id": data["scenario"], "scenario": data["scenario_definition"]}
        return run_from_json({**data, **scenario}, data["turns"])
    except UNREADABLE as error:
        raise unreadable(data.get("run_id"), error) from None


def to_jsonl(runs: Iterable[Run]) -> Iterator[str]:
    """Yield one line per run."""
    for run in runs:
        yield json.dumps(export_run(run), ensure_ascii=False) + "\n"


def to_csv(runs: Iterable[Run]) -> str:
    """Return one row per turn, with the offer as JSON in one column; texts that look like formulas are quoted."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(TURN)
    for run in runs:
        for turn in run.turns:
            rows.writerow([_cell(value) for value in turn_row(run, turn).values()])
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
