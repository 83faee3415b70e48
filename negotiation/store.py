"""Runs on disk: SQLite by default, any database that SQLAlchemy knows. Knows how runs are kept, not how they are run.

A turn is committed before anybody sees it as final. A run carries a heartbeat and the process that drives it; once
that process is gone, the run counts as interrupted, with all its committed turns.
"""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from manager.configfile import shown
from negotiation.agents.catalog import AgentConfig
from negotiation.errors import StoreError, UnknownRun
from negotiation.events import Ended, Halted, Measures, Turn, measures_from_json, turn_from_json, turn_to_json
from negotiation.protocol import Ending
from negotiation.scenario import Offer, Scenario, Seat

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
STALE_SECONDS = 15.0
"""A running run without a heartbeat for this long was left by its process."""

_migrating = threading.Lock()  # Alembic keeps what it works on in globals
TABLES = sa.MetaData()
RUNS = sa.Table(
    "runs",
    TABLES,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("created", sa.Float),
    sa.Column("owner", sa.String),
    sa.Column("status", sa.String),
    sa.Column("reason", sa.Text),
    sa.Column("process", sa.String),
    sa.Column("heartbeat", sa.Float),
    sa.Column("scenario_id", sa.String),
    sa.Column("scenario", sa.JSON),
    sa.Column("seed", sa.BigInteger),
    sa.Column("agent_a", sa.String),
    sa.Column("agent_b", sa.String),
    sa.Column("agents", sa.JSON),
    sa.Column("comparison", sa.String),
    sa.Column("lane", sa.Integer),
    sa.Column("ending", sa.String),
    sa.Column("ended_by", sa.String),
    sa.Column("agreement", sa.JSON(none_as_null=True)),
    sa.Column("measures", sa.JSON(none_as_null=True)),
)
TURNS = sa.Table(
    "turns",
    TABLES,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("turn", sa.JSON),
)

LOCK_SECONDS = 15.0
"""How long a connection waits while another one writes."""

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
    status: Status = "running"
    reason: str = ""
    comparison: str | None = None
    lane: int | None = None
    ending: Ending | None = None
    ended_by: Seat | None = None
    agreement: Offer | None = None
    measures: Measures | None = None
    turns: tuple[Turn, ...] = ()


class Store:
    """All runs of one database. Safe to use from many threads and processes; raises StoreError when it cannot work."""

    def __init__(self, url: str) -> None:
        with _explained("open the database"):
            self._engine = _engine(url)
            self._migrate()

    def begin(self, run: Run) -> Run:
        """Record that a run starts now; returns it with its time."""
        begun = replace(run, created=time.time())
        values = _to_row(replace(begun, status="running", reason=""))
        with self.writing("record a new run") as connection:
            connection.execute(RUNS.insert().values(**values))
        return begun

    def record(self, run: Run) -> None:
        """Commit a run that ended, with its turns: all of it or nothing."""
        with self.writing("record a run") as connection:
            insert_run(connection, run)

    def resume(self, run_id: str) -> None:
        """Record that this process goes on with a run that halted; raises StoreError if it is running or done."""
        values = {"status": "running", "reason": "", "process": this_process(), "heartbeat": time.time()}
        halted = RUNS.c.run_id == run_id, RUNS.c.status.in_(["stopped", "interrupted", "failed"])
        with self.writing("continue a run") as connection:
            found = connection.execute(RUNS.update().where(*halted).values(**values)).rowcount
        if not found:
            raise StoreError(f"run '{run_id}' cannot be continued: it is running, or it came to its end")

    def add_turn(self, run_id: str, turn: Turn) -> None:
        """Commit a turn."""
        with self.writing("record a turn") as connection:
            connection.execute(TURNS.insert().values(run_id=run_id, index=turn.index, turn=turn_to_json(turn)))

    def end(self, run_id: str, ended: Ended | Halted) -> None:
        """Record how a run ended."""
        if isinstance(ended, Halted):
            self._update(run_id, "record how a run ended", status=ended.status, reason=ended.reason)
            return
        self._update(
            run_id,
            "record how a run ended",
            status="done",
            **_ending(ended.ending, ended.by, ended.agreement, ended.measures),
        )

    def beat(self, run_ids: Iterable[str]) -> None:
        """Record that these runs are alive."""
        with self.writing("record heartbeats") as connection:
            connection.execute(RUNS.update().where(RUNS.c.run_id.in_(list(run_ids))).values(heartbeat=time.time()))

    def mark_interrupted(self) -> int:
        """Mark the running runs whose process is gone; returns how many there were."""
        with self.writing("look for interrupted runs") as connection:
            rows = connection.execute(RUNS.select().where(RUNS.c.status == "running")).all()
            change = RUNS.update().values(status="interrupted", reason="the program that ran it ended")
            return sum(
                connection.execute(change.where(*_unchanged(row))).rowcount
                for row in rows
                if not alive(row.process, row.heartbeat)
            )

    def run(self, run_id: str) -> Run:
        """A run with its turns; raises UnknownRun."""
        with self.reading("read a run") as connection:
            query = RUNS.select().where(RUNS.c.run_id == run_id)
            row = connection.execute(query).first() if run_id.isprintable() else None  # other texts may be no UTF-8
            if row is None:
                raise UnknownRun(f"there is no run {run_id[:80]!r}; check the link")
            found = connection.execute(TURNS.select().where(TURNS.c.run_id == run_id).order_by(TURNS.c.index)).all()
        return replace(_from_row(row), turns=tuple(turn_from_json(entry.turn) for entry in found))

    def comparison(self, run_id: str) -> list[Run]:
        """The runs that were started together with one, itself included, by lane; without their turns."""
        run = self.run(run_id)
        if run.comparison is None:
            return [run]
        query = RUNS.select().where(RUNS.c.comparison == run.comparison).order_by(RUNS.c.lane)
        with self.reading("read a comparison") as connection:
            return [_from_row(row) for row in connection.execute(query)]

    def runs(self, owner: str | None = None, limit: int = 100) -> list[Run]:
        """The newest runs without their turns; those of one owner, if one is named."""
        query = RUNS.select().order_by(RUNS.c.created.desc()).limit(limit)
        if owner is not None:
            query = query.where(RUNS.c.owner == owner)
        with self.reading("list runs") as connection:
            return [_from_row(row) for row in connection.execute(query)]

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def _update(self, run_id: str, doing: str, **values: Any) -> None:
        with self.writing(doing) as connection:
            connection.execute(RUNS.update().where(RUNS.c.run_id == run_id).values(**values))

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """One transaction; `doing` is what the message says if it cannot be done (a StoreError)."""
        with _explained(doing), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """A connection to read with; as `writing`."""
        with _explained(doing), self._engine.connect() as connection:
            yield connection

    def _migrate(self) -> None:
        config = Config()
        folder = str(Path(__file__).parent / "migrations")
        config.set_main_option("script_location", folder.replace("%", "%%"))
        with _migrating, self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":  # one process after the other, and each wholly or not at all
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _engine(url: str) -> Engine:
    sqlite = url.startswith("sqlite")
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_SECONDS} if sqlite else {}, pool_pre_ping=not sqlite)
    if sqlite:

        @sa.event.listens_for(engine, "connect")
        def _set_up(connection: Any, _: object) -> None:
            _log_ahead(connection)
            connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _log_ahead(connection: Any) -> None:
    """Switch to WAL. SQLite waits for others with everything but this, which several may do at the first start."""
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StoreError(f"could not {doing}: {reason}; check DATABASE_URL, or PARLEY_HOME and its disk") from None
    except ImportError as error:
        raise StoreError(f"could not {doing}: {error}; install the driver that DATABASE_URL asks for") from None
    except CommandError as error:
        raise StoreError(
            f"could not {doing}: {error}; a newer Parley wrote it: update this one, or set DATABASE_URL to another"
        ) from None


