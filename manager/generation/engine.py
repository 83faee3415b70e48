"""The loop that runs a model: one thread per resident weights, requests join and leave between tokens.

Every pass of the model takes a token (or those that a grammar forced) of each row that is writing, and a piece of the
prompts that still have to be read, so that a long prompt holds nobody up. Knows transformers models and tokenizers;
nothing of where they came from or who asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import torch

from manager.errors import Failure, GenerationFailed, OutOfMemory
from manager.generation.flat import flat_runner
from manager.generation.grammar import GrammarCompiler
from manager.generation.kv import Memo, Shelf
from manager.generation.request import GenerationRequest
from manager.generation.row import Arrival, Row
from manager.generation.sampling import pick_tokens
from manager.generation.solo import SoloRunner
from manager.generation.stream import TokenStream, cancelled
from manager.generation.text import ChatTemplate

MAX_ROWS = 64
CHUNK = 128
"""Tokens of prompts that are read in one pass while others write; alone a prompt is read four times as fast."""
CACHE_BYTES = 1 << 30
"""For keys and values, unless the backend says otherwise."""


class Runner(Protocol):
    """What computes logits, and keys and values: `flat.py` for many rows at once, `solo.py` one by one."""

    together: bool

    def new(self) -> Memo:
        """An empty memo."""

    def bytes_for(self, length: int) -> int:
        """How large a memo of `length` tokens becomes at most."""

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Logits [parts, vocabulary] after each part's tokens, which its memo then holds, too."""


