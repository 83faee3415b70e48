"""The batch of one model: which rows may write, what each pass feeds to the model, and what follows from its output.

Every pass feeds one token (or those forced by a grammar) of each writing row, and a piece of the prompts still to be
read, so that a long prompt delays no other row. There are no threads here; `engine.py` calls `step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol

import torch

from manager.errors import Cancelled, Failure, GenerationFailed, OutOfMemory, ParleyError
from manager.generation.forward.kv import Memo, Shelf
from manager.generation.forward.team import Team
from manager.generation.row import Row
from manager.generation.sampling import pick_tokens
from manager.generation.stream import cancelled

MAX_ROWS = 64
CHUNK = 128
"""Tokens of prompts read in one pass while other rows write; four times as many while none does."""
AHEAD = 128
"""A row is admitted when there is room for this many more tokens than it has."""


class Runner(Protocol):
    """Computes logits, keys and values: `flat.py` for many rows at once, `solo.py` one by one."""

    together: bool

    def new(self) -> Memo:
        """Return an empty memo."""

    def bytes_for(self, length: int) -> int:
        """Return the largest size of a memo of `length` tokens, in bytes."""

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Return logits [parts, vocabulary] after each part's tokens, and add these to its memo."""


Part = tuple[Row, list[int]]

_numbers = count()


