"""The thread that runs a model: requests arrive, become rows of its batch, and leave as finished streams."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import torch

from manager.errors import GenerationFailed
from manager.generation.batch import Batch, failure_of
from manager.generation.forward import processor
from manager.generation.forward.flat import flat_runner
from manager.generation.forward.kv import Shelf
from manager.generation.forward.solo import SoloRunner
from manager.generation.grammar import GrammarCompiler
from manager.generation.request import GenerationRequest
from manager.generation.row import Arrival, Row
from manager.generation.stream import TokenStream, cancelled
from manager.generation.text import ChatTemplate

logger = logging.getLogger(__name__)

WRITING_BYTES = KEPT_BYTES = 1 << 30
"""Default memory for keys and values of rows being written, and of cached conversations."""


class Engine:
    """Writes for all requests to one model. Every stream that it is given ends."""

    def __init__(self, model: Any, tokenizer: Any, name: str, writing_bytes: int = WRITING_BYTES) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.context = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)
        self.end_tokens = _end_tokens(model, tokenizer)
        self.shelf = Shelf(KEPT_BYTES)
        self._on_cpu = model.device.type == "cpu"
        team = processor.team() if self._on_cpu else None
        runner = flat_runner(model, look=team.look if team else None) or SoloRunner(model)
        self.batch = Batch(runner, self.shelf, writing_bytes, team)
        self._vocabulary = int(model.config.get_text_config().vocab_size)
        self._grammars: GrammarCompiler | None = None
        self._changed = threading.Condition()
        self._arrived: list[Arrival] = []
        self._name = name
        self.open()

    def open(self) -> None:
        """Start the thread. Possible again after `close`."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"engine {self._name}", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Queue a request, which the loop picks up after its current pass."""
        with self._changed:
            if self._closed:
                raise GenerationFailed("the weights were unloaded")
            self._arrived.append(Arrival(request, stream, time.monotonic()))
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams and the thread, and drop all keys and values."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.shelf.trim(0)

    @property
    def cache_bytes(self) -> int:
        """Bytes of the keys and values cached between turns."""
        return self.shelf.bytes

    def trim_cache(self, to_bytes: int) -> None:
        """Limit cached conversations to `to_bytes` from now on, dropping the least recently used."""
        self.shelf.limit = to_bytes
        self.shelf.trim(to_bytes)

    def _run(self) -> None:
        try:
            while not self._closed:
                self._write()
        finally:
            with self._changed:
                self._closed = True
                arrived, self._arrived = self._arrived, []
            self.batch.end_all()
            for arrival in arrived:
                arrival.stream.fail(cancelled())

    def _write(self) -> None:
        """Write until closed, or until an error that is not due to a single row: then all rows end with it."""
        try:
            with torch.inference_mode():
                self._loop()
        except BaseException as error:  # a panic in native code is not an Exception
            logger.exception("generation failed; unfinished replies end, and new requests start afresh")
            self.batch.end_all(failure_of(error).error())

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not (self.batch or self._arrived or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                arrived, self._arrived = self._arrived, []
            for arrival in arrived:
                self._arrive(arrival)
            if self._on_cpu:
                processor.on_processor(self.batch.step)
            else:
                self.batch.step()

    def _arrive(self, arrival: Arrival) -> None:
        """Make a row of a request. If that fails, only its own stream ends."""
        try:
            arrival.stream.cancel_token.check()
            self.batch.add(self._row(arrival))
        except BaseException as error:  # noqa: BLE001 (the stream must end, and the others must go on)
            arrival.stream.fail(error)

    def _row(self, arrival: Arrival) -> Row:
        request, matcher = arrival.request, None
        constrained = request.grammar is not None and request.constrained
        prompt = self.template.encode(request.messages, thinking=request.thinking > 0, grammar=constrained)
        if request.grammar is not None and request.constrained:
            if self._grammars is None:
                self._grammars = GrammarCompiler(self.tokenizer, self._vocabulary)
            matcher = self._grammars.matcher(request.grammar)
        return Row(
            arrival,
            prompt=prompt,
            room=self.context - len(prompt),
            matcher=matcher,
            tokenizer=self.tokenizer,
            template=self.template,
            end_tokens=self.end_tokens,
        )


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a reply, according to the settings of the model and the tokenizer."""
    named = [getattr(model.generation_config, "eos_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    flat = [token for entry in named for token in (entry if isinstance(entry, list) else [entry])]
    return frozenset(token for token in flat if token is not None)
