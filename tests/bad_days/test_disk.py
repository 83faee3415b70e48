"""The disk and the database: full, locked, removed, replaced, read-only."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from huggingface_hub import constants

from negotiation.errors import StoreError
from negotiation.game.events import Ended, Halted, TurnTaken
from negotiation.runs.store import Store
from tests.bad_days.conftest import House
from tests.support.hubserver import Hub


def mounted(folder: Path, options: str) -> Path:
    """Mount a separate disk, which needs root; the caller unmounts it."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    return folder


def fill(path: Path) -> None:
    """Fill the disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = mounted(tmp_path / "disk", "size=2m")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def locked_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negotiation.runs.database.LOCK_SECONDS", 0.2)


def halfway(house: House) -> tuple[str, str, Callable[[], None]]:
    """Return another lane, a run held in its second turn, and the event that lets it continue."""
    beside, gate = house.beside(), house.faults.hang("write victim")
    run = house.start("boulware", "victim")
    house.until(run, TurnTaken)
    house.faults.wait_for("write victim")
    return beside, run, gate.set


def test_a_disk_that_is_full(houses: Callable[..., House], disk: Path) -> None:
    house = houses(url=f"sqlite:///{disk / 'parley.db'}")
    beside, run, go_on = halfway(house)
    filler = disk / "filler"
    fill(filler)
    go_on()
    house.until(run, Halted)
    with pytest.raises(StoreError, match="could not record a new run: database or disk is full; check"):
        house.start("boulware")
    assert len(house.store.run(run).turns) == 1, "what is stored can be read"
    filler.unlink()
    house.recorded(run)
    house.aftermath({run: "could not record a turn: database or disk is full; check DATABASE_URL, or"}, beside)


def test_a_database_that_takes_no_more(house: House) -> None:
    """The same without mounting a disk: SQLite may not add pages."""
    limit = [4294967294]

    def limited(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}")

    sa.event.listen(house.store.database._engine, "checkout", limited)
    beside, run, go_on = halfway(house)
    limit[0] = 1
    go_on()
    house.until(run, Halted)
    limit[0] = 4294967294
    house.recorded(run)
    house.aftermath({run: "database or disk is full"}, beside)


def test_a_database_that_somebody_else_locks(
    locked_briefly: None, houses: Callable[..., House], tmp_path: Path
) -> None:
    house = houses()
    beside, run, go_on = halfway(house)
    with closing(sqlite3.connect(tmp_path / "parley.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        go_on()
        house.until(run, Halted)
        other.execute("ROLLBACK")
    house.recorded(run)
    house.aftermath({run: "could not record a turn: database is locked"}, beside)


def test_a_lock_that_does_not_last_costs_only_time(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, run, go_on = halfway(house)
    write = house.store.add_turn
    with closing(sqlite3.connect(tmp_path / "parley.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")

        def unlocking(*given: Any) -> None:
            monkeypatch.undo()
            other.execute("ROLLBACK")
            write(*given)

        monkeypatch.setattr(house.store, "add_turn", unlocking)
        go_on()
        house.until(run, Ended)
    house.aftermath({}, run, beside)


@pytest.mark.parametrize("instead", ["nothing", "another"])
def test_a_database_that_is_gone(house: House, tmp_path: Path, instead: str) -> None:
    beside, run, go_on = halfway(house)
    path, aside = tmp_path / "parley.db", tmp_path / "aside.db"
    path.rename(aside)
    if instead == "another":
        shutil.copy(aside, path)
    go_on()
    house.until(run, Halted)
    assert path.exists() == (instead == "another"), "no empty one is begun in its place"
    aside.replace(path)
    house.recorded(run)
    house.aftermath(
        {run: "could not record a turn: '.*parley.db' was removed or replaced while in use; put it"}, beside
    )


def test_what_could_not_be_recorded_is_recorded_at_the_end(
    locked_briefly: None, houses: Callable[..., House], tmp_path: Path
) -> None:
    house = houses()
    run = halfway(house)[1]
    with closing(sqlite3.connect(tmp_path / "parley.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        house.faults.end()
        house.until(run, Halted)
        other.execute("ROLLBACK")
    house.close()
    with closing(Store(f"sqlite:///{tmp_path / 'parley.db'}")) as store:
        assert store.run(run).status == "failed"
        assert "database is locked" in store.run(run).reason


def test_a_cache_that_is_read_only(
    houses: Callable[..., House], hub_server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mounted(tmp_path / "cache", "ro")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    hub_server.files["owner/tiny"] = {"config.json": b"{}", "model.safetensors": b"x"}
    house = houses({"hub": {"model_name": "owner/tiny", "device": "cpu"}})
    try:
        beside, run = house.beside(), house.start("hub")
        house.until(run, Halted)
        house.aftermath({run: "'owner/tiny' cannot be stored: .* is not writable .*; set HF_HOME to a"}, beside)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
