"""Runs as rows of the database."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.engine import Connection

from manager.config.strict_yaml import shown
from negotiation.errors import StoreError
from negotiation.game.events import Turn
from negotiation.runs import database as db
from negotiation.runs.codec import run_from_json, run_to_json, turns_to_json
from negotiation.runs.liveness import this_process
from negotiation.runs.record import Run


def insert_run(connection: Connection, run: Run) -> None:
    """Insert a run with its turns; this process counts as its driver. Raises StoreError for a seed beyond 64 bits."""
    if not -(2**63) <= run.seed < 2**63:
        raise StoreError(f"seed {shown(run.seed, 40)} is too large to be stored; use one below 2^63")
    connection.execute(db.runs.insert().values(**run_row(run), process=this_process(), heartbeat=time.time()))
    if run.turns:
        insert_turns(connection, run.run_id, run.turns)


def insert_turns(connection: Connection, run_id: str, turns: tuple[Turn, ...]) -> None:
    """Insert turns of a run."""
    rows = [{"run_id": run_id, "index": turn["index"], "turn": turn} for turn in turns_to_json(turns)]
    connection.execute(db.turns.insert(), rows)


def run_row(run: Run) -> dict[str, Any]:
    """Return a run as a row, without its turns and its driver; some columns repeat what lists show and search."""
    return {
        **run_to_json(run),
        "title": run.scenario.title,
        "agent_a": run.agents["a"].agent,
        "agent_b": run.agents["b"].agent,
        "outcome": "" if run.agreement is None else run.scenario.show(run.agreement),
        "utility_a": None if run.measures is None else run.measures.utility_a,
        "utility_b": None if run.measures is None else run.measures.utility_b,
    }


ENDING = ("status", "reason", "ending", "ended_by", "agreement", "outcome", "measures", "utility_a", "utility_b")


def ending_row(run: Run) -> dict[str, Any]:
    """Return the columns that say how a run ended."""
    row = run_row(run)
    return {column: row[column] for column in ENDING}


def run_from_row(row: Any) -> Run:
    """Return the run in a row, without its turns; raises StoreError if it cannot be read."""
    return run_from_json(row._mapping)
