"""A run as a value, and as the rows of the database that it is kept in. Knows not who writes them, nor when."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy.engine import Connection

from manager.config.strict_yaml import shown
from negotiation.agents.config import AgentConfig
from negotiation.errors import StoreError
from negotiation.game.events import Measures, Turn, measures_from_json, turn_from_json, turn_to_json
from negotiation.game.protocol import Ending
from negotiation.runs import database as db
from negotiation.runs.liveness import this_process
from negotiation.scenario.model import Offer, Scenario, Seat

Status = Literal["running", "done", "stopped", "interrupted", "failed"]


@dataclass(frozen=True)
class Run:
    """A stored run."""

    run_id: str
    scenario: Scenario
    agents: dict[Seat, AgentConfig]
    seed: int
    owner: str | None = None
    created: float = 0.0
    published: bool = False
    status: Status = "running"
    reason: str = ""
    comparison: str | None = None
    lane: int | None = None
    forked_from: str | None = None  # whose first turns it began with, and how many
    forked_turns: int | None = None
    ending: Ending | None = None
    ended_by: Seat | None = None
    agreement: Offer | None = None
    measures: Measures | None = None
    turns: tuple[Turn, ...] = ()


def new_run_id() -> str:
    """A run id that nobody can guess (128 bits), and that is never taken for an option of a command."""
    return secrets.token_hex(16)


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """A scenario as it is kept, without its id."""
    return scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)


def insert_run(connection: Connection, run: Run) -> None:
    """Write a run as it is, with its turns; this process counts as the one that drives it."""
    if not -(2**63) <= run.seed < 2**63:
        raise StoreError(f"seed {shown(run.seed, 40)} is too large to be stored; use one below 2^63")
    connection.execute(db.runs.insert().values(**run_row(run), process=this_process(), heartbeat=time.time()))
    if run.turns:
        connection.execute(db.turns.insert(), [turn_row(run.run_id, turn) for turn in run.turns])


def run_row(run: Run) -> dict[str, Any]:
    """A run as a row, without its turns and who drives it: plain data."""
    return {
        "run_id": run.run_id,
        "created": run.created,
        "owner": run.owner,
        "published": run.published,
        "status": run.status,
        "reason": run.reason,
        "scenario_id": run.scenario.scenario_id,
        "scenario": scenario_to_json(run.scenario),
        "title": run.scenario.title,
        "seed": run.seed,
        "agent_a": run.agents["a"].agent,
        "agent_b": run.agents["b"].agent,
        "agents": {seat: config.to_json() for seat, config in run.agents.items()},
        "comparison": run.comparison,
        "lane": run.lane,
        "forked_from": run.forked_from,
        "forked_turns": run.forked_turns,
        **ending_row(run.scenario, run.ending, run.ended_by, run.agreement, run.measures),
    }


def turn_row(run_id: str, turn: Turn) -> dict[str, Any]:
    """A turn as a row."""
    return {"run_id": run_id, "index": turn.index, "turn": turn_to_json(turn)}


def ending_row(
    scenario: Scenario, ending: Ending | None, by: Seat | None, agreement: Offer | None, measures: Measures | None
) -> dict[str, Any]:
    """How a run ended, as columns of its row."""
    return {
        "ending": None if ending is None else str(ending),
        "ended_by": by,
        "agreement": None if agreement is None else dict(agreement),
        "outcome": "" if agreement is None else scenario.show(agreement),
        "measures": None if measures is None else asdict(measures),
        "utility_a": None if measures is None else measures.utility_a,
        "utility_b": None if measures is None else measures.utility_b,
    }


def run_from_row(row: Any) -> Run:
    """A run without its turns; raises StoreError if it cannot be read."""
    try:
        return _decoded(row)
    except _UNREADABLE as error:
        raise _unreadable(row.run_id, error) from None


def _decoded(row: Any) -> Run:
    scenario = Scenario.model_validate({**row.scenario, "scenario_id": row.scenario_id})
    return Run(
        run_id=row.run_id,
        scenario=scenario,
        agents={seat: AgentConfig.from_json(config) for seat, config in row.agents.items()},
        seed=row.seed,
        owner=row.owner,
        created=row.created,
        published=bool(row.published),
        status=row.status,
        reason=row.reason,
        comparison=row.comparison,
        lane=row.lane,
        forked_from=row.forked_from,
        forked_turns=row.forked_turns,
        ending=Ending(row.ending) if row.ending else None,
        ended_by=row.ended_by,
        agreement=row.agreement,
        measures=measures_from_json(row.measures) if row.measures else None,
    )


def turns_from_rows(run_id: str, rows: Iterable[Any]) -> tuple[Turn, ...]:
    """The turns of a run, from rows in their order; raises StoreError if they cannot be read."""
    try:
        return tuple(turn_from_json(row.turn) for row in rows)
    except _UNREADABLE as error:
        raise _unreadable(run_id, error) from None


_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)  # pydantic's ValidationError is a ValueError


def _unreadable(run_id: str, error: Exception) -> StoreError:
    reason = str(error).strip().partition("\n")[0]
    return StoreError(f"run '{run_id}' cannot be read ({reason}); another version of Parley may have written it")
