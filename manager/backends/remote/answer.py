"""A chat completion as it comes in: pieces of text, how it ended, and what it cost."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from manager.backends.remote.faults import reported
from manager.errors import ServerFailed
from manager.generation.request import Completion, GenerationRequest, Held
from manager.generation.stream import TokenStream

CHARACTERS_PER_TOKEN = 64
"""No tokenizer makes tokens longer than this on average; who writes more does not keep to `max_tokens`."""
BYTES_PER_TOKEN = 4
"""A rule of thumb for texts that nobody counted."""
THINK, THOUGHT = "<think>", "</think>"


class Answer:
    """Takes the events of one answer and passes its text on to a stream."""

    def __init__(self, request: GenerationRequest, stream: TokenStream, model: str, key: str | None) -> None:
        self.begun = False  # whether anything was written, be it a thought that is not passed on
        self.passed = False  # whether any text was passed on
        self.finish: Literal["stop", "length"] | None = None
        self._request = request
        self._stream = stream
        self._model = model
        self._key = key
        self._text = ""
        self._size = 0
        self._thought = 0  # bytes of thinking that were not passed on
        self._thinking = False
        self._usage: tuple[int, int] | None = None

    def take(self, data: str) -> None:
        """Take an event; raises ServerFailed for what is none, and what the server says is wrong."""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise ServerFailed(f"the server of '{self._model}' sent what is no JSON") from None
        if not isinstance(event, dict):
            raise self._misshapen("an event is no object")
        if error := event.get("error"):
            raise reported(error, self._model, self._key)
        self._take_usage(event.get("usage"))
        choices = event.get("choices")
        if not isinstance(choices, list):
            if event.get("usage"):
                return
            raise self._misshapen("'choices' is missing")
        if choices:
            self._take_choice(choices[0])

    def completion(self, held: Held, first: float, seconds: float) -> Completion:
        """What the answer came to; raises ServerFailed if it has no end."""
        if self.finish is None:
            raise ServerFailed(f"the server of '{self._model}' broke its answer off")
        if held and self.finish == "stop" and not _is_json(self._text):
            held = ""  # it was asked to, but does not hold to it
        usage = self._usage or (self._estimated_prompt(), _estimate(len(self._text.encode()) + self._thought))
        return Completion(self._text, self.finish, *usage, 0, first, seconds, held=held, estimated=self._usage is None)

    def _take_choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            raise self._misshapen("a choice is no object")
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            raise self._misshapen("'delta' is no object")
        self._think(said.get("reasoning_content") or said.get("reasoning") or "")
        self._say(said.get("content") or said.get("refusal") or "")
        if finish := choice.get("finish_reason"):
            self._close_thought()
            self.finish = "length" if finish == "length" else "stop"

    def _think(self, text: Any) -> None:
        if not text:
            return
        self._count(text)
        if not self._request.thinking:
            self._thought += len(text.encode("utf-8", "replace"))
            return
        if not self._thinking:
            self._thinking = True
            self._push(THINK)
        self._push(text)

    def _say(self, text: Any) -> None:
        if text:
            self._count(text)
            self._close_thought()
            self._push(text)

    def _close_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            self._push(THOUGHT)

    def _count(self, text: Any) -> None:
        if not isinstance(text, str):
            raise self._misshapen("a piece of text is none")
        self.begun = True
        self._size += len(text)
        if self._size > CHARACTERS_PER_TOKEN * self._request.config.max_new_tokens:
            raise ServerFailed(f"the server of '{self._model}' wrote far more than was asked for, and was cut off")

    def _push(self, text: str) -> None:
        piece = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # no halves of characters
        self._text += piece
        self.passed = True
        self._stream.push(piece)

    def _take_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
            whole = [count for count in counts if isinstance(count, int) and 0 <= count < 2**31]
            if len(whole) == 2:
                self._usage = whole[0], whole[1]

    def _estimated_prompt(self) -> int:
        return sum(_estimate(len(message["content"].encode("utf-8", "replace"))) for message in self._request.messages)

    def _misshapen(self, what: str) -> ServerFailed:
        return ServerFailed(f"the server of '{self._model}' does not answer as an OpenAI-compatible one: {what}")


def _estimate(size: int) -> int:
    return math.ceil(size / BYTES_PER_TOKEN)


def _is_json(text: str) -> bool:
    try:
        json.loads(text.rpartition(THOUGHT)[2])
    except (ValueError, RecursionError):
        return False
    return True