class Turns:
    """Lets threads in one at a time, in the order in which they came.

    Engines on the CPU take turns pass by pass: each pass uses all cores, and two at once slow each other down.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = self._now = 0

    def __enter__(self) -> None:
        with self._changed:
            mine, self._next = self._next, self._next + 1
            self._changed.wait_for(lambda: self._now == mine)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._now += 1
            self._changed.notify_all()


CPU_TURNS = Turns()


class Engine:
    """Writes for all requests of one model. Every stream it was given ends.

    Keys and values take at most `cache_bytes` in all: rows wait until there is room for theirs, and what is kept of
    conversations between turns goes first.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, cache_bytes: int = CACHE_BYTES) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.context = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)
        self.end_tokens = _end_tokens(model, tokenizer)
        self.runner: Runner = flat_runner(model) or SoloRunner(model)
        self.shelf = Shelf()
        self._budget = cache_bytes
        self._vocabulary = int(model.config.get_text_config().vocab_size)
        self._turns: AbstractContextManager[None] = CPU_TURNS if model.device.type == "cpu" else nullcontext()
        self._grammars: GrammarCompiler | None = None
        self._waiting: list[Row] = []  # these two belong to the thread
        self._rows: list[Row] = []
        self._changed = threading.Condition()
        self._arrived: list[Arrival] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Begin to write for `request` as soon as the loop comes round."""
        with self._changed:
            if self._closed:
                raise GenerationFailed("the weights were unloaded")
            self._arrived.append(Arrival(request, stream, time.monotonic()))
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams and the thread, and forget all keys and values."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.shelf.trim(0)

    @property
    def cache_bytes(self) -> int:
        """Memory that the keys and values kept between turns take now."""
        return self.shelf.bytes

    def trim_cache(self, to_bytes: int) -> None:
        """Forget kept keys and values, least recently used first, until they take at most `to_bytes`."""
        self.shelf.trim(to_bytes)

    # -- the loop ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                with self._changed:
                    while not (self._rows or self._waiting or self._arrived or self._closed):
                        self._changed.wait()
                    arrived, self._arrived = self._arrived, []
                    if self._closed:
                        break
                for arrival in arrived:
                    self._guard(arrival.stream, partial(self._arrive, arrival))
                self._admit()
                self._pass()
        for row in (*self._rows, *self._waiting):
            self._end(row, cancelled())
        for arrival in arrived:
            arrival.stream.fail(cancelled())

    def _arrive(self, arrival: Arrival) -> None:
        request = arrival.request
        prompt = self.template.encode(request.messages)
        matcher = None
        if request.grammar is not None and request.constrained:
            if self._grammars is None:
                self._grammars = GrammarCompiler(self.tokenizer, self._vocabulary)
            matcher = self._grammars.matcher(request.grammar)
        room = self.context - len(prompt)
        row = Row(arrival, prompt, room, matcher, self.tokenizer, self.template, self.end_tokens)
        if row.completion is not None:
            row.stream.finish(row.completion)
        else:
            self._waiting.append(row)

    def _admit(self) -> None:
        """Let rows in, first come first served, while there is room; drop those that were cancelled."""
        for row in [row for row in (*self._rows, *self._waiting) if row.stream.cancel_token.cancelled]:
            self._end(row, cancelled())
        taken = sum(self.runner.bytes_for(row.longest) for row in self._rows)
        while self._waiting and len(self._rows) < MAX_ROWS:
            needed = self.runner.bytes_for(self._waiting[0].longest)
            if self._rows and taken + needed > self._budget:
                break
            taken += needed
            self._rows.append(self._waiting.pop(0))
        self.shelf.trim(max(0, self._budget - taken))

    def _pass(self) -> None:
        """Have the model see what is new, and choose a token for every row that has shown it all."""
        together, alone = self._plan()
        computed = self._computed(together) if together else []
        for part in alone:
            computed += self._computed([part])
        ready = [(row, logits) for row, logits in computed if not row.pending]
        if ready:
            self._choose(ready)

    def _plan(self) -> tuple[list[Part], list[Part]]:
        """What each row shows the model now, together and alone: all that is new, or a piece of its prompt."""
        together: list[Part] = []
        alone: list[Part] = []
        budget = CHUNK if any(row.written for row in self._rows) else 4 * CHUNK
        for row in self._rows:
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
                (together if self.runner.together else alone).append((row, new))
        return together, alone

    def _begin(self, row: Row) -> bool:
        """Give a row its memo; False while another one is reading the same text, which can then be copied."""
        memo: Memo | None = None
        if not row.reproducible:
            busy = [other.memo for other in self._rows if other.memo is not None]
            if any(other.memo is not None and other.about_to_read(row.tokens) for other in self._rows):
                return False
            memo = self.shelf.best(row.tokens, row.conversation, busy)
        row.memo = memo or self.runner.new()
        row.memo.conversation = row.conversation
        return True

    def _computed(self, parts: list[Part]) -> list[tuple[Row, torch.Tensor]]:
        """Logits [vocabulary] for each part's row. Where a pass breaks, only the rows that break it end."""
        try:
            with self._turns:
                logits = self.runner.run([(_memo(row), tokens) for row, tokens in parts])
            return [(row, row_logits) for (row, _), row_logits in zip(parts, logits, strict=True)]
        except Exception as error:  # noqa: BLE001 (streams must end, and the others must go on)
            failure = _failure(error)
        if failure.kind is OutOfMemory:
            self.shelf.trim(0)
        if len(parts) > 1:
            return [found for part in parts for found in self._computed([part])]
        row = parts[0][0]
        row.memo = None
        self._end(row, failure.error())
        return []

    def _choose(self, ready: list[tuple[Row, torch.Tensor]]) -> None:
        """Draw the next token of each row and have it go on."""
        rows = [row for row, _ in ready]
        try:
            allowed = None
            if self._grammars is not None and any(row.matcher for row in rows):
                allowed = self._grammars.allowed([row.matcher for row in rows])
            logits = torch.stack([row_logits for _, row_logits in ready])
            tokens = pick_tokens(logits, [row.sampler for row in rows], [row.written for row in rows], allowed)
        except Exception as error:  # noqa: BLE001 (streams must end, and the others must go on)
            if len(ready) == 1:
                self._end(rows[0], error)
                return
            tokens = []
        if not tokens:
            for one in ready:
                self._choose([one])
        for row, token in zip(rows, tokens, strict=False):
            row.reading = False
            self._guard(row.stream, partial(row.take, token))
            if row.completion is not None or row.stream.ended:
                self._end(row)

    def _end(self, row: Row, error: BaseException | None = None) -> None:
        """Let a row go: first what it computed is kept, then whoever waits for it is told."""
        (self._rows if row in self._rows else self._waiting).remove(row)
        if row.memo is not None and row.memo.tokens:
            self.shelf.put(row.memo)
        if error is not None:
            row.stream.fail(error)
        elif row.completion is not None:
            row.stream.finish(row.completion)

    def _guard(self, stream: TokenStream, work: Callable[[], None]) -> None:
        """Do `work` for one stream; if it breaks, that stream alone ends with the error."""
        try:
            if stream.cancel_token.cancelled:
                raise cancelled()  # noqa: TRY301
            work()
        except Exception as error:  # noqa: BLE001 (a stream must end, and the others must go on)
            stream.fail(error)


Part = tuple[Row, list[int]]


def _memo(row: Row) -> Memo:
    assert row.memo is not None
    return row.memo


def _failure(error: Exception) -> Failure:
    """An error as a value, which keeps nothing alive that it went through."""
    if isinstance(error, torch.OutOfMemoryError):
        return Failure(OutOfMemory, "the device ran out of memory while writing; use shorter contexts or fewer models")
    return Failure.of(error, GenerationFailed)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a reply, as the model's and the tokenizer's settings name them."""
    named = [getattr(model.generation_config, "eos_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    flat = [token for entry in named for token in (entry if isinstance(entry, list) else [entry])]
    return frozenset(token for token in flat if token is not None)
