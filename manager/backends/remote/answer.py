"""One answer as it arrives: its text is passed on, and its thinking dropped or marked.

Notices when the text can no longer become a reply.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from manager.backends.remote.faults import Asked
from manager.backends.remote.marks import Separator
from manager.backends.remote.pieces import End, Finish, Piece, Reasoning, Text, Usage, pieces
from manager.errors import ServerFailed
from manager.generation.request import Completion, GenerationRequest, Held
from manager.generation.stream import TokenStream

CHARACTERS_PER_TOKEN = 64
"""No tokenizer makes longer tokens on average, so a server that writes more ignores `max_tokens`."""
BYTES_PER_TOKEN = 4
"""A rule of thumb, for servers that do not report the usage."""
MOST_PROSE = 200
"""Characters of prose before the JSON object after which a reply is cut off: enough to recognise it as prose."""
MOST_SPACE = 400
"""Characters of white space in a row after which a reply is cut off: in JSON mode, some models write it for ever."""
THINK, THOUGHT = "<think>", "</think>"


class Answer:
    """Takes the events of one answer and pushes its text into a stream.

    Args:
        request: The request that is answered.
        stream: Where the text goes.
        asked: The request as far as errors depend on it.
        limit: The tokens that the server may write.
    """

    def __init__(self, request: GenerationRequest, stream: TokenStream, asked: Asked, limit: int) -> None:
        self.begun = False  # whether anything was written, including thoughts that are not passed on
        self.passed = False  # whether any text was passed on
        self.finish: End | None = None
        self.thought = ""
        self._request = request
        self._stream = stream
        self._asked = asked
        self._limit = limit
        self._separator = Separator(request.grammar is not None)
        self._object = _Object()
        self._pushed = ""
        self._text = ""  # the reply without its thinking
        self._size = 0
        self._thinking = False
        self._cut = ""  # why the reply was cut off by us
        self._odd = False  # whether there was an event without a known piece
        self._usage: Usage | None = None

    def take(self, data: str) -> None:
        """Read an event. Raises ServerFailed if it is malformed, and the error that it reports if it is one."""
        found = pieces(data, self._asked)
        self._odd |= not found
        summary = self.begun and any(isinstance(piece, Finish) and piece.whole for piece in found)
        for piece in found:
            if summary and isinstance(piece, Text | Reasoning):
                continue  # some streams end with the whole message
            self._take(piece)

    def hopeless(self) -> bool:
        """Return whether what follows cannot belong to a reply, and end the answer if so."""
        if self._request.grammar is None or self.finish:
            return False
        if self._separator.ended:
            self.finish = "stop"
            return True
        held = self._separator.held
        if self._object.trailing:
            self._cut = "The reply went on after its JSON object, and was cut off."
        elif len(held.strip()) > MOST_PROSE and not self._request.thinking:
            begun = "began with a code fence" if held.lstrip().startswith("```") else "did not begin with a JSON object"
            self._cut = f"The reply {begun}, and was cut off."
        elif len(self._text) - len(self._text.rstrip()) > MOST_SPACE:
            self._cut = "The reply was cut off after a long run of white space."
        if self._cut:
            self.finish = "stop"
        return bool(self._cut)

    def end(self) -> None:
        """Pass on what was held back, now that the answer has ended.

        A server with a wrong reasoning parser sends the reply itself as reasoning. One that is exactly the JSON object
        that was asked for is the reply.
        """
        if self.finish is not None:
            self._spread(self._separator.end())
            if self.finish == "stop" and self._request.grammar is not None and self.only_thinking:
                self._say(self.thought if _is_object(self.thought) else "")
            self._close_thought()
        elif self._odd and not self.begun:
            raise ServerFailed(
                f"the server of '{self._asked.model}' does not behave like an OpenAI-compatible one: "
                "no event contains 'choices' with a text"
            )

    @property
    def only_thinking(self) -> bool:
        """Whether the answer was all thinking."""
        return bool(self.thought) and not self._text.strip()

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
        written = len(self._text.encode()) + len(self.thought.encode("utf-8", "replace"))
        usage = self._usage or Usage(self._estimated_prompt(), _estimate(written))
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

    def _really_held(self, held: Held) -> Held:
        """Return the format that the text has, as servers may accept a schema and ignore it."""
        grammar = self._request.grammar
        if not _is_json(self._text):
            return ""
        if held == "schema" and grammar is not None and grammar.schema is not None:
            return held if follows(json.loads(self._text), grammar.schema) else "json"
        return held

    def _note(self, tokens: int) -> str:
        """Return what was unusual about the end of the answer, as a sentence."""
        about = "" if self._usage else "about "
        if self.finish == "filter":
            return f"The server's content filter {'cut off' if self._text.strip() else 'held back'} the reply."
        if self.only_thinking and self.finish == "length":
            return (
                f"All {about}{tokens} tokens went into thinking and none into the reply; raise the agent's option "
                "'thinking', or turn thinking off with the key 'extra_body'."
            )
        if self.only_thinking:
            return "The server sent its thinking, but no reply."
        if self.finish == "length":
            whose = "the server's limit" if tokens < self._limit else "the limit 'max_new_tokens'"
            return f"The reply was cut off after {about}{tokens} tokens by {whose}."
        return self._cut

    def _take(self, piece: Piece) -> None:
        match piece:
            case Usage():
                self._usage = piece
            case Finish(end, whole):
                if not (whole and self.finish):  # the summary of a stream
                    self.finish = end
            case Text(text):
                self._count(text)
                self._spread(self._separator.feed(text))
            case Reasoning(text):
                self._count(text)
                self._think(text)

    def _spread(self, found: Iterable[Text | Reasoning]) -> None:
        for piece in found:
            if isinstance(piece, Reasoning):
                self._think(piece.text)
            else:
                self._say(piece.text)

    def _think(self, text: str) -> None:
        self.thought += text
        if self._request.thinking:
            if not self._thinking:
                self._thinking = True
                self._push(THINK)
            self._push(text)

    def _say(self, text: str) -> None:
        self._close_thought()
        self._text += self._push(text)
        self._object.feed(text)

    def _close_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            self._push(THOUGHT)

    def _count(self, text: str) -> None:
        self.begun = True
        self._size += len(text)
        if self._size > CHARACTERS_PER_TOKEN * self._limit:
            raise ServerFailed(f"the server of '{self._asked.model}' wrote far more than requested, and was cut off")

    def _push(self, text: str) -> str:
        piece = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # replaces lone surrogates
        self._pushed += piece
        self.passed = True
        self._stream.push(piece)
        return piece

    def _estimated_prompt(self) -> int:
        return sum(_estimate(len(message["content"].encode("utf-8", "replace"))) for message in self._request.messages)


class _Object:
    """Follows a JSON object as it is written, to notice what comes after it."""

    def __init__(self) -> None:
        self.trailing = False  # whether more than white space follows the object
        self._depth = 0
        self._quoted = self._escaped = self._closed = False

    def feed(self, text: str) -> None:
        """Add text."""
        for character in text:
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif self._closed:
                self.trailing = self.trailing or not character.isspace()
            elif character == '"':
                self._quoted = self._depth > 0
            elif character in "{[":
                self._depth += 1
            elif character in "}]" and self._depth:
                self._depth -= 1
                self._closed = not self._depth


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
