"""Requests to a model, and finished replies. Plain values; does not import torch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from manager.config.model_spec import GenerationConfig
from manager.credentials import Bearer
from manager.identity import ServerReport

Held = Literal["", "json", "schema", "grammar"]
"""The format enforced while a reply was written: none, any JSON, a JSON schema, or a whole grammar."""


JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""How JSON is written under a grammar, as options of llguidance: with the separators that models write, since others
push them into texts they would not write, and without flexible white space, which small models fill up to the limit."""


class Message(TypedDict):
    """One entry of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Grammar:
    """The allowed texts.

    `schema` is a JSON schema. `lark` is an equivalent or more precise grammar in llguidance's Lark dialect, preferred
    by backends that support it. `sample` draws an allowed text, for the fake backend.
    """

    schema: dict[str, Any] | None = None
    lark: str | None = None
    sample: Callable[[random.Random], str] | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation to be continued by one assistant message.

    Args:
        messages: The conversation.
        config: The generation settings.
        seed: The same seed gives the same text if the backend runs one request at a time.
        grammar: The allowed texts.
        constrained: Whether the grammar is enforced; if not, real models do not see it.
        conversation: The name of a conversation that grows from request to request, so that its prefix can be reused.
        thinking: How many characters of thinking to include, as a <think> block before the reply. With 0, models whose
            chat template or server has a switch for it are asked not to think.
        bearer: The visitor on whose own account it is sent, if the model says so. The lease fills it in.
    """

    messages: tuple[Message, ...]
    config: GenerationConfig = field(default_factory=GenerationConfig)
    seed: int | None = None
    grammar: Grammar | None = None
    constrained: bool = True
    conversation: str | None = None
    thinking: int = 0
    bearer: Bearer | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens that were read and written."""

    prompt: int = 0
    reply: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt + other.prompt, self.reply + other.reply)


@dataclass(frozen=True)
class Completion:
    """A finished text and its cost. Times are in seconds from the request to the backend."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int = 0
    tokens: int = 0
    forced_tokens: int = 0  # the part of `tokens` that the grammar forced
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    held: Held = ""
    transcript: bool = False  # whether the model, having no chat template, read a plain transcript
    estimated: bool = False  # whether the token counts are estimates, as the server reported none
    note: str = ""  # why a remote server's text ended early, as a sentence
    server: ServerReport | None = None  # what a remote server said about itself


def as_messages(prompt: str | Sequence[Message]) -> tuple[Message, ...]:
    """Return a prompt as a conversation. Plain text becomes a user message."""
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    return tuple(prompt)
