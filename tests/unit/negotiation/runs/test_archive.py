"""Runs outlive the machine: in a mounted folder, or in a dataset repository of (a stand-in for) the Hub."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import play
from negotiation.errors import UnknownRun
from negotiation.runs import archive, journal
from negotiation.runs.archive import ArchivedStore, FolderStorage, JournalStorage
from negotiation.runs.hub.journal_dataset import DatasetStorage
from negotiation.runs.journal import Journal, read_journal
from negotiation.runs.owners import digest
from negotiation.runs.record import Run
from negotiation.runs.store import Vote
from tests.support.hub import DatasetHub, Repository, serving_datasets

Runs = Callable[..., Run]
Open = Callable[[JournalStorage], ArchivedStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Opens a store with an archive on a machine whose database is new each time, and waits until it was read."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def start(storage: JournalStorage) -> ArchivedStore:
            store = ArchivedStore(f"sqlite:///{tmp_path}/{next(numbers)}.db", storage)
            stack.callback(store.close)
            assert store.archive.restored.wait(30)
            return store

        yield start


@pytest.fixture(scope="session")
def played(make_run: Runs) -> Callable[..., Run]:
    """Plays a negotiation between two strategies."""

    def make(run_id: str, **about: Any) -> Run:
        with LLMManager({}) as manager:
            return play(Catalog(manager), make_run(run_id, **about), CancelToken())

    return make


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    with serving_datasets(monkeypatch) as server:
        yield server


# -- a folder --------------------------------------------------------------------------------------------------


def test_runs_publications_deletions_and_votes_survive_a_restart(
    tmp_path: Path, open_store: Open, played: Callable[..., Run]
) -> None:
    first = open_store(FolderStorage(tmp_path / "data"))
    for run_id in ("one", "two", "three"):
        first.record(played(run_id, owner="a visitor", comparison="c", lane=1))
    first.publish("two", published=True, owner="a visitor")
    first.delete("three", owner="a visitor")
    first.vote(Vote("c", "a visitor", "1", blind=True))
    first.vote(Vote("c", "a visitor", "2", blind=True))
    one, two = first.run("one"), first.run("two")
    first.close()

    second = open_store(FolderStorage(tmp_path / "data"))
    assert second.run("one") == one
    assert second.run("two") == two
    assert second.run("two").published
    with pytest.raises(UnknownRun):
        second.run("three")
    assert second.votes() == [Vote("c", "a visitor", "2", blind=True)]
    second.publish("two", published=False, owner="a visitor")  # it is still theirs
    second.close()
    assert not open_store(FolderStorage(tmp_path / "data")).run("two").published


def test_a_live_run_is_archived_in_its_final_state(tmp_path: Path, open_store: Open, played: Runs) -> None:
    """A live run is stored turn by turn; one that was continued is archived again."""
    from negotiation.game.events import Ended, Halted

    whole = played("x")
    store = open_store(FolderStorage(tmp_path / "data"))
    store.begin(replace(whole, turns=()))
    store.add_turn("x", whole.turns[0])
    store.end("x", Halted("stopped", "by hand"))
    store.resume("x")
    for turn in whole.turns[1:]:
        store.add_turn("x", turn)
    assert whole.ending is not None
    assert whole.measures is not None
    store.end("x", Ended(whole.ending, whole.ended_by, whole.agreement, whole.measures))
    told = store.run("x")
    store.close()
    again = open_store(FolderStorage(tmp_path / "data")).run("x")
    assert again == told
    assert (again.status, again.turns) == ("done", whole.turns)


def test_deleted_runs_are_in_no_file_after_the_next_start(
    tmp_path: Path, open_store: Open, played: Callable[..., Run]
) -> None:
    folder = tmp_path / "data"
    first = open_store(FolderStorage(folder))
    first.record(played("kept"))
    first.record(played("gone"))
    first.close()
    second = open_store(FolderStorage(folder))
    second.delete("gone")
    second.close()
    open_store(FolderStorage(folder)).close()
    (file,) = folder.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["kind"], line["run_id"]) for line in lines] == [("run", "kept"), ("deleted", "gone")]


def test_secrets_that_earlier_versions_wrote_are_in_no_file_after_the_next_start(
    tmp_path: Path, open_store: Open, played: Callable[..., Run]
) -> None:
    folder, secret = tmp_path / "data", "0123456789abcdef-_ABCD"
    old = journal.Journal(folder)
    old.add([journal.run_line(played("one", owner=secret)), journal.vote_line(Vote("c", secret, "1", blind=True))])
    store = open_store(FolderStorage(folder))
    assert store.run("one").owner == digest(secret)
    assert store.votes() == [Vote("c", digest(secret), "1", blind=True)]
    store.close()
    (file,) = folder.iterdir()
    assert secret not in file.read_text()


def test_half_written_lines_are_skipped(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    first = open_store(FolderStorage(folder))
    first.record(played("whole"))
    first.close()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    (folder / "2.jsonl").write_bytes(whole.replace(b"whole", b"other")[:-100])
    (folder / "3.jsonl").write_bytes(
        b'\xff\xfe\n[]\n{"kind": "run"}\n{"kind": "vote", "at": 1}\n{"kind": "new", "at": 1}\n'  # the last is no fault
    )
    (folder / "4.jsonl").write_bytes(b'{"kind": "run", "run_id": "odd", "at": 1}\n')
    second = open_store(FolderStorage(folder))
    assert [run.run_id for run in second.summaries()] == ["whole"]
    assert "2.jsonl: 1 of its lines cannot be read" in caplog.text
    assert "3.jsonl: 4 of its lines cannot be read" in caplog.text
    assert "not restored from the archive: run 'odd' cannot be read" in caplog.text


def test_malformed_runs_are_rejected(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone who can write to the volume or the dataset can have written anything; the archive goes on."""
    folder = tmp_path / "data"
    first = open_store(FolderStorage(folder))
    run = played("whole", owner="a visitor")
    first.record(run)
    first.close()
    (file,) = folder.iterdir()
    whole = json.loads(file.read_text())
    turn = whole["turns"][0]
    odd: list[dict[str, Any]] = [
        {"run_id": 7},
        {"run_id": "a\nline"},
        {"run_id": "x" * 5000},
        {"status": "running"},  # it would never end, and could not be deleted
        {"status": "nonsense"},
        {"created": 1e18},  # no calendar has it
        {"created": "now"},
        {"owner": ["a", "b"]},
        {"agents": {"a": whole["agents"]["a"]}},
        {"agents": []},
        {"lane": 10**30},
        {"agreement": {"price": "<b>"}},
        {"agreement": 1},
        {"ending": "gone"},
        {"measures": {"utility_a": "high"}},
        {"measures": None},
        {"scenario": {}},
        {"seed": 2**70},
        {"turns": 7},
        {"turns": [7]},
        {"turns": [{**turn, "message": {"a": 1}}]},
        {"turns": [{**turn, "offer": {"price": "<b>"}}]},
        {"turns": [turn, turn]},
    ]
    lines = [{**whole, "run_id": f"odd{number}", **changes} for number, changes in enumerate(odd)]
    broken = [
        b"[" * 100_000,
        b'{"kind": "run", "run_id": "late", "at": 1%s}' % (b"0" * 400),
        b'{"kind": "deleted", "run_id": "whole", "at": Infinity}',
        b'{"kind": "deleted", "run_id": "whole", "at": 1e999}',
        b'{"kind": "vote", "at": 1, "comparison": [], "voter": {}, "choice": "all", "blind": 0}',
        b'{"kind": {}, "at": []}',
    ]
    data = b"\n".join([*(json.dumps(line).encode() for line in lines), *broken, b""])
    (folder / "2.jsonl").write_bytes(data)
    second = open_store(FolderStorage(folder))
    assert second.run("whole") == replace(run, created=run.created)
    assert [one.run_id for one in second.summaries(limit=1000)] == ["whole"]
    assert f"2.jsonl: {len(broken)} of its lines cannot be read" in caplog.text
    assert "not restored from the archive: run 'odd5' cannot be read (key 'created'" in caplog.text
    assert caplog.text.count("not restored from the archive: ") == len(odd)
    second.record(played("after"))
    second.close()
    assert {one.run_id for one in open_store(FolderStorage(folder)).summaries()} == {"whole", "after"}


