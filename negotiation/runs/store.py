"""The store of runs and votes in the database.

A turn is committed before it is shown as final. A run carries a heartbeat and the process that drives it; once that
process is gone, the run counts as interrupted, with all its committed turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from manager.config.strict_yaml import shown
from negotiation.errors import NotDriven, StoreError, UnknownRun
from negotiation.game.events import Ended, Halted, Turn
from negotiation.runs import database as db
from negotiation.runs.codec import turns_from_json
from negotiation.runs.database import Database
from negotiation.runs.liveness import alive, this_process
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run, Status
from negotiation.runs.rows import ending_row, insert_run, insert_turns, run_from_row
from negotiation.scenario.model import SEATS

HEARTBEAT_SECONDS = 2.0

Choice = Literal["1", "2", "tie", "neither"]
"""The lane that negotiated better, in a visitor's opinion."""


@dataclass(frozen=True)
class RunSummary:
    """A run as a list shows it."""

    run_id: str
    created: float
    owner: str | None
    published: bool
    status: Status
    reason: str
    scenario_id: str
    title: str
    seed: int
    agent_a: str
    agent_b: str
    comparison: str | None
    lane: int | None
    forked_from: str | None
    forked_turns: int | None
    ending: str | None
    outcome: str
    utility_a: float | None
    utility_b: float | None
    role_a: str = ""  # names of the roles
    role_b: str = ""


@dataclass(frozen=True)
class RunFilter:
    """A filter for lists of runs.

    Attributes:
        visible_to: The visitor, who sees their own and published runs; None for the operator, who sees all.
        own: Only the visitor's own runs.
        text: Words to search for in title, agents and outcome.
        before: The last run of the previous page.
    """

    visible_to: str | None = None
    own: bool = False
    scenario_id: str | None = None
    agent: str | None = None
    status: Status | None = None
    text: str = ""
    before: RunSummary | None = None


@dataclass(frozen=True)
class Vote:
    """A visitor's judgement of the lanes of a comparison; `blind` if the agents' names were hidden."""

    comparison: str
    voter: str
    choice: Choice
    blind: bool


