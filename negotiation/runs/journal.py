"""A journal of runs: files of JSON lines in a folder, to which lines are only ever added.

Each process writes a file of its own, so several may keep one folder, and a volume that cannot lock files or share
memory, like a mounted bucket, does as well as a disk. A file is opened, added to, flushed and closed each time. What a
crash left half-written is skipped when the journal is read. Knows nothing of databases, threads or networks.
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
from negotiation.runs.record import Run
from negotiation.runs.rows import run_row
from negotiation.runs.store import Choice, Vote

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
FILES = 64
"""A journal of more files than this is written anew as one."""

Line = Mapping[str, Any]


def run_line(run: Run) -> Line:
    """A run that ended, with its turns."""
    return {"kind": "run", "at": time.time(), **run_row(run), "turns": turns_to_json(run.turns)}


def published_line(run_id: str, published: bool) -> Line:
    """A run was published, or is no longer."""
    return {"kind": "published", "at": time.time(), "run_id": run_id, "published": published}


def deleted_line(run_id: str) -> Line:
    """A run was deleted; what was said of it before no longer counts."""
    return {"kind": "deleted", "at": time.time(), "run_id": run_id}


def vote_line(vote: Vote) -> Line:
    """Somebody voted; a voter's later vote on the same comparison counts instead."""
    return {"kind": "vote", "at": time.time(), **asdict(vote)}


class LineLocation(NamedTuple):
    """Where the newest line about something is."""

    at: float
    file: Path
    offset: int


@dataclass
class Contents:
    """What a journal says, all its files together; runs are read one by one, as they may be many."""

    files: list[Path] = field(default_factory=list)
    runs: dict[str, LineLocation] = field(default_factory=dict)
    published: dict[str, tuple[float, bool]] = field(default_factory=dict)
    deleted: dict[str, float] = field(default_factory=dict)
    votes: dict[tuple[str, str], tuple[float, Vote]] = field(default_factory=dict)
    remains: bool = False  # texts of deleted runs are still in it

    @property
    def untidy(self) -> bool:
        """Whether it should be written anew: what was deleted is still in it, or it is in too many files."""
        return self.remains or len(self.files) > FILES

    def run(self, run_id: str) -> Run:
        """A run as it was last; raises StoreError if its line cannot be read."""
        place = self.runs[run_id]
        try:
            with place.file.open("rb") as file:
                file.seek(place.offset)
                line = read_line(file.readline())
        except (OSError, *UNREADABLE) as error:
            raise StoreError(f"run '{run_id}' cannot be read from {place.file.name}: {error}") from None
        run = run_from_line(line)
        at, published = self.published.get(run_id, (0.0, False))
        return replace(run, published=published) if at > place.at else run

    def lines(self) -> Iterator[Line]:
        """What still counts, as lines of a new journal."""
        for run_id in self.runs:
            try:
                yield run_line(self.run(run_id))
            except StoreError as error:
                logger.warning("left out of the journal: %s", error)
        yield from (deleted_line(run_id) for run_id in self.deleted if run_id not in self.runs)
        yield from (vote_line(vote) for _, vote in self.votes.values())

    def note(self, line: Line, place: LineLocation) -> None:
        """Take in a line; raises one of `UNREADABLE` for one that makes no sense."""
        kind, run_id, at = line["kind"], str(line.get("run_id")), place.at
        if kind == "run" and at >= self.runs.get(run_id, place).at:
            self.runs[run_id] = place
        elif kind == "published" and at >= self.published.get(run_id, (0.0, False))[0]:
            self.published[run_id] = at, bool(line["published"])
        elif kind == "deleted":
            self.deleted[run_id] = max(at, self.deleted.get(run_id, at))
        elif kind == "vote":
            vote = Vote(str(line["comparison"]), str(line["voter"]), line["choice"], bool(line["blind"]))
            if vote.choice not in get_args(Choice):
                raise ValueError("it is no vote")
            key = vote.comparison, vote.voter
            if at >= self.votes.get(key, (0.0, vote))[0]:
                self.votes[key] = at, vote


class Journal:
    """The journal in a folder, and this process's own file in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = folder / new_name()
        self._torn = False  # whether what was added last may have come half

    def add(self, lines: Iterable[Line]) -> None:
        """Add lines to the own file and see to it that they stay; raises OSError."""
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
        """Write what still counts into one new file, then remove the files that it was read from; raises OSError.

        Whatever happens in between, nothing is lost: what is said twice counts once.
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
    """A file name that nobody else takes; names sort by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}{SUFFIX}"


def make_private(folder: Path) -> None:
    """Make a folder that only this user of the machine can look into, if it is not there; raises OSError."""
    folder.mkdir(0o700, parents=True, exist_ok=True)


def read_journal(folder: Path) -> Contents:
    """What the files in a folder say, broken lines left out; raises OSError if they cannot be read."""
    found = Contents()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        found.files.append(path)
        broken = 0
        with path.open("rb") as file:
            offset = 0
            for raw in file:
                try:
                    line = read_line(raw)
                    found.note(line, LineLocation(float(line["at"]), path, offset))
                except UNREADABLE:
                    broken += not raw.isspace()  # an empty line ends what may have come half
                offset += len(raw)
        if broken:
            logger.warning("%s: %s of its lines cannot be read and are skipped", path.name, broken)
    for run_id, at in found.deleted.items():
        if run_id in found.runs and found.runs[run_id].at <= at:
            found.remains = True
            del found.runs[run_id]
    return found