def test_the_archive_is_private_to_its_user(tmp_path: Path, open_store: Open) -> None:
    open_store(FolderStorage(tmp_path / "made" / "data")).close()
    assert (tmp_path / "made" / "data").stat().st_mode & 0o077 == 0


def test_many_small_files_are_merged(tmp_path: Path, open_store: Open, played: Callable[..., Run]) -> None:
    folder = tmp_path / "data"
    for number in range(journal.FILES + 1):
        journal.Journal(folder).add([journal.published_line("x", bool(number % 2))])
    journal.Journal(folder).add([journal.run_line(played("x"))])
    store = open_store(FolderStorage(folder))
    assert len(list(folder.iterdir())) == 1
    assert store.run("x").run_id == "x"


def test_old_files_stay_if_the_merged_one_cannot_be_written(
    tmp_path: Path, played: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = journal.Journal(tmp_path)
    own.add([journal.run_line(played(name)) for name in ("a", "b")])
    contents = read_journal(tmp_path)
    add = own.add

    def full(lines: Any) -> None:
        if own.own.exists():
            raise OSError("no space left")
        add(lines)

    monkeypatch.setattr(own, "add", full)
    with pytest.raises(OSError, match="no space left"):
        own.rewrite(contents)
    assert set(read_journal(tmp_path).runs) == {"a", "b"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failing_volume_is_retried_and_delays_no_request(
    tmp_path: Path,
    open_store: Open,
    played: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(archive, "RETRY_SECONDS", 0.01)
    storage = FolderStorage(tmp_path / "data")
    store = open_store(storage)
    failed, well, add = threading.Event(), threading.Event(), storage.journal.add

    def failing(lines: Any) -> None:
        if not well.is_set():
            failed.set()
            raise OSError("the bucket is away")
        add(lines)

    monkeypatch.setattr(storage.journal, "add", failing)
    store.record(played("x"))
    assert failed.wait(30)
    assert store.run("x").status == "done"
    well.set()
    store.close()
    assert "x" in read_journal(tmp_path / "data").runs
    assert caplog.text.count("the bucket is away") == 1


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Journal], Callable[[], None]]:
    """Makes a journal fail after half of a write; the returned function repairs it once it has failed."""
    monkeypatch.setattr(archive, "RETRY_SECONDS", 0.01)

    def break_it(kept: Journal) -> Callable[[], None]:
        failed, well, fsync = threading.Event(), threading.Event(), os.fsync

        def sync(number: int) -> None:
            if not well.is_set():
                if not failed.is_set():
                    os.ftruncate(number, os.fstat(number).st_size - 50)
                failed.set()
                raise OSError("the bucket is away")
            fsync(number)

        def recover() -> None:
            assert failed.wait(30)
            well.set()

        monkeypatch.setattr(os, "fsync", sync)
        return recover

    return break_it


def test_a_deletion_is_archived_once_a_failing_volume_recovers(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], away: Callable[[Journal], Callable[[], None]]
) -> None:
    first = open_store(FolderStorage(tmp_path / "data"))
    first.record(played("x"))
    first.close()
    storage = FolderStorage(tmp_path / "data")
    second = open_store(storage)
    recover = away(storage.journal)
    second.delete("x")
    recover()
    second.close()
    assert open_store(FolderStorage(tmp_path / "data")).summaries() == []


