"""A backend without weights, for tests and benchmarks.

Its entry sets how slowly it loads, unloads and writes, and how many loads fail at first (`fail_loads`). It writes the
entry's `replies` in turn, ignoring the grammar as a broken server would. Without them, it samples texts of the
request's grammar from the seed.
"""

from __future__ import annotations

import random
import re
import threading
import time
from pathlib import Path
from typing import Literal

from manager.backends.base import BaseLLMModel, Footprint, Progress
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.errors import LoadFailed
from manager.generation.request import Completion, GenerationRequest
from manager.generation.stream import TokenStream, cancelled

_STEP_SECONDS = 0.02
_TOKEN = re.compile(r"\s*\S{1,6}|\s+")


class FakeModel(BaseLLMModel):
    """A model that writes prepared or sampled replies."""

    def __init__(self, spec: ModelSpec, cache_dir: Path) -> None:
        super().__init__(spec, cache_dir)
        self._failed_loads = 0

    @classmethod
    def device_of(cls, spec: ModelSpec) -> str:
        return "cpu" if spec.device == "auto" else spec.device

    def prepare(self, progress: Progress) -> Footprint:
        return Footprint(self.device_of(self.spec), self.spec.size_bytes)

    def load(self, progress: Progress) -> int:
        size = self.spec.size_bytes
        steps = max(1, round(self.spec.load_seconds / _STEP_SECONDS))
        started = time.monotonic()
        for step in range(steps):
            progress("loading", size * step // steps, size)
            until = started + self.spec.load_seconds * (step + 1) / steps
            time.sleep(max(0.0, until - time.monotonic()))
        progress("loading", size, size)
        if self._failed_loads < self.spec.fail_loads:
            self._failed_loads += 1
            raise LoadFailed(f"fake load {self._failed_loads} of '{self.spec.model_id}' fails (key 'fail_loads')")
        return size

    def unload(self) -> int:
        time.sleep(self.spec.unload_seconds)
        return 0

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        threading.Thread(target=self._write, args=(request, stream), name="fake-generation", daemon=True).start()

    def _write(self, request: GenerationRequest, stream: TokenStream) -> None:
        started = time.monotonic()
        with stream.producing():
            text = self._reply(request)
            tokens = _TOKEN.findall(text)
            pieces = tokens[: request.config.max_new_tokens]
            pause = 1 / self.spec.tokens_per_second if self.spec.tokens_per_second else 0.0
            first = 0.0
            for piece in pieces:
                if _paused(stream.cancel_token, pause):
                    raise cancelled()
                first = first or time.monotonic() - started
                stream.push(piece)
            reason: Literal["stop", "length"] = "stop" if len(pieces) == len(tokens) else "length"
            prompt_tokens = sum(len(_TOKEN.findall(message["content"])) for message in request.messages)
            seconds = time.monotonic() - started
            completion = Completion(
                text="".join(pieces),
                finish_reason=reason,
                prompt_tokens=prompt_tokens,
                tokens=len(pieces),
                first_token_seconds=first,
                seconds=seconds,
                held="grammar" if self._samples(request) else "",
            )
            stream.finish(completion)

    def _reply(self, request: GenerationRequest) -> str:
        if self.spec.replies:
            said = sum(message["role"] == "assistant" for message in request.messages)
            return self.spec.replies[said % len(self.spec.replies)]
        if self._samples(request):
            assert request.grammar is not None
            assert request.grammar.sample is not None
            return request.grammar.sample(random.Random(f"{self.spec.model_id} {request.seed}"))
        return f"This is {self.spec.model_id}, a fake model, answering."

    def _samples(self, request: GenerationRequest) -> bool:
        return not self.spec.replies and request.grammar is not None and request.grammar.sample is not None


def _paused(cancel: CancelToken, seconds: float) -> bool:
    """Sleep up to `seconds`, or until cancelled. Return whether it was cancelled."""
    return cancel.wait(seconds) if seconds else cancel.cancelled