class Store:
    """The runs of one database. Safe for many threads and processes; methods raise StoreError when it fails."""

    def __init__(self, url: str) -> None:
        self._db = Database(url)

    @property
    def database(self) -> Database:
        """The database, for other tables than those of runs."""
        return self._db

    def begin(self, run: Run) -> Run:
        """Record a run that starts now, with the turns it begins with; return it with its time."""
        begun = replace(run, created=time.time())
        with self._db.write("record a new run") as connection:
            insert_run(connection, replace(begun, status="running", reason=""))
        return begun

    def record(self, run: Run) -> None:
        """Commit a finished run with its turns in one transaction."""
        with self._db.write("record a run") as connection:
            insert_run(connection, run)

    def resume(self, run_id: str) -> Run:
        """Record that this process continues a halted run, and return the run with its turns.

        Raises:
            StoreError: The run is running, done or unreadable; nothing has changed.
        """
        values = {"status": "running", "reason": "", "process": this_process(), "heartbeat": time.time()}
        halted = db.runs.c.run_id == run_id, db.runs.c.status.in_(["stopped", "interrupted", "failed"])
        with self._db.write("continue a run") as connection:
            if connection.execute(db.runs.update().where(*halted).values(**values)).rowcount:
                return self._whole(connection, run_id)
        raise StoreError(f"run '{run_id}' cannot be continued: it is running or has ended")

    def add_turn(self, run_id: str, turn: Turn, provenance: Provenance | None = None) -> None:
        """Commit a turn of a run that this process drives, and the run's provenance after it."""
        known = {} if provenance is None else {"provenance": provenance.model_dump(mode="json")}
        with self._db.write("record a turn") as connection:
            self._still_ours(connection, run_id, heartbeat=time.time(), **known)
            insert_turns(connection, run_id, (turn,))

    def end(self, run_id: str, ended: Ended | Halted) -> None:
        """Record the ending of a run that this process drives."""
        with self._db.write("record the ending of a run") as connection:
            if isinstance(ended, Halted):
                self._still_ours(connection, run_id, status=ended.status, reason=ended.reason)
            else:
                self._still_ours(connection, run_id, **ending_row(self._found(connection, run_id).end(ended)))

    def beat(self, run_ids: Iterable[str]) -> None:
        """Record a heartbeat of these runs."""
        with self._db.write("record heartbeats") as connection:
            connection.execute(
                db.runs.update().where(db.runs.c.run_id.in_(list(run_ids))).values(heartbeat=time.time())
            )

    def mark_interrupted(self) -> int:
        """Mark running runs whose process is gone as interrupted; return their number."""
        with self._db.write("look for interrupted runs") as connection:
            rows = connection.execute(db.runs.select().where(db.runs.c.status == "running")).all()
            change = db.runs.update().values(status="interrupted", reason="the program that ran it ended")
            return sum(
                connection.execute(change.where(*_unchanged(row))).rowcount
                for row in rows
                if not alive(row.process, row.heartbeat)
            )

    def run(self, run_id: str) -> Run:
        """Return a run with its turns; raises UnknownRun."""
        with self._db.read("read a run") as connection:
            return self._whole(connection, run_id)

    def comparison(self, run_id: str, viewer: str | None = None) -> list[Run]:
        """Return the runs of a run's comparison, itself included, by lane, without their turns.

        From a published run, unpublished ones are visible to their owner only.
        """
        with self._db.read("read a comparison") as connection:
            run = self._found(connection, run_id)
            if run.comparison is None:
                return [run]
            query = db.runs.select().where(db.runs.c.comparison == run.comparison).order_by(db.runs.c.lane)
            runs = [run_from_row(row) for row in connection.execute(query)]
        return [
            each
            for each in runs
            if each.run_id == run_id or each.published or not run.published or (viewer and each.owner == viewer)
        ]

    def summaries(self, wanted: RunFilter | None = None, limit: int = 50) -> list[RunSummary]:
        """Return the newest runs that match a filter."""
        columns = [db.runs.c[name] for name in RunSummary.__dataclass_fields__ if name in db.runs.c]
        roles = [db.runs.c.scenario["roles", seat, "name"].as_string().label(f"role_{seat}") for seat in SEATS]
        wanted = wanted or RunFilter()
        query = sa.select(*columns, *roles).where(*_conditions(wanted)).limit(limit)
        query = query.order_by(db.runs.c.created.desc(), db.runs.c.run_id.desc())
        found: list[RunSummary] = []
        with self._db.read("list runs") as connection:
            for part in _visible(wanted):
                found += [RunSummary(**row._mapping) for row in connection.execute(query.where(*part))]
        return sorted(found, key=lambda run: (run.created, run.run_id), reverse=True)[:limit]

    def publish(self, run_id: str, *, published: bool, owner: str | None = None) -> None:
        """Make a run visible to everyone, or to its owner only, on behalf of `owner` (None: the operator)."""
        own = [] if owner is None else [db.runs.c.owner == owner]
        with self._db.write("publish a run") as connection:
            if not self._change(connection, run_id, *own, published=published):
                raise UnknownRun(f"you have no run {run_id[:80]!r}")

    def delete(self, run_id: str, *, owner: str | None = None) -> None:
        """Delete a run with its turns and the votes on its comparison, on behalf of `owner` (None: the operator).

        Raises:
            UnknownRun: There is no such run.
            StoreError: The run is running or belongs to another visitor.
        """
        deletable = [db.runs.c.run_id == run_id, db.runs.c.status != "running"]
        deletable += [] if owner is None else [db.runs.c.owner == owner]
        together = sa.select(db.runs.c.comparison).where(*deletable, db.runs.c.comparison.is_not(None))
        with self._db.write("delete a run") as connection:
            connection.execute(db.votes.delete().where(db.votes.c.comparison.in_(together)))
            done = connection.execute(db.runs.delete().where(*deletable)).rowcount
        if not done:
            self.run(run_id)
            raise StoreError(f"run '{run_id}' cannot be deleted: it is running or belongs to another visitor")

    def vote(self, vote: Vote) -> None:
        """Record a vote; it replaces the voter's earlier vote on the same comparison."""
        if vote.choice not in get_args(Choice):
            raise StoreError(f"{shown(vote.choice, 20)} is not a vote; use one of {', '.join(get_args(Choice))}")
        same = db.votes.c.comparison == vote.comparison, db.votes.c.voter == vote.voter
        with self._db.write("record a vote") as connection:
            connection.execute(db.votes.delete().where(*same))
            connection.execute(db.votes.insert().values(**asdict(vote), created=time.time()))

    def votes(self, comparison: str | None = None, *, voter: str | None = None) -> list[Vote]:
        """Return all votes, or those on one comparison or by one voter, oldest first."""
        query = db.votes.select().order_by(db.votes.c.created)
        if comparison is not None:
            query = query.where(db.votes.c.comparison == comparison)
        if voter is not None:
            query = query.where(db.votes.c.voter == voter)
        with self._db.read("read votes") as connection:
            rows = connection.execute(query).all()
        return [Vote(row.comparison, row.voter, row.choice, bool(row.blind)) for row in rows]

    def check(self) -> None:
        """Raise StoreError if the database does not respond."""
        with self._db.read("reach the database") as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        """Close all connections."""
        self._db.close()

    def _still_ours(self, connection: Connection, run_id: str, **values: Any) -> None:
        """Update a run that this process drives; raises NotDriven if it does not."""
        ours = db.runs.c.status == "running", db.runs.c.process == this_process()
        if not self._change(connection, run_id, *ours, **values):
            raise NotDriven(
                f"run '{run_id}' is no longer driven by this program; it has ended, or another program continued it"
            )

    def _change(self, connection: Connection, run_id: str, *where: Any, **values: Any) -> int:
        return connection.execute(db.runs.update().where(db.runs.c.run_id == run_id, *where).values(**values)).rowcount

    def _whole(self, connection: Connection, run_id: str) -> Run:
        """A run with its turns."""
        run = self._found(connection, run_id)
        query = db.turns.select().where(db.turns.c.run_id == run_id).order_by(db.turns.c.index)
        return replace(run, turns=turns_from_json(run_id, (row.turn for row in connection.execute(query))))

    def _found(self, connection: Connection, run_id: str) -> Run:
        query = db.runs.select().where(db.runs.c.run_id == run_id)
        row = connection.execute(query).first() if run_id.isprintable() else None  # other texts may not be valid UTF-8
        if row is None:
            raise UnknownRun(f"there is no run {run_id[:80]!r}; check the link")
        return run_from_row(row)