def test_a_publication_is_archived_once_a_failing_volume_recovers(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], away: Callable[[Journal], Callable[[], None]]
) -> None:
    """Publishing a run adds the whole run to a public archive."""
    storage = FolderStorage(tmp_path / "data")
    storage.private = False
    store = open_store(storage)
    recover = away(storage.journal)
    store.record(played("x"))
    store.publish("x", published=True)
    recover()
    store.close()
    assert set(read_journal(tmp_path / "data").runs) == {"x"}


def test_lines_after_an_incomplete_one_are_read(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], away: Callable[[Journal], Callable[[], None]]
) -> None:
    storage = FolderStorage(tmp_path / "data")
    store = open_store(storage)
    recover = away(storage.journal)
    store.record(played("x"))
    recover()
    store.close()
    assert set(read_journal(tmp_path / "data").runs) == {"x"}


def test_runs_deleted_before_the_archive_was_read_stay_deleted(
    tmp_path: Path, played: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RETRY_SECONDS", 0.01)
    url, failed, well = f"sqlite:///{tmp_path}/kept.db", threading.Event(), threading.Event()
    with closing(ArchivedStore(url, FolderStorage(tmp_path / "data"))) as first:
        first.record(played("x"))
    opening = FolderStorage.open

    def open_at_last(self: FolderStorage) -> Any:
        if not well.is_set():
            failed.set()
            raise OSError("the bucket is away")
        return opening(self)

    monkeypatch.setattr(FolderStorage, "open", open_at_last)
    with closing(ArchivedStore(url, FolderStorage(tmp_path / "data"))) as second:
        assert failed.wait(30)
        second.delete("x")
        well.set()
        assert second.archive.restored.wait(30)
        assert second.summaries() == []
    assert read_journal(tmp_path / "data").runs == {}


def test_changes_that_never_reach_the_archive_are_logged(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    storage = FolderStorage(tmp_path / "data")
    store = open_store(storage)
    storage.journal.folder = storage.journal.own = tmp_path / "0.db"  # a file
    store.record(played("x"))
    store.close()
    assert "some changes did not reach the archive of runs" in caplog.text


# -- a dataset repository --------------------------------------------------------------------------------------


def test_a_missing_dataset_is_created_private_and_gets_all_runs(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], hub: DatasetHub
) -> None:
    first = open_store(DatasetStorage("me/runs", "hf_secret", tmp_path / "1"))
    first.record(played("one", owner="a visitor"))
    first.record(played("two"))
    told = first.run("one")
    first.close()
    repository = hub.repositories["me/runs"]
    assert repository.private
    assert not [path for path, token in hub.asked if "me/runs" in path and token != "Bearer hf_secret"]
    assert [Path(name).parent.name for name in repository.files] == ["runs"]

    second = open_store(DatasetStorage("me/runs", "hf_secret", tmp_path / "2"))
    assert second.run("one") == told
    second.record(played("three"))
    second.delete("two")
    second.close()
    third = open_store(DatasetStorage("me/runs", "hf_secret", tmp_path / "3"))
    assert {run.run_id for run in third.summaries()} == {"one", "three"}
    lines = [json.loads(line) for file in repository.files.values() for line in file.splitlines()]
    assert {(line["kind"], line["run_id"]) for line in lines} == {("run", "one"), ("deleted", "two"), ("run", "three")}
    assert repository.squashed == 1  # so that the history does not tell what was deleted


def test_a_public_dataset_gets_published_runs_only_without_owners(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], hub: DatasetHub
) -> None:
    repository = hub.repositories["me/runs"] = Repository(private=False)
    first = open_store(DatasetStorage("me/runs", "t", tmp_path / "1"))
    for run_id in ("private-id", "public-id", "hidden-id"):
        first.record(played(run_id, owner="secret-cookie", comparison="c", lane=1))
    for run_id in ("public-id", "hidden-id"):
        first.publish(run_id, published=True, owner="secret-cookie")
    first.publish("private-id", published=False, owner="secret-cookie")
    first.publish("hidden-id", published=False, owner="secret-cookie")
    first.vote(Vote("c", "secret-cookie", "1", blind=False))
    first.close()
    everything = b"".join(repository.files.values())
    assert b"public-id" in everything
    for secret in (b"private-id", b"secret-cookie"):
        assert secret not in everything
    second = open_store(DatasetStorage("me/runs", "t", tmp_path / "2"))
    assert [run.run_id for run in second.summaries()] == ["public-id"]
    assert second.run("public-id").published


