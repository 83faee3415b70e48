"""Runs in real SQLite files: nothing committed is lost, and abandoned runs are found."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.history import fill
from negotiation.errors import NotDriven, StoreError, UnknownRun
from negotiation.game.events import (
    Ended,
    Halted,
    InvalidReply,
    Measures,
    SeatMeasures,
    Turn,
)
from negotiation.game.protocol import Action, Ending
from negotiation.runs import database as database_module
from negotiation.runs import liveness as process_module
from negotiation.runs import store as store_module
from negotiation.runs.codec import turns_from_json, turns_to_json
from negotiation.runs.database import Database
from negotiation.runs.liveness import STALE_SECONDS, this_process
from negotiation.runs.owners import digest
from negotiation.runs.record import Run
from negotiation.runs.store import RunFilter, Store, Vote
from negotiation.scenario.model import Offer, Scenario
from tests.support.effort import examples

ROOT = Path(__file__).resolve().parents[4]
Stores = Callable[..., Store]
Runs = Callable[..., Run]
OFFER: Offer = {"price": 150, "lock": "with"}
MEASURES = Measures(0.375, 0.9, 0.98, 0.01, 0.125, rational_a=True, rational_b=False)


def turn(index: int = 0, **about: Any) -> Turn:
    seat: Any = "ab"[index % 2]
    return Turn(index, index // 2 + 1, seat, "any", Action.OFFER, OFFER, **about)


def rows(url: str, query: str) -> list[Any]:
    """The rows that another connection sees: only what was committed."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def change(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def listed(store: Store, **wanted: Any) -> list[str]:
    return [run.run_id for run in store.summaries(RunFilter(**wanted))]