def _visible(wanted: RunFilter) -> list[list[sa.ColumnElement[bool]]]:
    """Return conditions for what a visitor sees, as disjoint parts that an index can each find in order.

    A single query with "or" would read and sort all runs of both parts.
    """
    c = db.runs.c
    if wanted.visible_to is None:
        return [[]]
    own, others = [c.owner == wanted.visible_to], c.owner.is_distinct_from(wanted.visible_to)
    return [own] if wanted.own else [own, [c.published == sa.true(), others]]


def _conditions(wanted: RunFilter) -> Sequence[sa.ColumnElement[bool]]:
    """Return the other conditions of a filter."""
    c: Any = db.runs.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.scenario_id is not None:
        found.append(c.scenario_id == wanted.scenario_id)
    if wanted.agent is not None:
        found.append(sa.or_(c.agent_a == wanted.agent, c.agent_b == wanted.agent))
    if wanted.status is not None:
        found.append(c.status == wanted.status)
    for word in wanted.text.split():
        places = (c.title, c.agent_a, c.agent_b, c.outcome)
        found.append(sa.or_(*(place.icontains(word, autoescape=True) for place in places)))
    if wanted.before is not None:
        last = wanted.before
        found.append(sa.or_(c.created < last.created, sa.and_(c.created == last.created, c.run_id < last.run_id)))
    return found


def _unchanged(row: Any) -> tuple[Any, ...]:
    """Return conditions that a running run is still as it was read: neither ended nor continued since."""
    seen = db.runs.c.process == row.process, db.runs.c.heartbeat == row.heartbeat
    return (db.runs.c.run_id == row.run_id, db.runs.c.status == "running", *seen)
