"""The database: its tables, opening and migrating it, and its errors in plain words.

Supports any database that SQLAlchemy does; SQLite uses WAL, so that many threads and processes can write.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from negotiation.errors import StoreError

_migrating = threading.Lock()  # Alembic keeps its state in globals

tables = sa.MetaData()
runs = sa.Table(
    "runs",
    tables,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("created", sa.Float),
    sa.Column("owner", sa.String),
    sa.Column("published", sa.Boolean),
    sa.Column("status", sa.String),
    sa.Column("reason", sa.Text),
    sa.Column("process", sa.String),
    sa.Column("heartbeat", sa.Float),
    sa.Column("scenario_id", sa.String),
    sa.Column("scenario", sa.JSON),
    sa.Column("title", sa.String),
    sa.Column("seed", sa.BigInteger),
    sa.Column("agent_a", sa.String),
    sa.Column("agent_b", sa.String),
    sa.Column("agents", sa.JSON),
    sa.Column("comparison", sa.String),
    sa.Column("lane", sa.Integer),
    sa.Column("forked_from", sa.String),
    sa.Column("forked_turns", sa.Integer),
    sa.Column("ending", sa.String),
    sa.Column("ended_by", sa.String),
    sa.Column("agreement", sa.JSON(none_as_null=True)),
    sa.Column("outcome", sa.Text),
    sa.Column("measures", sa.JSON(none_as_null=True)),
    sa.Column("provenance", sa.JSON(none_as_null=True)),
    sa.Column("utility_a", sa.Float),
    sa.Column("utility_b", sa.Float),
)
turns = sa.Table(
    "turns",
    tables,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("turn", sa.JSON),
)
votes = sa.Table(
    "votes",
    tables,
    sa.Column("comparison", sa.String, primary_key=True),
    sa.Column("voter", sa.String, primary_key=True),
    sa.Column("choice", sa.String),
    sa.Column("blind", sa.Boolean),
    sa.Column("created", sa.Float),
)
tournaments = sa.Table(
    "tournaments",
    tables,
    sa.Column("tournament_id", sa.String, primary_key=True),
    sa.Column("created", sa.Float),
    sa.Column("owner", sa.String),
    sa.Column("title", sa.String),
    sa.Column("digest", sa.String),
    sa.Column("plan", sa.JSON),
    sa.Column("status", sa.String),
    sa.Column("reason", sa.Text),
    sa.Column("process", sa.String),
    sa.Column("heartbeat", sa.Float),
)
games = sa.Table(
    "games",
    tables,
    sa.Column("tournament_id", sa.String, primary_key=True),
    sa.Column("scenario_id", sa.String, primary_key=True),
    sa.Column("agent_a", sa.String, primary_key=True),
    sa.Column("agent_b", sa.String, primary_key=True),
    sa.Column("seed", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("status", sa.String),
    sa.Column("attempts", sa.Integer),
    sa.Column("moves", sa.String),
    sa.Column("run_id", sa.String),
)

LOCK_SECONDS = 15.0
"""How long a connection waits while another one writes."""


class Database:
    """An open and migrated database; its methods raise StoreError when it cannot be opened, read or written."""

    def __init__(self, url: str) -> None:
        with explained("open the database"), ExitStack() as undo:
            self._engine = _engine(url)
            undo.callback(self._engine.dispose)
            self._migrate()
            if self._engine.dialect.name == "sqlite" and self._engine.url.database not in (None, "", ":memory:"):
                _refuse_replacement(self._engine, Path(str(self._engine.url.database)))
            undo.pop_all()

    @contextmanager
    def write(self, doing: str) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block; an error says "could not `doing`"."""
        with explained(doing), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self, doing: str) -> Iterator[Connection]:
        """Open a connection for reading; an error says "could not `doing`"."""
        with explained(doing), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        folder = str(Path(__file__).parent / "migrations")
        config.set_main_option("script_location", folder.replace("%", "%%"))
        with _migrating, self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":  # one process at a time, all or nothing
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


_MIGRATION_LOCK = 0x5061726C  # any number that no other program locks


def _engine(url: str) -> Engine:
    sqlite = url.startswith("sqlite")
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_SECONDS} if sqlite else {}, pool_pre_ping=not sqlite)
    if sqlite:

        @sa.event.listens_for(engine, "connect")
        def _set_up(connection: Any, _: object) -> None:
            _log_ahead(connection)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")  # deleted texts do not remain in the file

    return engine


def _refuse_replacement(engine: Engine, path: Path) -> None:
    """Raise OSError once the file is no longer the one that was opened.

    SQLite would keep writing to a file that was removed, and start an empty one in its place.
    """

    def identity() -> tuple[int, int] | None:
        with suppress(FileNotFoundError):
            found = path.stat()
            return found.st_dev, found.st_ino
        return None

    opened = identity()

    def check(*_: object) -> None:
        if identity() != opened:
            raise OSError(f"'{path}' was removed or replaced while in use; put it back, or restart Parley")

    sa.event.listen(engine, "do_connect", check)
    sa.event.listen(engine, "checkout", check)


def _log_ahead(connection: Any) -> None:
    """Switch to WAL, retrying: this is the one statement for which SQLite does not wait for other processes."""
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
def explained(doing: str) -> Iterator[None]:
    """Turn database errors into a StoreError that says what to do."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StoreError(f"could not {doing}: {reason}; check DATABASE_URL, or PARLEY_HOME and its disk") from None
    except ImportError as error:
        raise StoreError(f"could not {doing}: {error}; install the driver that DATABASE_URL names") from None
    except CommandError as error:
        raise StoreError(
            f"could not {doing}: {error}; a newer Parley wrote it: update this one, or set DATABASE_URL to another"
        ) from None
