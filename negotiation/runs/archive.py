"""An archive beside the database, for machines such as Spaces whose own disk is lost at a restart.

The database stays on that disk, because a mounted bucket supports neither the file locks nor the shared memory that
SQLite needs. The archive is a journal (journal.py) in a mounted folder or in a dataset repository
(hub/journal_dataset.py). A thread reads it back at the start and then appends to it, so that no request waits for a
volume or a network.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from manager.errors import ParleyError
from negotiation.errors import UnknownRun
from negotiation.game.events import Ended, Halted
from negotiation.runs.journal import (
    Contents,
    Journal,
    Line,
    deleted_line,
    make_private,
    published_line,
    read_journal,
    run_line,
    vote_line,
)
from negotiation.runs.record import Run
from negotiation.runs.store import Store, Vote

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
CLOSE_SECONDS = 60.0


class JournalStorage(Protocol):
    """A place for a journal that outlives this machine."""

    private: bool
    """Whether only the owner of this installation can read it; otherwise it stores published runs only."""
    journal: Journal

    def open(self) -> Contents:
        """Read the journal; fails with OSError and the like while it is out of reach, and may be retried."""

    def close(self) -> None:
        """Deliver everything that was added, and stop."""


class FolderStorage:
    """A mounted bucket or volume."""

    private = True

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)

    def open(self) -> Contents:
        make_private(self.journal.folder)
        contents = read_journal(self.journal.folder)
        if contents.untidy:
            self.journal.rewrite(contents)
            contents = read_journal(self.journal.folder)
        return contents

    def close(self) -> None:
        pass


class ArchivedStore(Store):
    """A store that also archives finished runs, publications, deletions and votes."""

    def __init__(self, url: str, storage: JournalStorage) -> None:
        super().__init__(url)
        self.archive = Archive(self, storage)

    def record(self, run: Run) -> None:
        super().record(run)
        self.archive.add_run(run.run_id)

    def end(self, run_id: str, ended: Ended | Halted) -> None:
        super().end(run_id, ended)
        self.archive.add_run(run_id)

    def publish(self, run_id: str, *, published: bool, owner: str | None = None) -> None:
        super().publish(run_id, published=published, owner=owner)
        self.archive.publish(run_id, published)

    def delete(self, run_id: str, *, owner: str | None = None) -> None:
        super().delete(run_id, owner=owner)
        self.archive.delete(run_id)

    def vote(self, vote: Vote) -> None:
        super().vote(vote)
        self.archive.vote(vote)

    def restore(self, run: Run) -> None:
        """Record a run from the archive, unless the database has it."""
        try:
            self.run(run.run_id)
        except UnknownRun:
            super().record(run)

    def restore_votes(self, votes: list[Vote]) -> None:
        """Record votes from the archive; votes in the database take precedence."""
        here = {(vote.comparison, vote.voter) for vote in self.votes()}
        for vote in votes:
            if (vote.comparison, vote.voter) not in here:
                super().vote(vote)

    def close(self) -> None:
        self.archive.close()
        super().close()


@dataclass(frozen=True)
class _Change:
    """A change to archive: a run ended (by default), was published, hidden or deleted, or a vote was cast."""

    run_id: str = ""
    published: bool | None = None
    deleted: bool = False
    vote: Vote | None = None


class Archive:
    """The thread that maintains a store's journal: first it restores archived runs, then it writes changes."""

    def __init__(self, store: ArchivedStore, storage: JournalStorage) -> None:
        self.restored = threading.Event()
        self._store = store
        self._storage = storage
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._unwritten: list[_Change] = []
        self._archived: set[str] = set()  # runs in the journal
        self._deleted: set[str] = set()  # runs that were deleted before the journal was read
        self._problem = ""  # why the journal cannot be written at the moment
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def add_run(self, run_id: str) -> None:
        """Archive a run that ended. Never blocks."""
        self._changes.put(_Change(run_id))

    def publish(self, run_id: str, published: bool) -> None:
        """Archive that a run was published or hidden. Never blocks."""
        self._changes.put(_Change(run_id, published=published))

    def delete(self, run_id: str) -> None:
        """Archive that a run was deleted. Never blocks."""
        if not self.restored.is_set():
            self._deleted.add(run_id)
        self._changes.put(_Change(run_id, deleted=True))

    def vote(self, vote: Vote) -> None:
        """Archive a vote. Never blocks."""
        self._changes.put(_Change(vote=vote))

    def close(self) -> None:
        """Write what is left and stop; waits at most a minute for a volume or network that hangs."""
        self._changes.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        going = True
        while going:
            try:
                if not self.restored.is_set():
                    self._restore()
                self._write()
            except Exception as error:  # noqa: BLE001 (a volume, a network and the Hub's client fail in many ways)
                problem = _in_a_line(error)
                if problem != self._problem:
                    logger.warning("the archive of runs cannot be reached at the moment: %s", problem)
                self._problem = problem
            else:
                self._problem = ""
            going = self._gather()
        try:
            self._write()
            self._storage.close()
            self._problem = "" if not self._unwritten else self._problem
        except Exception as error:  # noqa: BLE001 (see above)
            self._problem = _in_a_line(error)
        if self._unwritten or self._problem:
            logger.error("some changes did not reach the archive of runs: %s", self._problem)

    def _gather(self) -> bool:
        """Wait for a change, or until it is time to retry; return False at the end."""
        waiting = RETRY_SECONDS if self._unwritten or not self.restored.is_set() else None
        try:
            change = self._changes.get(timeout=waiting)
            while change is not None:
                self._unwritten.append(change)
                change = self._changes.get_nowait()
        except queue.Empty:
            return True
        return False

    def _restore(self) -> None:
        contents = self._storage.open()
        self._archived.update(contents.runs)
        for run_id in contents.runs:
            try:
                if run_id not in self._deleted:
                    self._store.restore(contents.run(run_id))
            except ParleyError as error:
                logger.warning("not restored from the archive: %s", error)
        self._store.restore_votes([vote for _, vote in contents.votes.values()])
        logger.info("the archive has %s runs", len(contents.runs))
        self.restored.set()

    def _write(self) -> None:
        if not self._unwritten or not self.restored.is_set():
            return
        archived = set(self._archived)
        self._storage.journal.add([line for change in self._unwritten for line in self._lines(change, archived)])
        self._archived = archived  # only now that the lines are written, or a retry would leave some out
        self._unwritten.clear()

    def _lines(self, change: _Change, archived: set[str]) -> Iterator[Line]:
        """Yield the journal lines of a change, and update the ids in `archived`.

        A public journal contains published runs only, without owners or voters.
        """
        private = self._storage.private
        if change.vote is not None:
            if private:
                yield vote_line(change.vote)
        elif change.deleted or (change.published is False and not private):
            if change.run_id in archived:  # else this would reveal its id, which is a secret
                archived.discard(change.run_id)
                yield deleted_line(change.run_id)
        elif change.published is not None and change.run_id in archived:
            yield published_line(change.run_id, change.published)
        else:
            try:
                run = self._store.run(change.run_id)
            except UnknownRun:
                return  # it has been deleted
            if run.status != "running" and (private or run.published):
                archived.add(change.run_id)
                yield run_line(run if private else replace(run, owner=None))


def _in_a_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
