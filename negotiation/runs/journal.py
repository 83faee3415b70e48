"""A journal of runs: append-only files of JSON lines in a folder.

Each process writes its own file, so several can share a folder, and a mounted bucket that supports neither file locks
nor shared memory will do. A file is opened, appended to, flushed and closed each time. Lines that a crash left
half-written are skipped when the journal is read.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from negotiation.errors import StoreError
from negotiation.runs.codec import UNREADABLE, turns_to_json
from negotiation.runs.journal_reader import read_line, run_from_line
from negotiation.runs.owners import without_secret
from negotiation.runs.record import Run
from negotiation.runs.rows import run_row
from negotiation.runs.store import Choice, Vote

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
FILES = 64
"""A journal of more files is merged into one."""

Line = Mapping[str, Any]


def run_line(run: Run) -> Line:
    """Return the line for a run that ended, with its turns."""
    return {"kind": "run", "at": time.time(), **run_row(run), "turns": turns_to_json(run.turns)}


def published_line(run_id: str, published: bool) -> Line:
    """Return the line for a run that was published or hidden."""
    return {"kind": "published", "at": time.time(), "run_id": run_id, "published": published}


def deleted_line(run_id: str) -> Line:
    """Return the line for a run that was deleted; earlier lines about it no longer count."""
    return {"kind": "deleted", "at": time.time(), "run_id": run_id}


def vote_line(vote: Vote) -> Line:
    """Return the line for a vote; it replaces the voter's earlier vote on the same comparison."""
    return {"kind": "vote", "at": time.time(), **asdict(vote)}


class LineLocation(NamedTuple):
    """The position of a line; `at` is when it was written."""

    at: float
    file: Path
    offset: int


@dataclass
class Contents:
    """The contents of all files of a journal; runs are read one by one on demand, as there may be many."""

    files: list[Path] = field(default_factory=list)
    runs: dict[str, LineLocation] = field(default_factory=dict)
    published: dict[str, tuple[float, bool]] = field(default_factory=dict)
    deleted: dict[str, float] = field(default_factory=dict)
    votes: dict[tuple[str, str], tuple[float, Vote]] = field(default_factory=dict)
    has_deleted: bool = False  # it still contains texts of deleted runs
    has_secrets: bool = False  # it still contains what was once in visitors' cookies

    @property
    def untidy(self) -> bool:
        """Whether to rewrite it: it contains what it must not, or has too many files."""
        return self.has_deleted or self.has_secrets or len(self.files) > FILES

    def run(self, run_id: str) -> Run:
        """Return a run in its latest state; raises StoreError if its line cannot be read."""
        location = self.runs[run_id]
        try:
            with location.file.open("rb") as file:
                file.seek(location.offset)
                line = read_line(file.readline())
        except (OSError, *UNREADABLE) as error:
            raise StoreError(f"run '{run_id}' cannot be read from {location.file.name}: {error}") from None
        run = run_from_line(line)
        at, published = self.published.get(run_id, (0.0, False))
        return replace(run, published=published) if at > location.at else run

    def lines(self) -> Iterator[Line]:
        """Yield everything that still counts, as lines of a new journal."""
        for run_id in self.runs:
            try:
                yield run_line(self.run(run_id))
            except StoreError as error:
                logger.warning("left out of the journal: %s", error)
        yield from (deleted_line(run_id) for run_id in self.deleted if run_id not in self.runs)
        yield from (vote_line(vote) for _, vote in self.votes.values())

    def add(self, line: Line, location: LineLocation) -> None:
        """Take in a line; raises one of `UNREADABLE` if it makes no sense."""
        kind, run_id, at = line["kind"], str(line.get("run_id")), location.at
        names = [name for key in ("owner", "voter") if isinstance(name := line.get(key), str)]
        self.has_secrets |= any(without_secret(name) != name for name in names)
        if kind == "run" and at >= self.runs.get(run_id, location).at:
            self.runs[run_id] = location
        elif kind == "published" and at >= self.published.get(run_id, (0.0, False))[0]:
            self.published[run_id] = at, bool(line["published"])
        elif kind == "deleted":
            self.deleted[run_id] = max(at, self.deleted.get(run_id, at))
        elif kind == "vote":
            vote = Vote(
                str(line["comparison"]), without_secret(str(line["voter"])), line["choice"], bool(line["blind"])
            )
            if vote.choice not in get_args(Choice):
                raise ValueError("not a vote")
            key = vote.comparison, vote.voter
            if at >= self.votes.get(key, (0.0, vote))[0]:
                self.votes[key] = at, vote


class Journal:
    """A journal in a folder, with this process's own file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = folder / new_name()
        self._torn = False  # whether the last line may be incomplete

    def add(self, lines: Iterable[Line]) -> None:
        """Append lines to this process's file and sync it to disk; raises OSError."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        if not text:
            return
        text = "\n" * self._torn + text
        self._torn = True
        make_private(self.folder)
        with self.own.open("a", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._torn = False

    def rewrite(self, contents: Contents) -> None:
        """Write everything that still counts to one new file, then remove the old files; raises OSError.

        A crash in between loses nothing: lines that occur twice count once.
        """
        before, self.own = self.own, self.folder / new_name()
        try:
            for line in contents.lines():
                self.add([line])
        except OSError:
            self.own.unlink(missing_ok=True)
            self.own = before
            raise
        for path in contents.files:
            path.unlink(missing_ok=True)


def new_name() -> str:
    """Return a unique file name; names sort by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}{SUFFIX}"


def make_private(folder: Path) -> None:
    """Create a folder that only this user can read, unless it exists; raises OSError."""
    folder.mkdir(0o700, parents=True, exist_ok=True)


def read_journal(folder: Path) -> Contents:
    """Read the files in a folder, skipping broken lines; raises OSError if they cannot be read."""
    found = Contents()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        found.files.append(path)
        broken = 0
        with path.open("rb") as file:
            offset = 0
            for raw in file:
                try:
                    line = read_line(raw)
                    found.add(line, LineLocation(float(line["at"]), path, offset))
                except UNREADABLE:
                    broken += not raw.isspace()  # an empty line follows one that may be incomplete
                offset += len(raw)
        if broken:
            logger.warning("%s: %s of its lines cannot be read and are skipped", path.name, broken)
    for run_id, at in found.deleted.items():
        if run_id in found.runs and found.runs[run_id].at <= at:
            found.has_deleted = True
            del found.runs[run_id]
    return found
