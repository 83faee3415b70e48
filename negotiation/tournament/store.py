"""Tournaments in the database, beside the runs of their games (runs/store.py).

A game is committed together with its run, in one transaction and only once: tournament, scenario, agents and seed are
its key.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import sqlalchemy as sa

from negotiation.errors import StoreError, UnknownTournament
from negotiation.game.events import Measures
from negotiation.game.measures import fingerprint
from negotiation.runs import database as db
from negotiation.runs.codec import measures_from_json, provenance_from_json
from negotiation.runs.liveness import alive, this_process
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.rows import insert_run
from negotiation.runs.store import Store
from negotiation.scenario.model import Offer
from negotiation.tournament.plan import Game, Tournament
from negotiation.tournament.provenance import PlayedWith, played_with

TournamentStatus = Literal["running", "done", "stopped", "failed", "interrupted"]


@dataclass(frozen=True)
class TournamentRow:
    """A stored tournament."""

    tournament_id: str
    tournament: Tournament
    created: float
    owner: str | None
    status: TournamentStatus
    reason: str


@dataclass(frozen=True)
class TournamentSummary:
    """A tournament as a list shows it."""

    tournament_id: str
    title: str
    created: float
    owner: str | None
    status: TournamentStatus
    reason: str


@dataclass(frozen=True)
class Counts:
    """The number of stored games of a tournament, by status."""

    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class PlayedGame:
    """A game that was played (`done`) or given up (`failed`, with the reason). The run has its turns."""

    game: Game
    status: Literal["done", "failed"]
    attempts: int
    moves: str
    run_id: str
    reason: str
    agreement: Offer | None
    measures: Measures | None


def played_game(game: Game, run: Run, attempts: int) -> PlayedGame:
    """Return a game from its last run."""
    status: Literal["done", "failed"] = "done" if run.status == "done" else "failed"
    return PlayedGame(
        game=game,
        status=status,
        attempts=attempts,
        moves=fingerprint(run.turns),
        run_id=run.run_id,
        reason=run.reason,
        agreement=run.agreement,
        measures=run.measures,
    )


class TournamentStore:
    """The tournaments of a store."""

    def __init__(self, store: Store) -> None:
        self._db = store.database

    def begin(self, tournament: Tournament, owner: str | None = None) -> str:
        """Record a tournament that starts now in this process; return its id."""
        tournament_id, now = new_run_id(), time.time()
        with self._db.write("record a new tournament") as connection:
            connection.execute(
                db.tournaments.insert().values(
                    tournament_id=tournament_id,
                    created=now,
                    owner=owner,
                    title=tournament.title,
                    digest=tournament.digest,
                    plan=tournament.to_json(),
                    status="running",
                    reason="",
                    process=this_process(),
                    heartbeat=now,
                )
            )
        return tournament_id

    def latest(self, **wanted: str) -> TournamentRow | None:
        """Return the newest tournament with this `title`, `digest` or `owner`."""
        query = db.tournaments.select().where(*(db.tournaments.c[name] == value for name, value in wanted.items()))
        with self._db.read("look for a tournament") as connection:
            row = connection.execute(query.order_by(db.tournaments.c.created.desc()).limit(1)).first()
        return None if row is None else _from_row(row)

    def newest(self, limit: int = 50) -> list[TournamentSummary]:
        """Return the newest tournaments."""
        c = db.tournaments.c
        columns = c.tournament_id, c.title, c.created, c.owner, c.status, c.reason, c.process, c.heartbeat
        query = sa.select(*columns).order_by(c.created.desc()).limit(limit)
        with self._db.read("list tournaments") as connection:
            rows = connection.execute(query).all()
        return [TournamentSummary(*row[:4], *_state(row)) for row in rows]

    def counts(self, tournament_id: str) -> Counts:
        """Return the number of stored games."""
        c = db.games.c
        query = sa.select(c.status, sa.func.count()).where(c.tournament_id == tournament_id).group_by(c.status)
        with self._db.read("count a tournament's games") as connection:
            return Counts(**{row[0]: row[1] for row in connection.execute(query)})

    def get(self, tournament_id: str) -> TournamentRow:
        """Return a tournament; raises UnknownTournament."""
        with self._db.read("read a tournament") as connection:
            row = connection.execute(db.tournaments.select().where(_is(tournament_id))).first()
        if row is None:
            raise UnknownTournament(f"there is no tournament {tournament_id[:80]!r}")
        return _from_row(row)

    def resume(self, tournament_id: str, tournament: Tournament, *, idle: bool = False) -> None:
        """Record that this process continues a tournament, with the seeds and limits of `tournament`.

        Args:
            idle: This process runs no tournament. One that is recorded as run by it has ended without a record.

        Raises:
            StoreError: The tournament is still running.
        """
        now = time.time()
        with self._db.write("resume a tournament") as connection:
            row = connection.execute(db.tournaments.select().where(_is(tournament_id))).one()
            unchanged = _is(tournament_id), db.tournaments.c.heartbeat == row.heartbeat
            values = {"status": "running", "reason": "", "process": this_process(), "heartbeat": now}
            change = db.tournaments.update().where(*unchanged).values(**values, plan=tournament.to_json())
            left = idle and row.process == this_process()
            taken = row.status == "running" and not left and alive(row.process, row.heartbeat)
            if taken or not connection.execute(change).rowcount:
                raise StoreError(f"tournament '{tournament_id}' is already running; wait for it or stop it")

    def beat(self, tournament_id: str) -> None:
        """Record a heartbeat of a tournament."""
        self._update(tournament_id, heartbeat=time.time())

    def end(self, tournament_id: str, status: TournamentStatus, reason: str = "") -> None:
        """Record how a tournament ended; it may be resumed."""
        self._update(tournament_id, status=status, reason=reason)

    def record(self, tournament_id: str, game: Game, run: Run, attempts: int) -> bool:
        """Commit a game with its run; return False, without any change, if it is done already.

        Replaces a failed attempt, whose run stays in the database.
        """
        key, played = _is_game(tournament_id, game), played_game(game, run, attempts)
        with self._db.write("record a game") as connection:
            before = connection.execute(sa.select(db.games.c.status).where(*key)).scalar()
            if before == "done":
                return False
            connection.execute(db.games.delete().where(*key))
            insert_run(connection, run)
            connection.execute(
                db.games.insert().values(
                    tournament_id=tournament_id,
                    scenario_id=game.scenario_id,
                    agent_a=game.a,
                    agent_b=game.b,
                    seed=game.seed,
                    status=played.status,
                    attempts=attempts,
                    moves=played.moves,
                    run_id=run.run_id,
                )
            )
        return True

    def games(self, tournament_id: str) -> list[PlayedGame]:
        """Return all games that were played or given up, in the order of their keys."""
        about = db.runs.c.reason, db.runs.c.agreement, db.runs.c.measures
        query = sa.select(db.games, *about).join(db.runs, db.runs.c.run_id == db.games.c.run_id)
        with self._db.read("read a tournament's games") as connection:
            rows = connection.execute(query.where(db.games.c.tournament_id == tournament_id)).all()
        return sorted(map(_played, rows), key=lambda played: played.game)

    def games_of(self, run_ids: Iterable[str]) -> dict[str, tuple[str, Game]]:
        """Return the tournament and the game of each of these runs that is part of a tournament."""
        found, left = {}, iter(run_ids)
        with self._db.read("look for the tournaments of runs") as connection:
            while some := list(islice(left, 1000)):  # SQLite limits the parameters of a query
                for row in connection.execute(db.games.select().where(db.games.c.run_id.in_(some))):
                    found[row.run_id] = row.tournament_id, _game(row)
        return found

    def played_with(self, tournament_id: str) -> PlayedWith:
        """Return what the stored games were played with."""
        query = sa.select(db.games, db.runs.c.provenance).join(db.runs, db.runs.c.run_id == db.games.c.run_id)
        query = query.where(db.games.c.tournament_id == tournament_id).order_by(db.runs.c.created)
        with self._db.read("read what a tournament was played with") as connection:
            rows = connection.execute(query).all()
        return played_with((_game(row), provenance_from_json(row.run_id, row.provenance)) for row in rows)

    def span(self, tournament_id: str) -> tuple[float, float] | None:
        """Return when the first and the last stored game began, in seconds since 1970."""
        query = sa.select(sa.func.min(db.runs.c.created), sa.func.max(db.runs.c.created))
        query = query.join_from(db.games, db.runs, db.runs.c.run_id == db.games.c.run_id)
        with self._db.read("read when a tournament was played") as connection:
            first, last = connection.execute(query.where(db.games.c.tournament_id == tournament_id)).one()
        return None if first is None else (first, last)

    def _update(self, tournament_id: str, **values: Any) -> None:
        with self._db.write("record the state of a tournament") as connection:
            connection.execute(db.tournaments.update().where(_is(tournament_id)).values(**values))


def _is(tournament_id: str) -> Any:
    return db.tournaments.c.tournament_id == tournament_id


def _is_game(tournament_id: str, game: Game) -> tuple[Any, ...]:
    return (
        db.games.c.tournament_id == tournament_id,
        db.games.c.scenario_id == game.scenario_id,
        db.games.c.agent_a == game.a,
        db.games.c.agent_b == game.b,
        db.games.c.seed == game.seed,
    )


def _from_row(row: Any) -> TournamentRow:
    tournament = Tournament.from_json(row.plan, row.digest)
    return TournamentRow(row.tournament_id, tournament, row.created, row.owner, *_state(row))


def _state(row: Any) -> tuple[TournamentStatus, str]:
    """Return a tournament's status and its reason."""
    if row.status == "running" and not alive(row.process, row.heartbeat):
        return "interrupted", "the program that ran it ended"
    return row.status, row.reason


def _game(row: Any) -> Game:
    return Game(row.scenario_id, row.agent_a, row.agent_b, row.seed)


def _played(row: Any) -> PlayedGame:
    return PlayedGame(
        game=_game(row),
        status=row.status,
        attempts=row.attempts,
        moves=row.moves,
        run_id=row.run_id,
        reason=row.reason,
        agreement=row.agreement,
        measures=measures_from_json(row.run_id, row.measures),
    )