def _unchanged(row: Any) -> tuple[Any, ...]:
    """Whether a running run is still as it was read: neither ended nor continued meanwhile."""
    seen = RUNS.c.process == row.process, RUNS.c.heartbeat == row.heartbeat
    return (RUNS.c.run_id == row.run_id, RUNS.c.status == "running", *seen)


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """A scenario as it is kept, without its id."""
    return scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)


def _to_row(run: Run) -> dict[str, Any]:
    if not -(2**63) <= run.seed < 2**63:
        raise StoreError(f"seed {shown(run.seed, 40)} is too large to be stored; use one below 2^63")
    return {
        "run_id": run.run_id,
        "created": run.created,
        "owner": run.owner,
        "status": run.status,
        "reason": run.reason,
        "process": this_process(),
        "heartbeat": time.time(),
        "scenario_id": run.scenario.scenario_id,
        "scenario": scenario_to_json(run.scenario),
        "seed": run.seed,
        "agent_a": run.agents["a"].agent,
        "agent_b": run.agents["b"].agent,
        "agents": {seat: config.to_json() for seat, config in run.agents.items()},
        "comparison": run.comparison,
        "lane": run.lane,
    }


def _ending(
    ending: Ending | None, by: Seat | None, agreement: Offer | None, measures: Measures | None
) -> dict[str, Any]:
    return {
        "ending": None if ending is None else str(ending),
        "ended_by": by,
        "agreement": None if agreement is None else dict(agreement),
        "measures": None if measures is None else asdict(measures),
    }


def insert_run(connection: Connection, run: Run) -> None:
    """Write a run that ended, with its turns."""
    ending = _ending(run.ending, run.ended_by, run.agreement, run.measures)
    connection.execute(RUNS.insert().values(**_to_row(run), **ending))
    if run.turns:
        turns = [{"run_id": run.run_id, "index": turn.index, "turn": turn_to_json(turn)} for turn in run.turns]
        connection.execute(TURNS.insert(), turns)


def _from_row(row: Any) -> Run:
    scenario = Scenario.model_validate({**row.scenario, "scenario_id": row.scenario_id})
    return Run(
        run_id=row.run_id,
        scenario=scenario,
        agents={seat: AgentConfig.from_json(config) for seat, config in row.agents.items()},
        seed=row.seed,
        owner=row.owner,
        created=row.created,
        status=row.status,
        reason=row.reason,
        comparison=row.comparison,
        lane=row.lane,
        ending=Ending(row.ending) if row.ending else None,
        ended_by=row.ended_by,
        agreement=row.agreement,
        measures=measures_from_json(row.measures) if row.measures else None,
    )


@cache
def this_process() -> str:
    """This process, so that others can tell whether it still runs: host, number, and when it began."""
    return f"{socket.gethostname()} {os.getpid()} {_began(os.getpid())}"


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where that cannot be known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def alive(process: str, heartbeat: float) -> bool:
    """Whether the process that drives a run or a tournament still does."""
    host, pid, began = [*process.split(" "), "", ""][:3]
    if host == socket.gethostname() and began and pid.isdigit() and _began(int(pid)) != began:
        return False
    return time.time() - heartbeat < STALE_SECONDS