class Clock:
    """The time as the store sees it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    for module in (store_module, process_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=fake.time, monotonic=fake.time))
    return fake


# -- runs and turns --------------------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was_recorded(store: Store, make_run: Runs, clock: Clock) -> None:
    run = make_run("run-1", "smollm2-bold", seed=77, owner="visitor", comparison="pair", lane=2)
    assert store.begin(run) == replace(run, created=clock.now)
    assert store.run("run-1") == replace(run, created=clock.now)


def test_shipped_scenarios_are_stored_unchanged(store: Store, make_run: Runs, shipped: dict[str, Scenario]) -> None:
    """A run is read with the scenario it was played on, whatever happened to the file."""
    for name, scenario in shipped.items():
        store.begin(make_run(name, scenario=scenario))
        assert store.run(name).scenario == scenario
        assert list(store.run(name).scenario.issues) == list(scenario.issues)


def test_a_run_is_recorded_whole_or_not_at_all(store: Store, database: str, make_run: Runs) -> None:
    twice = replace(make_run("run-1", status="done"), turns=(turn(0), turn(0)))
    with pytest.raises(StoreError, match="record a run"):
        store.record(twice)
    assert rows(database, "select count(*) from runs") == rows(database, "select count(*) from turns") == [(0,)]


def test_measures_without_seats_are_read(store: Store, database: str, make_run: Runs) -> None:
    store.record(replace(make_run("run-1"), status="done", ending=Ending.DEADLINE, measures=MEASURES))
    change(database, "update runs set measures = json_remove(measures, '$.seats')")
    assert store.run("run-1").measures == MEASURES


def test_a_turn_is_committed_when_adding_it_returns(store: Store, database: str, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    for index in range(3):
        store.add_turn("run-1", turn(index))
        assert rows(database, "select count(*) from turns") == [(index + 1,)]
    assert store.run("run-1").turns == (turn(0), turn(1), turn(2))


def test_turns_come_in_their_order(store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    for index in (10, 2, 0, 9, 1):
        store.add_turn("run-1", turn(index))
    assert [made.index for made in store.run("run-1").turns] == [0, 1, 2, 9, 10]


def test_runs_do_not_see_each_others_turns(store: Store, make_run: Runs) -> None:
    for run_id in ("run-1", "run-2"):
        store.begin(make_run(run_id))
        store.add_turn(run_id, turn(message=run_id))
    assert [made.message for made in store.run("run-2").turns] == ["run-2"]


@pytest.mark.parametrize(
    "ended",
    [
        Ended(Ending.AGREEMENT, "b", OFFER, MEASURES),
        Ended(Ending.WALKED_AWAY, "a", None, replace(MEASURES, nash_distance=None)),
        Ended(Ending.DEADLINE, None, None, MEASURES),
    ],
)
def test_how_a_run_ended_is_read_back(store: Store, make_run: Runs, ended: Ended) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", ended)
    run = store.run("run-1")
    assert (run.status, run.reason) == ("done", "")
    assert (run.ending, run.ended_by, run.agreement, run.measures) == (
        ended.ending,
        ended.by,
        ended.agreement,
        ended.measures,
    )


@pytest.mark.parametrize("status", ["stopped", "interrupted", "failed"])
def test_how_a_run_halted_is_read_back(store: Store, make_run: Runs, status: Any) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", Halted(status, "because"))
    run = store.run("run-1")
    assert (run.status, run.reason, run.ending, run.measures) == (status, "because", None, None)


def test_the_newest_runs_come_first(store: Store, make_run: Runs, clock: Clock) -> None:
    for number in range(5):
        clock.now += 1
        store.begin(make_run(f"run-{number}", owner="anne" if number % 2 else "bob"))
        store.add_turn(f"run-{number}", turn())
    assert listed(store) == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    page = store.summaries(limit=2)
    assert [run.run_id for run in page] == ["run-4", "run-3"]
    assert listed(store, before=page[-1]) == ["run-2", "run-1", "run-0"]
    assert listed(store, visible_to="anne") == ["run-3", "run-1"]
    assert listed(store, visible_to="nobody") == []


def test_a_comparison_is_all_that_was_started_together(store: Store, make_run: Runs) -> None:
    for run_id, comparison, lane in (("x", "pair", 2), ("y", "pair", 1), ("z", "other", 1), ("alone", None, None)):
        store.begin(make_run(run_id, comparison=comparison, lane=lane))
    assert [run.run_id for run in store.comparison("x")] == ["y", "x"]
    assert [run.run_id for run in store.comparison("alone")] == ["alone"]


@pytest.mark.parametrize(
    "run_id", ["", "missing", "run-1 ", "RUN-1", "\0", "\ud800", "'; drop table runs; --", "x" * 10**6]
)
def test_an_unknown_run_is_an_error(store: Store, make_run: Runs, run_id: str) -> None:
    store.begin(make_run("run-1"))
    for ask in (store.run, store.comparison):
        with pytest.raises(UnknownRun, match=r"there is no run ['\"].{0,90}['\"]; check the link"):
            ask(run_id)
    assert store.run("run-1").run_id == "run-1"


# -- what is refused -------------------------------------------------------------------------------------------


def test_no_run_is_recorded_twice(store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1", seed=1))
    with pytest.raises(StoreError, match="could not record a new run: UNIQUE constraint failed"):
        store.begin(make_run("run-1", seed=2))
    assert store.run("run-1").seed == 1


def test_no_turn_is_recorded_twice(store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    store.add_turn("run-1", turn(message="first"))
    with pytest.raises(StoreError, match="could not record a turn: UNIQUE constraint failed"):
        store.add_turn("run-1", turn(message="second"))
    assert [made.message for made in store.run("run-1").turns] == ["first"]


def test_a_turn_belongs_to_a_run(store: Store) -> None:
    with pytest.raises(NotDriven):
        store.add_turn("missing", turn())


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**63 - 1])
def test_seeds_of_64_bits_are_stored(store: Store, make_run: Runs, seed: int) -> None:
    store.begin(make_run("run-1", seed=seed))
    assert store.run("run-1").seed == seed


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**30, 16**5000], ids=["2^63", "-2^63-1", "10^30", "16^5000"])
def test_larger_seeds_are_refused(store: Store, make_run: Runs, seed: int) -> None:
    with pytest.raises(StoreError, match=r"seed .* is too large to be stored; use one below 2\^63"):
        store.begin(make_run("run-1", seed=seed))
    assert store.summaries() == []


def test_a_database_that_cannot_be_written_says_what_to_do(store: Store, database: str, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    change(database, "drop table turns")
    with pytest.raises(StoreError, match="could not record a turn: no such table: turns; check DATABASE_URL, or"):
        store.add_turn("run-1", turn())
    with pytest.raises(StoreError, match="could not read a run"):
        store.run("run-1")


# -- opening ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "Could not parse SQLAlchemy URL"),
        ("nonsense", "Could not parse SQLAlchemy URL"),
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/missing/parley.db", "unable to open database file"),
        ("sqlite:///{folder}/a_file/parley.db", "unable to open database file"),
        ("sqlite:///{folder}/a_file", "file is not a database"),
        ("cuneiform://u:secret@localhost/x", "Can't load plugin"),
        ("sqlite+nothing:///x.db", "Can't load plugin"),
    ],
)
def test_a_database_that_cannot_be_opened_says_what_to_do(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "a_file").write_bytes(b"This is no database at all." * 200)
    with pytest.raises(StoreError) as caught:
        Store(url.format(folder=tmp_path))
    message = str(caught.value)
    assert message.startswith(f"could not open the database: {says}")
    assert message.endswith("; check DATABASE_URL, or PARLEY_HOME and its disk")
    assert "secret" not in message


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"psycopg.*; install the driver that DATABASE_URL names"):
        Store("postgresql+psycopg://u:secret@localhost/x")


def test_a_database_of_a_newer_version_is_left_alone(stores: Stores, database: str, make_run: Runs) -> None:
    stores().begin(make_run("run-1"))
    change(database, "update alembic_version set version_num = '9999'")
    with pytest.raises(StoreError, match="a newer Parley wrote it: update this one, or set DATABASE_URL to another"):
        stores()
    assert rows(database, "select run_id from runs") == [("run-1",)]


def test_a_new_database_has_the_tables_that_are_used(store: Store, database: str) -> None:
    for table in database_module.tables.sorted_tables:
        found = rows(database, f"select name, pk from pragma_table_info('{table.name}')")
        assert {name for name, _ in found} == {column.name for column in table.columns}
        assert [name for name, key in found if key] == [column.name for column in table.primary_key]
    assert rows(database, "select version_num from alembic_version") == [("0005",)]
    assert rows(database, "pragma journal_mode") == [("wal",)]
    assert store.summaries() == []


def test_opening_again_keeps_everything(stores: Stores, make_run: Runs) -> None:
    first = stores()
    first.begin(make_run("run-1"))
    first.add_turn("run-1", turn())
    first.close()
    again = stores()
    assert again.run("run-1").turns == (turn(),)
    again.add_turn("run-1", turn(1))
    assert len(stores().run("run-1").turns) == 2


def test_an_interrupted_migration_leaves_no_partial_schema(
    stores: Stores, database: str, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration is one transaction: without its end, the database is as empty as before."""
    upgrade = command.upgrade

    def cut_short(*given: Any) -> None:
        upgrade(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", cut_short)
    with pytest.raises(KeyboardInterrupt):
        stores()
    assert rows(database, "select name from sqlite_master") == []
    monkeypatch.undo()
    assert stores().begin(make_run("run-1")).run_id == "run-1"


def test_migrations_work_from_any_folder(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "50% off"
    odd.mkdir()
    (odd / "migrations").symlink_to(ROOT / "negotiation" / "runs" / "migrations")
    monkeypatch.setattr(database_module, "__file__", str(odd / "database.py"))
    assert stores().summaries() == []


@pytest.mark.parametrize("files", [1, 6])
def test_many_may_open_new_databases_at_once(tmp_path: Path, files: int) -> None:
    barrier, failed = threading.Barrier(6), []

    def open_one(number: int) -> None:
        barrier.wait()
        try:
            Store(f"sqlite:///{tmp_path / f'parley-{number % files}.db'}").close()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a failure of the test)
            failed.append(error)

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


# -- many writers ----------------------------------------------------------------------------------------------


def test_writers_wait_for_each_other_and_lose_nothing(stores: Stores, make_run: Runs) -> None:
    """Six threads with three connection pools write and read concurrently."""
    opened = [stores() for _ in range(3)]
    barrier, failed = threading.Barrier(6), []

    def write(number: int) -> None:
        store, run_id = opened[number % 3], f"run-{number}"
        try:
            barrier.wait()
            store.begin(make_run(run_id))
            for index in range(15):
                store.add_turn(run_id, turn(index))
                store.beat([run_id])
                assert len(store.run(run_id).turns) == index + 1
            store.end(run_id, Ended(Ending.DEADLINE, None, None, MEASURES))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a failure of the test)
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for number in range(6):
        run = opened[0].run(f"run-{number}")
        assert (run.status, [made.index for made in run.turns]) == ("done", list(range(15)))


