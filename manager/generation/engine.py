"""The loop that runs a model: one thread per resident weights, requests join and leave between tokens.

Knows transformers models and tokenizers; nothing of where they came from or who asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from transformers import DynamicCache

from manager.errors import ContextTooLong, GenerationFailed, OutOfMemory
from manager.generation.grammar import GrammarCompiler
from manager.generation.request import Completion, GenerationRequest, Held
from manager.generation.sampling import Sampler
from manager.generation.stream import TokenStream, cancelled
from manager.generation.text import ChatTemplate, StopTexts, TextDecoder

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class Engine:
    """Writes for all requests of one model, a token each in turn. Every stream it was given ends."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.context = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)
        self.end_tokens = _end_tokens(model, tokenizer)
        self._grammars: GrammarCompiler | None = None
        self._changed = threading.Condition()
        self._arrived: list[tuple[GenerationRequest, TokenStream, float]] = []
        self._name = name
        self.open()

    def open(self) -> None:
        """Begin to write, also again after `close`."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"engine {self._name}", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Begin to write for `request` as soon as the loop comes round."""
        with self._changed:
            if self._closed:
                raise GenerationFailed("the weights were unloaded")
            self._arrived.append((request, stream, time.monotonic()))
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams and the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def grammars(self) -> GrammarCompiler:
        """The compiler for this tokenizer, made when the first grammar comes."""
        if self._grammars is None:
            self._grammars = GrammarCompiler(self.tokenizer, int(self.model.config.get_text_config().vocab_size))
        return self._grammars

    def _run(self) -> None:
        rows: list[Row] = []
        with torch.inference_mode():
            while True:
                with self._changed:
                    while not (rows or self._arrived or self._closed):
                        self._changed.wait()
                    arrived, self._arrived = self._arrived, []
                    if self._closed:
                        break
                for arrival in arrived:
                    row = self._guard(arrival[1], partial(Row, self, *arrival))
                    rows += [row] if row is not None else []
                rows = [row for row in rows if self._guard(row.stream, row.step)]
        for stream in [row.stream for row in rows] + [stream for _, stream, _ in arrived]:
            stream.fail(cancelled())

    def _guard(self, stream: TokenStream, work: Callable[[], Result]) -> Result | None:
        """Do `work` for one stream; if it breaks, that stream alone ends with the error."""
        try:
            if stream.cancel_token.cancelled:
                raise cancelled()  # noqa: TRY301
            return work()
        except torch.OutOfMemoryError:
            stream.fail(OutOfMemory("the device ran out of memory while writing; use shorter contexts or fewer models"))
        except Exception as error:  # noqa: BLE001 (a stream must end, and the others must go on)
            stream.fail(error)
        return None


class Row:
    """One request being written."""

    def __init__(self, engine: Engine, request: GenerationRequest, stream: TokenStream, since: float) -> None:
        self.engine = engine
        self.stream = stream
        self.since = since
        self.config = request.config
        prompt = engine.template.encode(request.messages)
        self.prompt_tokens = len(prompt)
        self.room = min(self.config.max_new_tokens, engine.context - self.prompt_tokens)
        if self.room <= 0:
            raise ContextTooLong(f"the prompt has {self.prompt_tokens} tokens, the model's context {engine.context}")
        self.matcher = engine.grammars().matcher(request.grammar) if request.grammar and request.constrained else None
        self.sampler = Sampler(request.config, request.seed)
        self.decoder = TextDecoder(engine.tokenizer)
        self.stops = StopTexts((*self.config.stop, *engine.template.stops) if self.matcher is None else ())
        self.cache = DynamicCache(config=engine.model.config)
        self.pending: Sequence[int] = prompt  # tokens that the model has not seen yet
        self.tokens: list[int] = []
        self.forced = 0
        self.text = ""
        self.first_token = 0.0

    def step(self) -> bool:
        """Write one token, and those the grammar forces after it; False when the text is complete."""
        inputs = torch.tensor([self.pending], dtype=torch.long, device=self.engine.model.device)
        output = self.engine.model(input_ids=inputs, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        allowed = self.matcher.allowed() if self.matcher else None
        token = self.sampler.pick(output.logits[0, -1], self.tokens, allowed)
        self.first_token = self.first_token or time.monotonic() - self.since
        if self.matcher is None and token in self.engine.end_tokens:
            return self._finish("stop")
        new = self.matcher.advance(token) if self.matcher else [token]
        self.tokens += new
        self.forced += len(new) - 1
        self.pending = new
        piece, stopped = self.stops.push(self.decoder.push(t for t in new if t not in self.engine.end_tokens))
        self._push(piece)
        if stopped or (self.matcher and self.matcher.finished):
            return self._finish("stop", flush=not stopped)
        if len(self.tokens) >= self.room:
            return self._finish("length")
        return True

    def _finish(self, reason: Literal["stop", "length"], flush: bool = True) -> bool:
        if flush:
            piece, stopped = self.stops.push(self.decoder.flush())
            self._push(piece if stopped else piece + self.stops.flush())
        seconds = time.monotonic() - self.since
        counts = self.prompt_tokens, len(self.tokens), self.forced
        held: Held = "grammar" if self.matcher else ""
        self.stream.finish(Completion(self.text, reason, *counts, self.first_token, seconds, held))
        return False

    def _push(self, piece: str) -> None:
        self.text += piece
        self.stream.push(piece)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a reply, as the model's and the tokenizer's settings name them."""
    named = [getattr(model.generation_config, "eos_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    flat = [token for entry in named for token in (entry if isinstance(entry, list) else [entry])]
    return frozenset(token for token in flat if token is not None)
