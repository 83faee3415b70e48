"""The rows of one model: which may write now, what each pass shows the model, and what becomes of what it answers.

Every pass takes a token (or those that a grammar forced) of each row that is writing, and a piece of the prompts that
still have to be read, so that a long prompt holds nobody up. Knows no threads; who calls `step` is `engine.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from manager.errors import Cancelled, Failure, GenerationFailed, OutOfMemory, ParleyError
from manager.generation.kv import Memo, Shelf
from manager.generation.row import Row
from manager.generation.sampling import pick_tokens
from manager.generation.stream import cancelled
from manager.generation.team import Team

MAX_ROWS = 64
CHUNK = 128
"""Tokens of prompts that are read in one pass while others write; four times as many while nobody does."""
AHEAD = 128
"""A row is let in when there is room for so many tokens more than it has."""


class Runner(Protocol):
    """What computes logits, and keys and values: `flat.py` for many rows at once, `solo.py` one by one."""

    together: bool

    def new(self) -> Memo:
        """An empty memo."""

    def bytes_for(self, length: int) -> int:
        """How large a memo of `length` tokens becomes at most."""

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Logits [parts, vocabulary] after each part's tokens, which its memo then holds, too."""


Part = tuple[Row, list[int]]


class Batch:
    """Rows that write, and rows that wait for room.

    Keys and values of the rows and of what the shelf keeps take at most `writing_bytes` and the shelf's limit together
    (unless a single row needs more): what is kept goes first, then the youngest row waits until there is room again.
    """

    def __init__(self, runner: Runner, shelf: Shelf, writing_bytes: int, team: Team | None = None) -> None:
        self._runner = runner
        self._team = team
        self._shelf = shelf
        self._writing_bytes = writing_bytes
        self.waiting: list[Row] = []
        self.rows: list[Row] = []

    def __len__(self) -> int:
        return len(self.rows) + len(self.waiting)

    def add(self, row: Row) -> None:
        """Let a row write as soon as there is room; one that its grammar completed already just ends."""
        if row.completion is not None:
            row.stream.finish(row.completion)
        else:
            self.waiting.append(row)

    def end_all(self, error: ParleyError | None = None) -> None:
        """End every row, as cancelled if nothing else is said; nothing is kept of what an error ended."""
        for row in (*self.rows, *self.waiting):
            self._end(row, error or cancelled())
        if error is not None:
            self._shelf.trim(0)

    def step(self) -> None:
        """One pass: the model sees what is new, and every row that has shown it all gets a token."""
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
        """Let rows in, first come first served, while there is room; hold back the youngest when it runs out."""
        budget = self._writing_bytes + self._shelf.limit
        needed = [self._needed(row) for row in self.rows]
        while len(self.rows) > 1 and sum(needed) > budget:
            needed.pop()
            row = self.rows.pop()
            self.waiting.insert(0, row)
            self._put_away(row)
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
        """What each row shows the model now, together and alone: all that is new, or a piece of its prompt."""
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
        """Give a row its memo; False while another one is reading the same text, which can then be copied."""
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
        """Logits [vocabulary] for each part's row. Where a pass breaks, only the rows that break it end."""
        try:
            logits = self._run([(_memo(row), tokens) for row, tokens in parts])
            return [(row, row_logits) for (row, _), row_logits in zip(parts, logits, strict=True)]
        except BaseException as error:  # noqa: BLE001 (streams must end, and the others must go on)
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
        self._team.begin(len(parts), sum(len(tokens) for _, tokens in parts))
        try:
            return self._runner.run(parts)
        finally:
            self._team.end()

    def _choose(self, ready: list[tuple[Row, torch.Tensor]]) -> None:
        """Draw the next token of each row and have it go on."""
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

    def _put_away(self, row: Row) -> None:
        """Keep what was computed for a row that does not go on now."""
        if row.memo is not None and row.memo.tokens:
            self._shelf.put(row.memo)
        row.memo, row.reading = None, True

    def _end(self, row: Row, error: BaseException | None = None) -> None:
        """Let a row go: first what it computed is kept, then whoever waits for it is told.

        Where it broke, what it computed may be why (numbers that are none), and nobody shall go on from there.
        """
        (self.rows if row in self.rows else self.waiting).remove(row)
        if error is not None and not isinstance(error, Cancelled):
            row.memo = None
        self._put_away(row)
        if error is not None:
            row.stream.fail(error)
        elif row.completion is not None:
            row.stream.finish(row.completion)


def _memo(row: Row) -> Memo:
    assert row.memo is not None
    return row.memo


def failure_of(error: BaseException) -> Failure:
    """An error as a value, which keeps nothing alive that it went through."""
    if isinstance(error, torch.OutOfMemoryError):
        return Failure(OutOfMemory, "the device ran out of memory while writing; use shorter contexts or fewer models")
    return Failure.of(error, GenerationFailed)
