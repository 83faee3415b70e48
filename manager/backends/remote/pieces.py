"""Read an event of a chat completion, in any dialect: as pieces of text, reasoning, usage, and the finish reason.

The same reader serves streams (`delta`), whole answers (`message`) and errors with status 200. Events without any of
these, such as heartbeats and providers' own fields, have no pieces.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from manager.backends.remote.faults import RequestFacts, reported, web_page
from manager.errors import ServerFailed
from manager.generation.request import Usage
from manager.generation.thinking import Reasoning, Text

End = Literal["stop", "length", "filter"]
_LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length", "max_new_tokens", "token_limit"}
_FILTERED = {"content_filter", "content-filter", "safety", "recitation", "prohibited_content", "blocklist", "sensitive"}
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Finish:
    """The end of the reply, and why it ended. `whole` if the event contains the whole reply."""

    end: End
    whole: bool = False


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool, although none was offered."""


@dataclass(frozen=True)
class Signature:
    """What the server says about the model and itself, beside something else."""

    model: str | None
    fingerprint: str | None


Piece = Text | Reasoning | Usage | Finish | ToolCall | Signature


def pieces(data: str, asked: RequestFacts) -> list[Piece]:
    """Return the pieces of an event.

    Raises:
        ServerFailed: The event is malformed.
        Exception: The error that the event reports, as `faults` classifies it.
    """
    event = _parsed(data, asked)
    if not isinstance(event, dict):
        return []
    choices = event.get("choices")
    if event.get("error") or event.get("object") == "error" or (choices is None and _is_error(event)):
        raise reported(event.get("error") or event, asked)
    found: list[Piece] = list(_usage(event.get("usage")))
    if isinstance(choices, list) and choices:
        found = [*_choice(choices[0], asked), *found]
    return [*found, *_signature(event)] if found else []  # a signature alone is a heartbeat


def _parsed(data: str, asked: RequestFacts) -> Any:
    """Return the JSON of an event; None for texts that servers send to keep connections alive."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        text = data.lstrip()
    if text.startswith("<"):
        raise web_page(asked)
    if text.lower().startswith("error"):
        raise reported(text, asked)
    if text.startswith(("{", "[", '"')) and text != "[KEEPALIVE]":
        raise ServerFailed(f"the server of '{asked.model}' sent invalid JSON")
    return None


def _is_error(event: dict[str, Any]) -> bool:
    return "usage" not in event and isinstance(event.get("message") or event.get("detail"), str)


def _choice(choice: Any, asked: RequestFacts) -> list[Piece]:
    if not isinstance(choice, dict):
        raise _misshapen("a choice is not an object", asked)
    if isinstance(choice.get("index"), int) and choice["index"] > 0:
        return []  # a second reply, which some servers write beside the first
    said = choice.get("delta") or choice.get("message") or {}
    if not isinstance(said, dict):
        raise _misshapen("'delta' is not an object", asked)
    found: list[Piece] = []
    thought = next((said[key] for key in ("reasoning_content", "reasoning", "thinking") if said.get(key)), None)
    found += [Reasoning(piece.text) for piece in _content(thought, asked)]
    found += _content(said.get("content") or said.get("refusal") or choice.get("text"), asked)
    whole = not choice.get("delta") and bool(choice.get("message"))
    if said.get("tool_calls") or said.get("function_call"):
        found.append(ToolCall())
    reason = choice.get("finish_reason")
    if reason == "error":
        raise reported(choice.get("error") or "the server ended the reply with an error", asked)
    if reason or whole:
        found.append(Finish(_end(str(reason).lower()), whole))
    return found


def _end(reason: str) -> End:
    return "length" if reason in _LENGTH else "filter" if reason in _FILTERED else "stop"


def _content(content: Any, asked: RequestFacts, depth: int = 0) -> list[Text | Reasoning]:
    """Return the pieces of a content: a text, or a list of typed parts, of which those that are no text are reasoning.

    Parts may contain parts: {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}.
    """
    if not content:
        return []
    if isinstance(content, str):
        return [Text(content)]
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or depth > _MAX_DEPTH:
        raise _misshapen("a piece of text is not a string", asked)
    found: list[Text | Reasoning] = []
    for part in content:
        if not isinstance(part, dict):
            found += _content(part, asked, depth + 1)
            continue
        kind = part.get("type", "text")
        inside = part.get("text") or part.get(str(kind)) or part.get("content")
        read = _content(inside, asked, depth + 1) if isinstance(inside, str | list) else []
        found += read if kind in ("text", "output_text") else [Reasoning(piece.text) for piece in read]
    return found


def _usage(usage: Any) -> list[Usage]:
    if not isinstance(usage, dict):
        return []
    counts = [_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))]
    known = [count for count in counts if count is not None]
    return [Usage(*known)] if len(known) == 2 else []


def _count(value: Any) -> int | None:
    """Return a number of tokens, which some servers send as a float or a string."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number < 2**31 and number.is_integer() else None


def _signature(event: dict[str, Any]) -> list[Signature]:
    model, fingerprint = (
        value if isinstance(value := event.get(key), str) and value else None for key in ("model", "system_fingerprint")
    )
    return [Signature(model, fingerprint)] if model or fingerprint else []


def _misshapen(what: str, asked: RequestFacts) -> ServerFailed:
    return ServerFailed(f"the server of '{asked.model}' does not behave like an OpenAI-compatible one: {what}")
