"""Runs as files for other programs: JSON Lines (everything) and CSV (a line a turn, safe for spreadsheets)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from negotiation.game.events import Turn, turn_to_json
from negotiation.runs.record import Run

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection")."""


def run_to_json(run: Run) -> dict[str, Any]:
    """A run with its turns as plain data; without its owner."""
    return {
        "run_id": run.run_id,
        "created": run.created,
        "status": run.status,
        "reason": run.reason,
        "scenario": run.scenario.scenario_id,
        "scenario_definition": run.scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True),
        "seed": run.seed,
        "agents": {seat: config.to_json() for seat, config in run.agents.items()},
        "comparison": run.comparison,
        "lane": run.lane,
        "forked_from": None if run.published else run.forked_from,  # a private run is found by its link alone
        "forked_turns": run.forked_turns,
        "ending": None if run.ending is None else str(run.ending),
        "ended_by": run.ended_by,
        "agreement": run.agreement,
        "measures": None if run.measures is None else asdict(run.measures),
        "turns": [turn_to_json(turn) for turn in run.turns],
    }


def to_jsonl(runs: Iterable[Run]) -> Iterator[str]:
    """A line a run."""
    for run in runs:
        yield json.dumps(run_to_json(run), ensure_ascii=False) + "\n"


def to_csv(runs: Iterable[Run]) -> str:
    """A line a turn, issues of the offer in one column as JSON; texts that look like formulas are defused."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for run in runs:
        for turn in run.turns:
            rows.writerow([_cell(value) for value in _row(run, turn)])
    return written.getvalue()


COLUMNS = [
    *("run_id", "scenario", "seed", "status", "round", "seat", "agent", "action", "offer", "message", "thought"),
    *("utility_a", "utility_b", "invalid", "tokens", "seconds", "prompt_tokens", "cost"),
]


def _row(run: Run, turn: Turn) -> list[Any]:
    offer = None if turn.offer is None else json.dumps(turn.offer, ensure_ascii=False)
    who = [run.run_id, run.scenario.scenario_id, run.seed, run.status, turn.round, turn.seat, turn.agent]
    what = [str(turn.action), offer, turn.message, turn.thought, turn.utility_a, turn.utility_b]
    return [*who, *what, len(turn.invalid), turn.tokens, turn.seconds, turn.prompt_tokens, turn.cost]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