class Batch:
    """Rows that write, and rows that wait for memory.

    The keys and values of rows and shelf together take at most `writing_bytes` plus the shelf's limit, unless a single
    row needs more. When memory runs out, the shelf is trimmed first; then the youngest row waits until there is room.
    """

    def __init__(self, runner: Runner, shelf: Shelf, writing_bytes: int, team: Team | None = None) -> None:
        self._runner = runner
        self._team = team
        self._number = next(_numbers)
        self._shelf = shelf
        self._writing_bytes = writing_bytes
        self.waiting: list[Row] = []
        self.rows: list[Row] = []

    def __len__(self) -> int:
        return len(self.rows) + len(self.waiting)

    def add(self, row: Row) -> None:
        """Queue a row. One that its grammar has already completed ends at once."""
        if row.completion is not None:
            row.stream.finish(row.completion)
        else:
            self.waiting.append(row)

    def end_all(self, error: ParleyError | None = None) -> None:
        """End every row with an error (default: Cancelled). After any other error, the shelf is emptied."""
        for row in (*self.rows, *self.waiting):
            self._end(row, error or cancelled())
        if error is not None:
            self._shelf.trim(0)

    def step(self) -> None:
        """Do one pass: feed new tokens to the model, and choose the next token of each row that was read."""
        for row in [row for row in (*self.rows, *self.waiting) if row.stream.cancel_token.cancelled]:
            self._end(row, cancelled())
        self._make_room()
        together, alone = self._plan()
        computed = self._computed(together) if together else []
        for part in alone:
            computed += self._computed([part])
        ready = [(row, logits) for row, logits in computed if not row.pending]
        if ready:
            self._choose(ready)

    def _make_room(self) -> None:
        """Admit rows in order of arrival while there is memory, and suspend the youngest when it runs out."""
        budget = self._writing_bytes + self._shelf.limit
        needed = [self._needed(row) for row in self.rows]
        while len(self.rows) > 1 and sum(needed) > budget:
            needed.pop()
            row = self.rows.pop()
            self.waiting.insert(0, row)
            self._shelve(row)
        while self.waiting and len(self.rows) < MAX_ROWS:
            size = self._needed(self.waiting[0], AHEAD)
            if self.rows and sum(needed) + size > budget:
                break
            needed.append(size)
            self.rows.append(self.waiting.pop(0))
        self._shelf.trim(max(0, budget - sum(needed)))

    def _needed(self, row: Row, ahead: int = 0) -> int:
        held = row.memo.bytes if row.memo is not None else 0
        return max(held, self._runner.bytes_for(min(len(row.tokens) + ahead, row.longest)))

    def _plan(self) -> tuple[list[Part], list[Part]]:
        """Return what to feed for each row, together and alone: its new tokens, or a piece of its prompt."""
        together: list[Part] = []
        alone: list[Part] = []
        budget = 4 * CHUNK if all(row.reading for row in self.rows) else CHUNK
        for row in self.rows:
            if row.memo is None and (budget <= 0 or not self._begin(row)):
                continue
            assert row.memo is not None
            new = row.tokens[len(row.memo.tokens) :]
            if row.reproducible:
                alone.append((row, new[:CHUNK]))
                continue
            if row.reading:
                new = new[:budget]
                budget -= len(new)
            if new:
                (together if self._runner.together else alone).append((row, new))
        return together, alone

    def _begin(self, row: Row) -> bool:
        """Give a row its memo. Return False while another row reads the same text, which can be copied later."""
        memo: Memo | None = None
        if not row.reproducible:
            busy = [other.memo for other in self.rows if other.memo is not None]
            if any(other.memo is not None and other.about_to_read(row.tokens) for other in self.rows):
                return False
            memo = self._shelf.best(row.tokens, row.conversation, busy)
        row.memo = memo or self._runner.new()
        row.memo.conversation = row.conversation
        return True

    def _computed(self, parts: list[Part]) -> list[tuple[Row, torch.Tensor]]:
        """Return logits [vocabulary] for each part's row. If a pass fails, only the rows that cause the failure end."""
        try:
            logits = self._run([(_memo(row), tokens) for row, tokens in parts])
            return [(row, row_logits) for (row, _), row_logits in zip(parts, logits, strict=True)]
        except BaseException as error:  # noqa: BLE001 (streams must end, and other rows must go on)
            failure = failure_of(error)
        if failure.kind is OutOfMemory:
            self._shelf.trim(0)
        if len(parts) > 1:
            return [found for part in parts for found in self._computed([part])]
        self._end(parts[0][0], failure.error())
        return []

    def _run(self, parts: list[tuple[Memo, list[int]]]) -> torch.Tensor:
        if self._team is None:
            return self._runner.run(parts)
        self._team.begin(len(parts), sum(len(tokens) for _, tokens in parts), self._number)
        try:
            logits = self._runner.run(parts)
        except BaseException:
            self._team.abandon()
            raise
        self._team.end()
        return logits

    def _choose(self, ready: list[tuple[Row, torch.Tensor]]) -> None:
        """Choose the next token of each row, and append it."""
        rows = [row for row, _ in ready]
        try:
            allowed = None
            if matcher := next((row.matcher for row in rows if row.matcher), None):
                allowed = matcher.compiler.allowed([row.matcher for row in rows])
            logits = torch.stack([row_logits for _, row_logits in ready])
            tokens = pick_tokens(logits, [row.sampler for row in rows], [row.written for row in rows], allowed)
        except BaseException as error:  # noqa: BLE001 (streams must end, and the others must go on)
            if len(ready) == 1:
                self._end(rows[0], error)
                return
            tokens = []
        if not tokens:
            for one in ready:
                self._choose([one])
        for row, token in zip(rows, tokens, strict=False):
            row.reading = False
            try:
                row.take(token)
            except BaseException as error:  # noqa: BLE001 (the others must go on)
                self._end(row, error)
            else:
                if row.completion is not None:
                    self._end(row)

    def _shelve(self, row: Row) -> None:
        """Put the memo of a row that does not continue now on the shelf."""
        if row.memo is not None and row.memo.tokens:
            self._shelf.put(row.memo)
        row.memo, row.reading = None, True

    def _end(self, row: Row, error: BaseException | None = None) -> None:
        """Remove a row: shelve its memo, then end its stream.

        After an error, the memo is dropped, as its numbers may be the reason (NaN).
        """
        (self.rows if row in self.rows else self.waiting).remove(row)
        if error is not None and not isinstance(error, Cancelled):
            row.memo = None
        self._shelve(row)
        if error is not None:
            row.stream.fail(error)
        elif row.completion is not None:
            row.stream.finish(row.completion)


def _memo(row: Row) -> Memo:
    assert row.memo is not None
    return row.memo


def failure_of(error: BaseException) -> Failure:
    """Return an error as a value, which keeps no tensors alive."""
    if isinstance(error, torch.OutOfMemoryError):
        return Failure(
            OutOfMemory, "the device ran out of memory while generating; use shorter contexts or fewer models"
        )
    return Failure.of(error, GenerationFailed)
