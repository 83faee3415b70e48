"""An archive beside the database: what becomes of runs is also kept where it outlives the machine, and read back.

For machines whose own disk is lost at a restart, like a Space's. The database stays on that disk, because a mounted
bucket neither locks files nor shares memory as SQLite needs it; what outlives it is a journal (`journal.py`), in a
mounted folder or in a dataset repository (`dataset.py`). A thread does the work: nobody waits for a volume or network.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
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
    """Where a journal is kept."""

    private: bool
    """Whether only the owner of this installation can read it; else only what visitors published may be kept."""
    journal: Journal

    def open(self) -> Contents:
        """What was kept so far; raises OSError and the like while it cannot be reached, and may be called again."""

    def close(self) -> None:
        """See to it that everything arrives, and stop."""


class FolderStorage:
    """A folder that outlives the machine: a mounted bucket or volume."""

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
    """A store whose ended runs, and what becomes of them, are archived, too."""

    def __init__(self, url: str, storage: JournalStorage) -> None:
        super().__init__(url)
        self.archive = Archive(self, storage)

    def record(self, run: Run) -> None:
        super().record(run)
        self.archive.note(run.run_id)

    def end(self, run_id: str, ended: Ended | Halted) -> None:
        super().end(run_id, ended)
        self.archive.note(run_id)

    def publish(self, run_id: str, *, published: bool, owner: str | None = None) -> None:
        super().publish(run_id, published=published, owner=owner)
        self.archive.note(run_id, published=published)

    def delete(self, run_id: str, *, owner: str | None = None) -> None:
        super().delete(run_id, owner=owner)
        self.archive.note(run_id, deleted=True)

    def vote(self, vote: Vote) -> None:
        super().vote(vote)
        self.archive.note_vote(vote)

    def restore(self, run: Run) -> None:
        """Take in a run from the archive, unless it is here already."""
        try:
            self.run(run.run_id)
        except UnknownRun:
            super().record(run)

    def restore_votes(self, votes: list[Vote]) -> None:
        """Take in votes from the archive; those that are here already count."""
        here = {(vote.comparison, vote.voter) for vote in self.votes()}
        for vote in votes:
            if (vote.comparison, vote.voter) not in here:
                super().vote(vote)

    def close(self) -> None:
        self.archive.close()
        super().close()


class _Note:
    """Something that happened to a run and is to be kept."""

    def __init__(self, run_id: str, published: bool | None, deleted: bool, vote: Vote | None = None) -> None:
        self.run_id, self.published, self.deleted, self.vote = run_id, published, deleted, vote


class Archive:
    """The thread that keeps the journal of a store: first it reads back what was kept, then it writes what happens."""

    def __init__(self, store: ArchivedStore, storage: JournalStorage) -> None:
        self.restored = threading.Event()
        self._store = store
        self._storage = storage
        self._notes: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._undone: list[_Note] = []
        self._kept: set[str] = set()  # runs that the journal tells of
        self._deleted: set[str] = set()  # runs that were deleted before the journal was read
        self._told = ""  # what is wrong at the moment
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def note(self, run_id: str, *, published: bool | None = None, deleted: bool = False) -> None:
        """A run ended, or was published, hidden or deleted. Never waits."""
        if deleted and not self.restored.is_set():
            self._deleted.add(run_id)
        self._notes.put(_Note(run_id, published, deleted))

    def note_vote(self, vote: Vote) -> None:
        """Somebody voted. Never waits."""
        self._notes.put(_Note("", None, deleted=False, vote=vote))

    def close(self) -> None:
        """Write what is left and stop; a volume or network that hangs is not waited for longer than a minute."""
        self._notes.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        going = True
        while going:
            try:
                if not self.restored.is_set():
                    self._restore()
                self._write()
            except Exception as error:  # noqa: BLE001 (a volume, a network and the Hub's client fail in many ways)
                told = _in_a_line(error)
                if told != self._told:
                    logger.warning("the archive of runs cannot be kept at the moment: %s", told)
                self._told = told
            else:
                self._told = ""
            going = self._gather()
        try:
            self._write()
            self._storage.close()
            self._told = "" if not self._undone else self._told
        except Exception as error:  # noqa: BLE001 (see above)
            self._told = _in_a_line(error)
        if self._undone or self._told:
            logger.error("what was left for the archive of runs is lost: %s", self._told)

    def _gather(self) -> bool:
        """Wait until something happened, or something undone is to be tried again; False at the end."""
        waiting = RETRY_SECONDS if self._undone or not self.restored.is_set() else None
        try:
            note = self._notes.get(timeout=waiting)
            while note is not None:
                self._undone.append(note)
                note = self._notes.get_nowait()
        except queue.Empty:
            return True
        return False

    def _restore(self) -> None:
        contents = self._storage.open()
        self._kept.update(contents.runs)
        for run_id in contents.runs:
            try:
                if run_id not in self._deleted:
                    self._store.restore(contents.run(run_id))
            except ParleyError as error:
                logger.warning("not read back from the archive: %s", error)
        self._store.restore_votes([vote for _, vote in contents.votes.values()])
        logger.info("the archive of runs holds %s", len(contents.runs))
        self.restored.set()

    def _write(self) -> None:
        if not self._undone or not self.restored.is_set():
            return
        kept = set(self._kept)
        self._storage.journal.add([line for note in self._undone for line in self._lines(note, kept)])
        self._kept = kept  # not before the lines are there: else another try would leave some out
        self._undone.clear()

    def _lines(self, note: _Note, kept: set[str]) -> Iterator[Line]:
        """What is kept of a note; `kept` becomes what the journal tells of then.

        What others may read holds published runs only, and nobody's cookies.
        """
        private = self._storage.private
        if note.vote is not None:
            if private:
                yield vote_line(note.vote)
        elif note.deleted or (note.published is False and not private):
            if note.run_id in kept:  # else its id, which is its secret, would be told
                kept.discard(note.run_id)
                yield deleted_line(note.run_id)
        elif note.published is not None and note.run_id in kept:
            yield published_line(note.run_id, note.published)
        else:
            try:
                run = self._store.run(note.run_id)
            except UnknownRun:
                return  # deleted meanwhile
            if run.status != "running" and (private or run.published):
                kept.add(note.run_id)
                yield run_line(run if private else replace(run, owner=None))


def _in_a_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
