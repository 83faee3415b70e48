"""Parse a chat completion as it arrives: pieces of text, the finish reason, and the usage."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from manager.backends.remote.faults import reported
from manager.errors import ServerFailed
from manager.generation.request import Completion, GenerationRequest, Held
from manager.generation.stream import TokenStream

CHARACTERS_PER_TOKEN = 64
"""No tokenizer makes longer tokens on average, so a server that writes more ignores `max_tokens`."""
BYTES_PER_TOKEN = 4
"""A rule of thumb, for servers that do not report the usage."""
THINK, THOUGHT = "<think>", "</think>"


class Answer:
    """Parses the events of one answer and pushes its text into a stream."""

    def __init__(self, request: GenerationRequest, stream: TokenStream, model: str, key: str | None) -> None:
        self.begun = False  # whether anything was written, including thoughts that are not passed on
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
        """Parse an event. Raises ServerFailed if it is malformed, and the error that it reports if it is one."""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise ServerFailed(f"the server of '{self._model}' sent invalid JSON") from None
        if not isinstance(event, dict):
            raise self._misshapen("an event is not an object")
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
        """Return the finished answer. Raises ServerFailed if it has no end.

        Args:
            held: The format that the server was asked to enforce.
            first: Seconds to the first token.
            seconds: Seconds to the end.
        """
        if self.finish is None:
            raise ServerFailed(f"the server of '{self._model}' broke off its answer")
        if held and self.finish == "stop" and not _is_json(self._text):
            held = ""  # the server did not enforce it
        usage = self._usage or (self._estimated_prompt(), _estimate(len(self._text.encode()) + self._thought))
        return Completion(
            text=self._text,
            finish_reason=self.finish,
            prompt_tokens=usage[0],
            tokens=usage[1],
            first_token_seconds=first,
            seconds=seconds,
            held=held,
            estimated=self._usage is None,
        )

    def _take_choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            raise self._misshapen("a choice is not an object")
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            raise self._misshapen("'delta' is not an object")
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
            raise self._misshapen("a piece of text is not a string")
        self.begun = True
        self._size += len(text)
        if self._size > CHARACTERS_PER_TOKEN * self._request.config.max_new_tokens:
            raise ServerFailed(f"the server of '{self._model}' wrote far more than requested, and was cut off")

    def _push(self, text: str) -> None:
        piece = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # replaces lone surrogates
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
        return ServerFailed(f"the server of '{self._model}' does not behave like an OpenAI-compatible one: {what}")


def _estimate(size: int) -> int:
    return math.ceil(size / BYTES_PER_TOKEN)


def _is_json(text: str) -> bool:
    try:
        json.loads(text.rpartition(THOUGHT)[2])
    except (ValueError, RecursionError):
        return False
    return True
