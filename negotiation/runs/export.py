"""Runs as files for other programs: JSON Lines (everything) and CSV (one row per turn, safe for spreadsheets)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from manager.identity import ServerReport
from negotiation.game.events import Turn
from negotiation.runs.codec import UNREADABLE, run_from_json, run_to_json, turns_to_json, unreadable
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
    rows.writerow(COLUMNS)
    for run in runs:
        for turn in run.turns:
            rows.writerow([_cell(value) for value in _row(run, turn)])
    return written.getvalue()


COLUMNS = [
    *("run_id", "scenario", "seed", "status", "round", "seat", "agent", "action", "offer", "message", "thought"),
    *("utility_a", "utility_b", "invalid", "tokens", "seconds", "prompt_tokens", "cost", "notes"),
    *("model", "revision", "sha256", "dtype", "quantization", "device", "server_model", "server_fingerprint"),
    *("parley", "prompt_version", "torch", "transformers", "scenario_sha256"),
]


def _row(run: Run, turn: Turn) -> list[Any]:
    offer = None if turn.offer is None else json.dumps(turn.offer, ensure_ascii=False)
    who = [run.run_id, run.scenario.scenario_id, run.seed, run.status, turn.round, turn.seat, turn.agent]
    what = [str(turn.action), offer, turn.message, turn.thought, turn.utility_a, turn.utility_b]
    cost = [turn.tokens, turn.seconds, turn.prompt_tokens, turn.cost]
    made = [*who, *what, len(turn.invalid), *cost, " ".join(turn.notes)]
    return [*made, *_written_by(run, turn), *_played_with(run)]


def _written_by(run: Run, turn: Turn) -> list[str | None]:
    use = run.provenance.of_turn(turn.seat, turn.index) if run.provenance is not None else None
    if use is None:
        return [None] * 8
    it, server = use.identity, use.identity.server or ServerReport()
    weights = [it.model_name, it.revision, it.sha256, it.dtype, it.quantization, it.device]
    return [*weights, server.model, server.fingerprint]


def _played_with(run: Run) -> list[Any]:
    if run.provenance is None:
        return [None] * 5
    program = run.provenance.program
    versions = [program.parley, program.prompt_version, program.torch, program.transformers]
    return [*versions, run.provenance.scenario_sha256]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