def test_a_run_may_be_published_hidden_and_published_again(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], hub: DatasetHub
) -> None:
    hub.repositories["me/runs"] = Repository(private=False)
    store = open_store(DatasetStorage("me/runs", "t", tmp_path / "1"))
    store.record(played("x"))
    for published in (True, False, True):
        store.publish("x", published=published)
    store.close()
    assert open_store(DatasetStorage("me/runs", "t", tmp_path / "2")).run("x").published


def test_nothing_is_pushed_to_a_dataset_that_became_public(
    tmp_path: Path,
    open_store: Open,
    played: Callable[..., Run],
    hub: DatasetHub,
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = DatasetStorage("me/runs", "t", tmp_path / "1")
    store = open_store(storage)
    assert storage._pushing is not None
    storage._pushing.trigger().result()  # the first one, that began by itself, is over
    hub.repositories["me/runs"].private = False
    store.record(played("x"))
    store.close()
    assert hub.repositories["me/runs"].files == {}
    assert "is now public" in caplog.text


def test_an_unreachable_hub_is_retried(
    tmp_path: Path,
    open_store: Open,
    played: Callable[..., Run],
    hub: DatasetHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = open_store(DatasetStorage("me/runs", "t", tmp_path / "1"))
    first.record(played("before"))
    first.close()
    monkeypatch.setattr(archive, "RETRY_SECONDS", 0.01)
    failed, opening = threading.Event(), DatasetStorage.open

    def away(self: DatasetStorage) -> Any:
        if not failed.is_set():
            failed.set()
            raise ConnectionError("the Hub is away")
        return opening(self)

    monkeypatch.setattr(DatasetStorage, "open", away)
    second = open_store(DatasetStorage("me/runs", "t", tmp_path / "2"))
    assert failed.is_set()
    assert second.run("before").status == "done"
    second.record(played("after"))
    second.close()
    assert b'"after"' in b"".join(hub.repositories["me/runs"].files.values())


def test_it_is_pushed_while_the_program_runs(
    tmp_path: Path, open_store: Open, played: Callable[..., Run], hub: DatasetHub
) -> None:
    storage = DatasetStorage("me/runs", "t", tmp_path / "1", minutes=0.001)
    store = open_store(storage)
    store.record(played("x"))
    hub.wait_for_commits("me/runs", 1)
    assert b'"x"' in b"".join(hub.repositories["me/runs"].files.values())
