"""One answer as it arrives: its text is passed on, and its thinking dropped or marked.

Notices when the text can no longer become a reply.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from manager.backends.remote.faults import RequestFacts, fit
from manager.backends.remote.pieces import End, Finish, Piece, Signature, ToolCall, pieces
from manager.errors import ServerFailed
from manager.generation.reply import ReplyFilter, all_thinking
from manager.generation.request import Completion, GenerationRequest, Held, Usage
from manager.generation.stream import TokenStream
from manager.generation.thinking import Reasoning, Text
from manager.identity import ServerReport

CHARACTERS_PER_TOKEN = 64
"""No tokenizer makes longer tokens on average, so a server that writes more ignores `max_tokens`."""
BYTES_PER_TOKEN = 4
"""A rule of thumb, for servers that do not report the usage."""


class Answer:
    """Takes the events of one answer and pushes its text into a stream.

    Args:
        asked: The request as far as errors depend on it.
        limit: The tokens that the server may write.
    """

    def __init__(self, request: GenerationRequest, stream: TokenStream, asked: RequestFacts, limit: int) -> None:
        self.begun = False  # whether anything was written, including thoughts that are not passed on
        self.passed = False  # whether any text was passed on
        self.finish: End | None = None
        self._request = request
        self._stream = stream
        self._asked = asked
        self._limit = limit
        self._reply = ReplyFilter(expects_json=request.grammar is not None, thinking=request.thinking > 0)
        self._pushed = ""
        self._size = 0
        self._called = False  # whether there was a call of a tool
        self._heard = False  # whether the server said that and why the reply ended
        self._odd = False  # whether there was an event without a known piece
        self._usage: Usage | None = None
        self._signature = Signature(None, None)

    def take(self, data: str) -> bool:
        """Read an event, and return whether there was anything in it.

        Raises ServerFailed if it is malformed, and the error that it reports if it is one.
        """
        found = pieces(data, self._asked)
        self._odd |= not found
        summary = self.begun and any(isinstance(piece, Finish) and piece.whole for piece in found)
        for piece in found:
            if summary and isinstance(piece, Text | Reasoning):
                continue  # some streams end with the whole message
            self._take(piece)
        return bool(found)

    def hopeless(self) -> bool:
        """Return whether what follows cannot belong to a reply, and end the answer if so."""
        if self.finish or not self._reply.over:
            return False
        self.finish = "stop"
        return True

    def end(self) -> None:
        """Pass on what was held back, now that the answer has ended.

        A server with a wrong reasoning parser sends the reply itself as reasoning. One that is exactly the JSON object
        that was asked for is the reply.
        """
        reply = self._reply
        if self.finish is None and _is_object(reply.text):
            self.finish = "stop"  # some servers end without a word
        if self._odd and not self.begun and not self._heard:
            raise ServerFailed(
                f"the server of '{self._asked.model}' does not behave like an OpenAI-compatible one: "
                "no event contains 'choices' with a text"
            )
        if self.finish is not None:
            self._push(reply.end())
            if self.finish == "stop" and self._request.grammar is not None and self.only_thinking:
                self._push(reply.say(reply.thought if _is_object(reply.thought) else ""))
            self._push(reply.close())

    @property
    def thought(self) -> str:
        """The thinking."""
        return self._reply.thought

    @property
    def only_thinking(self) -> bool:
        """Whether the answer was all thinking."""
        return self._reply.only_thinking

    @property
    def usage(self) -> Usage:
        """The tokens so far, estimated unless the server counted them; none before the server began to answer."""
        if self._usage is not None or not (self.begun or self.finish):
            return self._usage or Usage()
        written = sum(len(text.encode("utf-8", "replace")) for text in (self._reply.text, self.thought))
        return Usage(self._estimated_prompt(), _estimate(written))

    def completion(self, held: Held, first: float, seconds: float) -> Completion:
        """Return the finished answer. Raises ServerFailed if it has no end.

        Args:
            held: The format that the server was asked to enforce.
            first: Seconds to the first token.
            seconds: Seconds to the end.
        """
        if self.finish is None:
            raise ServerFailed(f"the server of '{self._asked.model}' broke off its answer")
        if held and self.finish == "stop":
            held = self._really_held(held)
        usage = self.usage
        return Completion(
            text=self._pushed,
            finish_reason="length" if self.finish == "length" else "stop",
            prompt_tokens=usage.prompt,
            tokens=usage.reply,
            first_token_seconds=first,
            seconds=seconds,
            held=held,
            estimated=self._usage is None,
            note=self._note(usage.reply),
        )

    def server(self, software: str | None, omitted: Iterable[str]) -> ServerReport:
        """Return what the server said about itself.

        Args:
            software: Its header `Server`.
            omitted: Settings that it refuses.
        """
        said = (self._signature.model, self._signature.fingerprint, software)
        model, fingerprint, server = (fit(words, self._asked.key) or None if words else None for words in said)
        return ServerReport(model=model, fingerprint=fingerprint, software=server, omitted=tuple(omitted))

    def _really_held(self, held: Held) -> Held:
        """Return the format that the text has, as servers may accept a schema and ignore it."""
        grammar = self._request.grammar
        if not _is_json(self._reply.text):
            return ""
        if held == "schema" and grammar is not None and grammar.schema is not None:
            return held if follows(json.loads(self._reply.text), grammar.schema) else "json"
        return held

    def _note(self, tokens: int) -> str:
        """Return what was unusual about the end of the answer, as a sentence."""
        about = "" if self._usage else "about "
        if self.finish == "filter":
            return f"The server's content filter {'cut off' if self._reply.text.strip() else 'held back'} the reply."
        if self.only_thinking and self.finish == "length":
            return all_thinking(f"{about}{tokens}", "turn thinking off with the key 'extra_body'")
        if self._called and not self._reply.text.strip():
            return "The server sent a tool call instead of a reply; turn its tool parser off."
        if self.only_thinking:
            return "The server sent its thinking, but no reply."
        if self.finish == "length":
            whose = "the server's limit" if tokens < self._limit else "the limit 'max_new_tokens'"
            return f"The reply was cut off after {about}{tokens} tokens by {whose}."
        return self._reply.cut

    def _take(self, piece: Piece) -> None:
        match piece:
            case Usage():
                self._usage = piece
            case Signature(model, fingerprint):
                before = self._signature
                self._signature = Signature(model or before.model, fingerprint or before.fingerprint)
            case Finish(end, whole):
                self._heard = True
                if not (whole and self.finish):  # the summary of a stream
                    self.finish = end
            case ToolCall():
                self._called = True
            case Text(text):
                self._count(text)
                self._push(self._reply.feed(text))
            case Reasoning(text):
                self._count(text)
                self._push(self._reply.think(text))

    def _count(self, text: str) -> None:
        self.begun = True
        self._size += len(text)
        if self._size > CHARACTERS_PER_TOKEN * self._limit:
            raise ServerFailed(f"the server of '{self._asked.model}' wrote far more than requested, and was cut off")

    def _push(self, text: str) -> None:
        if not text:
            return
        piece = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # replaces lone surrogates
        self._pushed += piece
        self.passed = True
        self._stream.push(piece)

    def _estimated_prompt(self) -> int:
        return sum(_estimate(len(message["content"].encode("utf-8", "replace"))) for message in self._request.messages)


def follows(value: Any, schema: Any) -> bool:
    """Return whether a value follows a schema, as far as keys, constants and enumerations go.

    >>> schema = {"type": "object", "properties": {"x": {"enum": [1, 2]}}, "required": ["x"]}
    >>> follows({"x": 1}, schema), follows({"x": 3}, schema), follows([], schema)
    (True, False, False)
    """
    if "anyOf" in schema:
        return any(follows(value, case) for case in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in [schema["const"]] if "const" in schema else value in schema["enum"]
    if schema.get("type") != "object":
        return True
    properties = schema.get("properties", {})
    if not isinstance(value, dict) or not set(schema.get("required", ())) <= value.keys():
        return False
    if schema.get("additionalProperties") is False and not value.keys() <= properties.keys():
        return False
    return all(follows(value[name], properties[name]) for name in properties if name in value)


def _estimate(size: int) -> int:
    return math.ceil(size / BYTES_PER_TOKEN)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_object(text: str) -> bool:
    return text.lstrip().startswith("{") and _is_json(text)
