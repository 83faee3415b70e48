"""A queue in which visitors take turns, so that one with fifty entries gets no more turns than one with a single entry.

Not thread-safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class FairQueue(Generic[Entry]):
    """Entries by visitor. Visitors are served in rotation, and each one's entries in order."""

    def __init__(self) -> None:
        self._rows: dict[str, deque[Entry]] = {}

    def add(self, visitor: str, entry: Entry, *, first: bool = False) -> None:
        """Add an entry behind, or with `first` before, the visitor's others."""
        row = self._rows.setdefault(visitor, deque())
        row.appendleft(entry) if first else row.append(entry)

    def remove(self, visitor: str, entry: Entry) -> None:
        """Remove an entry."""
        self._rows[visitor].remove(entry)
        if not self._rows[visitor]:
            del self._rows[visitor]

    def rotate(self, visitor: str) -> None:
        """Move a visitor who had a turn behind all others."""
        if visitor in self._rows:
            self._rows[visitor] = self._rows.pop(visitor)

    def next(self, may_start: Callable[[Entry], bool]) -> Entry | None:
        """Return the first entry of the first visitor whose entry may start; it stays in the queue."""
        return next((row[0] for row in self._rows.values() if may_start(row[0])), None)

    def in_order(self) -> Iterator[tuple[int, Entry]]:
        """Yield everything in the order in which it would start, with the number of the visitor's entries before it."""
        rows = [list(row) for row in self._rows.values()]
        for turn in range(max(map(len, rows), default=0)):
            yield from ((turn, row[turn]) for row in rows if turn < len(row))
