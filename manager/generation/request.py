"""What a model is asked to write, and what came of it. Plain values; no torch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from manager.config.registry import GenerationConfig

Held = Literal["", "json", "schema", "grammar"]
"""What a reply was held to while it was written: nothing, any JSON, a JSON schema, or a whole grammar."""


JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""How JSON is written under a grammar, as options of llguidance: with the separators that models write, since others
push them into texts they would not write, and without flexible white space, which small models fill up to the limit."""


class Message(TypedDict):
    """One entry of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Grammar:
    """Which texts are allowed.

    `schema` is a JSON schema, for backends that take one; `lark` is a grammar in llguidance's Lark dialect that
    says the same or more precisely, and goes first where it is understood. `sample` draws an allowed text: the
    fake backend writes with it.
    """

    schema: dict[str, Any] | None = None
    lark: str | None = None
    sample: Callable[[random.Random], str] | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation to be continued by one assistant message.

    With a `grammar` and `constrained`, only texts of the grammar can be written; with `constrained` off the grammar
    is a hint that real models do not see. The same `seed` gives the same text where the backend runs one
    request at a time. `conversation` names what grows from request to request, so that work on its beginning can
    be reused. `thinking` is how many characters of thinking, in a <think> block before the reply, are wanted of
    backends that have it apart from the reply.
    """

    messages: tuple[Message, ...]
    config: GenerationConfig = field(default_factory=GenerationConfig)
    seed: int | None = None
    grammar: Grammar | None = None
    constrained: bool = True
    conversation: str | None = None
    thinking: int = 0


@dataclass(frozen=True)
class Completion:
    """A finished text and what it cost. Times are in seconds from the request to the backend."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int = 0
    tokens: int = 0
    forced_tokens: int = 0  # of `tokens`, those that the grammar left no choice about
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    held: Held = ""
    estimated: bool = False  # whether the tokens were not counted by who wrote them


def as_messages(prompt: str | Sequence[Message]) -> tuple[Message, ...]:
    """A prompt as a conversation; plain text becomes the user's message."""
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    return tuple(prompt)