# -- what was left behind --------------------------------------------------------------------------------------

DRIVER = """
import sys, time
from pathlib import Path
from negotiation.agents.catalog import AgentConfig
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import load_scenario
from negotiation.runs.record import Run
from negotiation.runs.store import Store

store = Store(sys.argv[1])
scenario = load_scenario(Path("configs/scenarios/company_car.yaml"))
store.begin(Run(run_id="run-1", scenario=scenario, agents={"a": AgentConfig("x"), "b": AgentConfig("y")}, seed=1))
for index in range(3):
    store.add_turn("run-1", Turn(index, index // 2 + 1, "ab"[index % 2], "x", Action.OFFER, {"price": 15000}))
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture
def driver(database: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that drives run-1, and has committed three turns."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, database], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_killed_process_leaves_an_interrupted_run_with_its_turns(
    stores: Stores, driver: subprocess.Popen[str]
) -> None:
    store = stores()
    assert store.mark_interrupted() == 0
    assert store.run("run-1").status == "running"
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert store.mark_interrupted() == 1
    run = store.run("run-1")
    assert (run.status, run.reason) == ("interrupted", "the program that ran it ended")
    assert [made.index for made in run.turns] == [0, 1, 2]
    assert store.mark_interrupted() == 0


def test_another_process_that_lives_is_left_alone(stores: Stores, driver: subprocess.Popen[str]) -> None:
    store = stores()
    store.beat(["run-1"])
    assert store.mark_interrupted() == 0
    with pytest.raises(StoreError, match="run 'run-1' cannot be continued: it is running"):
        store.resume("run-1")


def test_this_process_needs_no_heartbeat_to_be_alive(store: Store, make_run: Runs, clock: Clock) -> None:
    """A living process counts as alive without heartbeats: a laptop may sleep, a database may be locked."""
    store.begin(make_run("run-1"))
    clock.now += 100 * STALE_SECONDS
    assert store.mark_interrupted() == 0
    store.add_turn("run-1", turn())


def process(url: str, name: str) -> None:
    change(url, f"update runs set process = '{name}'")


def test_a_reused_process_id_does_not_count(store: Store, database: str, make_run: Runs, clock: Clock) -> None:
    store.begin(make_run("run-1"))
    process(database, f"{socket.gethostname()} {os.getpid()} 1")
    assert store.mark_interrupted() == 1


@pytest.mark.parametrize("name", ["elsewhere 1 1", "elsewhere 1 ", "elsewhere", ""])
def test_processes_on_other_hosts_are_judged_by_their_heartbeat(
    store: Store, database: str, make_run: Runs, clock: Clock, name: str
) -> None:
    store.begin(make_run("run-1"))
    process(database, name)
    clock.now += STALE_SECONDS - 1
    assert store.mark_interrupted() == 0
    store.beat(["run-1"])
    clock.now += STALE_SECONDS - 1
    assert store.mark_interrupted() == 0
    clock.now += 1
    assert store.mark_interrupted() == 1


@pytest.mark.parametrize("meanwhile", ["taken over", "ended"])
def test_only_the_driving_process_changes_a_run(
    store: Store, database: str, make_run: Runs, clock: Clock, meanwhile: str
) -> None:
    store.begin(make_run("run-1"))
    store.add_turn("run-1", turn(0))
    if meanwhile == "taken over":
        process(database, "elsewhere 1 1")
    else:
        store.end("run-1", Halted("stopped", "by hand"))
    before = store.run("run-1")
    with pytest.raises(NotDriven, match="run 'run-1' is no longer driven"):
        store.add_turn("run-1", turn(1))
    with pytest.raises(NotDriven):
        store.end("run-1", Halted("failed", "late"))
    assert store.run("run-1") == before


def test_only_running_runs_become_interrupted(store: Store, make_run: Runs, clock: Clock) -> None:
    late = Ended(Ending.DEADLINE, None, None, MEASURES)
    ends: list[Halted | Ended] = [Halted("stopped", "a"), Halted("failed", "b"), late]
    for number, ended in enumerate(ends):
        store.begin(make_run(f"run-{number}"))
        store.end(f"run-{number}", ended)
    clock.now += 10 * STALE_SECONDS
    assert store.mark_interrupted() == 0
    assert {store.run(f"run-{number}").status for number in range(3)} == {"stopped", "failed", "done"}


def test_a_run_that_ends_during_the_check_stays_ended(
    store: Store, make_run: Runs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent process may wake up between the check of its run and the update."""
    store.begin(make_run("ends"))
    store.begin(make_run("beats"))
    clock.now += STALE_SECONDS

    def comes_back(*_: object) -> bool:
        monkeypatch.setattr(store_module, "alive", lambda *_: False)
        store.end("ends", Halted("stopped", "by hand"))
        clock.now += 1
        store.beat(["beats"])
        return False

    monkeypatch.setattr(store_module, "alive", comes_back)
    assert store.mark_interrupted() == 0
    assert (store.run("ends").status, store.run("beats").status) == ("stopped", "running")


def test_process_identities_differ() -> None:
    host, pid, began = this_process().split(" ")
    assert (host, int(pid)) == (socket.gethostname(), os.getpid())
    assert began == "" or int(began) > 0


# -- going on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["stopped", "interrupted", "failed"])
def test_a_halted_run_can_be_continued(store: Store, make_run: Runs, clock: Clock, status: Any) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", Halted(status, "because"))
    clock.now += 10 * STALE_SECONDS
    store.resume("run-1")
    assert (store.run("run-1").status, store.run("run-1").reason) == ("running", "")
    assert store.mark_interrupted() == 0


def test_an_unreadable_run_is_not_continued(store: Store, make_run: Runs) -> None:
    """Otherwise it would count as running without a driver."""
    store.begin(make_run("run-1"))
    store.end("run-1", Halted("interrupted", "because"))
    with store.database.write("break a turn") as connection:
        connection.execute(database_module.turns.insert().values(run_id="run-1", index=0, turn={"no": "turn"}))
    with pytest.raises(StoreError, match="cannot be read"):
        store.resume("run-1")
    with store.database.read("look") as connection:
        assert connection.execute(sa.select(database_module.runs.c.status)).scalar() == "interrupted"


def test_only_one_may_continue_a_run(store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", Halted("interrupted", "because"))
    store.resume("run-1")
    with pytest.raises(StoreError, match="cannot be continued: it is running or has ended"):
        store.resume("run-1")


def test_a_finished_run_is_not_continued(store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", Ended(Ending.AGREEMENT, "b", OFFER, MEASURES))
    with pytest.raises(StoreError, match="cannot be continued"):
        store.resume("run-1")
    assert store.run("run-1").status == "done"


# -- exactness -------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec=None), max_size=30)  # lone surrogates and NUL, too
FLOATS = st.none() | st.floats(0, 1)
INVALID = st.builds(
    InvalidReply, st.sampled_from(["empty", "off_menu"]), TEXTS, TEXTS, st.sampled_from(["repaired", "gave_up"])
)
ROLES = st.sampled_from(["system", "user", "assistant"])
MESSAGES: st.SearchStrategy[dict[str, str]] = st.builds(dict, role=ROLES, content=TEXTS)
TURNS = st.builds(
    Turn,
    index=st.integers(0, 200),
    round=st.integers(1, 100),
    seat=st.sampled_from(["a", "b"]),
    agent=TEXTS,
    action=st.sampled_from(Action),
    offer=st.none() | st.dictionaries(TEXTS, TEXTS | st.integers(-(10**12), 10**12), max_size=3),
    message=TEXTS,
    thought=TEXTS,
    utility_a=FLOATS,
    utility_b=FLOATS,
    invalid=st.lists(INVALID, max_size=2).map(tuple),
    prompt=st.lists(MESSAGES, max_size=2).map(tuple),
    raw=TEXTS,
    tokens=st.integers(0, 10**9),
    prompt_tokens=st.integers(0, 10**9),
    seconds=st.floats(0, 1e6),
)


@given(made=TURNS)
@examples(75)
def test_a_turn_survives_json_exactly(made: Turn) -> None:
    (again,) = turns_from_json("run", json.loads(json.dumps(turns_to_json([made]))))
    assert again == made
    assert repr(again) == repr(made)  # 1 and 1.0 are equal, but not the same


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples."""
    opened = Store(f"sqlite:///{tmp_path_factory.mktemp('exact') / 'parley.db'}")
    yield opened
    opened.close()


@given(data=st.data(), made=TURNS)
@examples(30)
def test_a_run_survives_the_database_exactly(
    kept: Store, data: st.DataObject, made: Turn, scenarios: st.SearchStrategy[Scenario], make_run: Runs
) -> None:
    seat = st.builds(
        SeatMeasures,
        st.lists(FLOATS, max_size=3).map(tuple),
        st.lists(st.floats(-1, 1), max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["empty", "not_json"]), st.integers(1, 9)),
        st.integers(0, 999),
        st.floats(0, 99),
    )
    seats = st.fixed_dictionaries({"a": seat, "b": seat})
    measures = st.builds(Measures, *[st.floats(0, 2)] * 4, FLOATS, st.booleans(), st.booleans(), seats)
    scenario = data.draw(scenarios)
    agreement = {name: data.draw(st.sampled_from(issue.choices)) for name, issue in scenario.issues.items()}
    ended = Ended(Ending.AGREEMENT, "a", agreement, data.draw(measures))
    run = make_run(f"run-{len(kept.summaries(limit=1000))}", scenario=scenario)
    begun = kept.begin(run)
    kept.add_turn(run.run_id, made)
    kept.end(run.run_id, ended)
    found = kept.run(run.run_id)
    end = {"ending": ended.ending, "ended_by": ended.by, "agreement": ended.agreement, "measures": ended.measures}
    expected = replace(begun, turns=(made,), status="done", **end)  # type: ignore[arg-type]
    assert found == expected
    assert repr(found) == repr(expected)
    kept.record(replace(expected, run_id=f"{run.run_id} at once"))
    assert kept.run(f"{run.run_id} at once") == replace(expected, run_id=f"{run.run_id} at once")


# -- History ---------------------------------------------------------------------------------------------------


def test_lists_are_filtered_and_searched(store: Store, make_run: Runs, clock: Clock) -> None:
    for number, (owner, a, scenario_id) in enumerate(
        [("anne", "boulware", "bike"), ("bob", "conceder", "bike"), ("bob", "boulware", "yacht")]
    ):
        clock.now += 1
        run = make_run(f"run-{number}", a=a, owner=owner)
        store.begin(replace(run, scenario=run.scenario.model_copy(update={"scenario_id": scenario_id})))
    store.end("run-1", Ended(Ending.AGREEMENT, "a", OFFER, MEASURES))
    assert listed(store, scenario_id="bike") == ["run-1", "run-0"]
    assert listed(store, agent="boulware") == ["run-2", "run-0"]
    assert listed(store, status="done") == ["run-1"]
    assert listed(store, text="150 CONCED") == ["run-1"]
    assert listed(store, text="bicycle") == ["run-2", "run-1", "run-0"]
    assert listed(store, text="100%") == []
    assert listed(store, visible_to="anne") == ["run-0"]
    store.publish("run-1", published=True, owner="bob")
    assert listed(store, visible_to="anne") == ["run-1", "run-0"]
    assert listed(store, visible_to="anne", own=True) == ["run-0"]
    (found,) = store.summaries(RunFilter(status="done"))
    assert (found.title, found.outcome, found.utility_a, found.utility_b) == (
        "A used bicycle",
        "Price: €150, lock: with",
        0.375,
        0.9,
    )


def test_a_list_does_not_need_what_it_does_not_show(store: Store, database: str, make_run: Runs) -> None:
    store.begin(make_run("odd"))
    store.begin(make_run("fine"))
    change(database, "update runs set scenario = '{\"from\": \"the future\"}' where run_id = 'odd'")
    assert set(listed(store)) == {"odd", "fine"}
    with pytest.raises(StoreError, match="run 'odd' cannot be read"):
        store.run("odd")


@pytest.mark.parametrize("value", ["[]", '{"index": 0}', '"text"', '{"future": 1}'])
def test_a_turn_that_cannot_be_read_names_its_run(store: Store, database: str, make_run: Runs, value: str) -> None:
    store.begin(make_run("run-1"))
    store.add_turn("run-1", turn())
    change(database, f"update turns set turn = '{value}'")
    with pytest.raises(StoreError, match="run 'run-1' cannot be read"):
        store.run("run-1")


def test_only_its_owner_or_the_operator_deletes_a_run(store: Store, database: str, make_run: Runs) -> None:
    for number in range(2):
        store.begin(make_run(f"run-{number}", owner="anne"))
        store.add_turn(f"run-{number}", turn())
    with pytest.raises(StoreError, match="it is running"):
        store.delete("run-0", owner="anne")
    for number in range(2):
        store.end(f"run-{number}", Halted("stopped", "by hand"))
    with pytest.raises(StoreError, match="belongs to another visitor"):
        store.delete("run-0", owner="bob")
    with pytest.raises(UnknownRun):
        store.publish("run-0", published=True, owner="bob")
    store.delete("run-0", owner="anne")
    store.delete("run-1")
    with pytest.raises(UnknownRun):
        store.delete("run-1")
    assert rows(database, "select * from turns") == []


def test_deleted_texts_do_not_remain_in_the_file(tmp_path: Path, make_run: Runs) -> None:
    path = tmp_path / "own.db"
    store = Store(f"sqlite:///{path}")
    store.begin(make_run("run-1", owner="anne"))
    store.add_turn("run-1", replace(turn(), message="a word that nobody else says"))
    store.end("run-1", Halted("stopped", "by hand"))
    store.close()
    assert b"a word that nobody" in path.read_bytes()
    store = Store(f"sqlite:///{path}")
    store.delete("run-1", owner="anne")
    store.close()
    assert b"a word that nobody" not in path.read_bytes()


def test_a_voter_has_one_vote(store: Store) -> None:
    store.vote(Vote("c", "anne", "1", blind=True))
    store.vote(Vote("c", "bob", "tie", blind=False))
    store.vote(Vote("c", "anne", "2", blind=False))
    assert {(vote.voter, vote.choice, vote.blind) for vote in store.votes("c")} == {
        ("anne", "2", False),
        ("bob", "tie", False),
    }
    assert store.votes("other") == []
    with pytest.raises(StoreError, match="is not a vote"):
        store.vote(Vote("c", "anne", "me", blind=False))  # type: ignore[arg-type]


def test_a_database_of_the_first_schema_is_brought_up_to_date(tmp_path: Path, make_run: Runs) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    old = Database(url)
    with old.write("go back") as connection:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "negotiation" / "runs" / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    old.close()
    scenario = json.dumps(make_run().scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True))
    agents = json.dumps({seat: {"agent": "any"} for seat in "ab"})
    measures = json.dumps({**vars(MEASURES)})
    by_hand = sqlite3.connect(tmp_path / "old.db")
    by_hand.execute(
        "insert into runs (run_id, created, status, reason, process, heartbeat, scenario_id, scenario, seed, agent_a,"
        " agent_b, agents, ending, agreement, measures)"
        " values ('old', 1, 'done', '', 'p', 1, 'bike', ?, 7, 'any', 'any', ?, 'agreement', ?, ?)",
        (scenario, agents, json.dumps(OFFER), measures),
    )
    by_hand.commit()
    by_hand.close()
    store = Store(url)
    (found,) = store.summaries()
    assert (found.run_id, found.title, found.published) == ("old", "A used bicycle", False)
    assert (found.outcome, found.utility_a, found.utility_b) == ("price: 150, lock: with", 0.375, 0.9)
    assert store.run("old").agreement == OFFER
    store.close()


def test_secrets_that_earlier_versions_stored_become_names(tmp_path: Path, make_run: Runs) -> None:
    url, secret, name = f"sqlite:///{tmp_path / 'old.db'}", "0123456789abcdef-_ABCD", digest("0123456789abcdef-_ABCD")
    store = Store(url)
    for run_id, owner in (("theirs", secret), ("nobody", None), ("ann", "ann")):
        store.record(replace(make_run(run_id, owner=owner), status="done", ending=Ending.DEADLINE, measures=MEASURES))
    for comparison, voter in (("c", secret), ("d", secret), ("d", name)):
        store.vote(Vote(comparison, voter, "tie", blind=False))
    store.close()
    columns = "tournament_id, owner, created, title, digest, plan, status, process, heartbeat"
    change(url, f"insert into tournaments ({columns}) values ('t', '{secret}', 1, '', '', '{{}}', 'done', '', 1)")
    change(url, "update alembic_version set version_num = '0004'")
    store = Store(url)
    assert {run_id: store.run(run_id).owner for run_id in ("theirs", "nobody", "ann")} == {
        "theirs": name,
        "nobody": None,
        "ann": "ann",
    }
    assert {(vote.comparison, vote.voter) for vote in store.votes()} == {("c", name), ("d", name)}
    assert rows(url, "select owner from tournaments") == [(name,)]
    store.close()
    assert secret.encode() not in (tmp_path / "old.db").read_bytes()


def test_ten_thousand_runs_are_paged_through_each_once_newest_first(stores: Stores) -> None:
    store = stores()
    fill(store, 10_000)
    seen: list[str] = []
    before = None
    while page := store.summaries(RunFilter("visitor", before=before), 1500):
        seen += [run.run_id for run in page]
        before = page[-1]
    assert seen == [f"{number:032x}" for number in reversed(range(10_000)) if number % 2 or number % 10 == 0]
    found = store.summaries(RunFilter("visitor", scenario_id="company_car", agent="micro", status="done"), 2000)
    assert found
    assert all((run.scenario_id, run.status) == ("company_car", "done") for run in found)
    assert (found[0].role_a, found[0].role_b) == ("Fleet manager", "Engineer")


def test_a_list_of_runs_is_found_by_an_index_in_order(stores: Stores) -> None:
    store = stores()
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    fill(store, 10)
    with store.database.read("look") as connection:
        sa.event.listen(connection.engine, "before_cursor_execute", note)
        store.summaries(RunFilter("visitor"))
        sa.event.remove(connection.engine, "before_cursor_execute", note)
        plans = [
            " ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in asked
        ]
    assert len(plans) == 2
    for plan in plans:
        assert "USING INDEX runs_by_" in plan
        assert "SCAN runs" not in plan


def test_votes_of_one_voter_are_found(stores: Stores) -> None:
    store = stores()
    for voter in ("me", "you"):
        store.vote(Vote("c", voter, "1", blind=False))
    assert [vote.voter for vote in store.votes(voter="me")] == ["me"]
