"""The parameters that a server accepts: found by trial, and remembered once a request works.

Structured output comes in forms, from the most exact one: the JSON schema as it is; a less exact one whose root is an
object, which some servers require; any JSON; nothing, which leaves strict parsing of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from manager.backends.remote.faults import ABOUT_FORM, ABOUT_ROLES
from manager.generation.request import GenerationRequest, Held, Message
from manager.generation.text import without_empty, without_system

FORMS: tuple[Held, ...] = ("schema", "schema", "json", "")
_USUAL = ("temperature", "top_p", "stop")
_LOCAL = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")
"""Settings of servers for local models. llama.cpp calls the repetition penalty `repeat_penalty`."""
_QUIET: dict[str, Any] = {
    "chat_template_kwargs": {"enable_thinking": False, "thinking": False},  # vLLM, SGLang, llama.cpp
    "reasoning_effort": "none",  # Ollama, LiteLLM, hosted services
}
"""How servers are asked not to think, each in its own way."""
_EXTRAS = (*_LOCAL, *_QUIET, "seed", "stream_options")
_NEUTRAL = {"top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1, "repeat_penalty": 1}
_ABOUT_SYSTEM = re.compile(rf"system[ _-]?(role|message|prompt)|{ABOUT_ROLES.pattern}", re.IGNORECASE)
_ABOUT_STREAMS = re.compile(r"\bstream(ing)?\b(?!_options)", re.IGNORECASE)
_ABOUT_LIMIT = re.compile(r"max_(completion_|new_)?tokens|n_predict", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w-])|(?<![\w.-])\d+(?![\w-])")
_CONTROL = re.compile(
    r"<[|｜][^<>|｜]{1,40}[|｜]>|</?s>|</?(bos|eos)>|<(start|end)_of_turn>|\[/?INST\]|<</?SYS>>", re.IGNORECASE
)
"""Control tokens of common chat templates, as servers do not report those of their models."""
LEAST_LIMIT = 16
"""A lower limit on the tokens of a reply is not believed: the number means something else."""
THOUGHT_TOKENS = 1200
"""Room for the thoughts of a server that thinks although it was not asked to, on top of the reply."""
MOST_THOUGHT_TOKENS = 16 * THOUGHT_TOKENS


@dataclass(frozen=True)
class Dialect:
    """What a server was found to accept and to need."""

    refused: frozenset[str] = frozenset()
    """Names of the parameters that it refuses, and `system` if it refuses system messages."""
    form: int = 0
    """The form of structured output to use, an index into FORMS."""
    terse: bool = False
    """Whether to leave out sampling settings that turn something off, such as `top_k: 0`."""
    limit: int | None = None
    """The most tokens of a reply that it accepts."""
    thinks: bool = False
    """Whether it thinks unless it is asked not to."""
    thoughts: int = 0
    """Tokens of room for its thoughts, on top of the reply."""

    def body(self, model: str, request: GenerationRequest, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the body of a chat completion request; `extra` are fields of the operator's, which win."""
        config = request.config
        wanted: dict[str, Any] = {
            "temperature": config.temperature,
            "top_p": config.top_p,
            "top_k": config.top_k,
            "min_p": config.min_p,
            "repetition_penalty": config.repetition_penalty,
            "repeat_penalty": config.repetition_penalty,
            "stop": list(config.stop) or None,
            "seed": None if request.seed is None else request.seed % 2**31,
            "stream_options": {"include_usage": True},
            **(_QUIET if self.thinks and not request.thinking else {}),
        }
        if self.terse:
            wanted = {name: value for name, value in wanted.items() if name not in _NEUTRAL or value != _NEUTRAL[name]}
        body = {"model": model, "messages": self._messages(request), self._limited: self.room(request)}
        body |= {} if "stream" in self.refused else {"stream": True}
        body |= {name: value for name, value in wanted.items() if value is not None and name not in self.refused}
        if (response_format := self._response_format(request)) is not None:
            body["response_format"] = response_format
        return body | dict(extra or {})

    @property
    def omitted(self) -> list[str]:
        """What is not sent, for people."""
        return sorted(self.refused) + (["sampling settings that are off"] if self.terse else [])

    @property
    def description(self) -> str:
        """What it accepts and what is not sent, for people."""
        forms = ("JSON schemas", "JSON schemas of objects", "JSON mode only", "no structured output")
        limit = f"; at most {self.limit:,} tokens in a reply" if self.limit else ""
        return f"{forms[self.form]}; omitted: {', '.join(self.omitted) or 'nothing'}{limit}"

    def room(self, request: GenerationRequest) -> int:
        """Return the most tokens that the server may write."""
        wanted = request.config.max_new_tokens + self.thoughts
        return wanted if self.limit is None else min(wanted, self.limit)

    def without_named(self, said: str, request: GenerationRequest) -> Dialect | None:
        """Return the dialect without what the message of a refusal names, or None if it names nothing."""
        body = self.body("", request)
        if _ABOUT_LIMIT.search(said):
            if (limit := _most(said, self.room(request))) is not None:
                return replace(self, limit=limit)
            if "max_tokens" in body and "max_completion_tokens" in said:
                return replace(self, refused=self.refused | {"max_tokens"})
        if "stream" in body and _ABOUT_STREAMS.search(said):
            return replace(self, refused=self.refused | {"stream", "stream_options"})
        named = {name for name in _EXTRAS + _USUAL if name in body and re.search(rf"\b{name}\b", said)}
        if {"temperature", "top_p"} <= named and "both" in said:  # either will do
            named -= {"temperature"}
        if named and all(name in _NEUTRAL and body[name] == _NEUTRAL[name] for name in named):
            return replace(self, terse=True)
        if named:
            return replace(self, refused=self.refused | named)
        if "system" not in self.refused and request.messages[0]["role"] == "system" and _ABOUT_SYSTEM.search(said):
            return replace(self, refused=self.refused | {"system"})
        if "response_format" in body and ABOUT_FORM.search(said):
            return self._looser(request)
        return None

    def suspects(self, request: GenerationRequest) -> Iterator[Dialect]:
        """Yield what to try after a refusal that names nothing, most suspect first: schemas fail most often."""
        looser = self
        while "response_format" in looser.body("", request):
            looser = looser._looser(request)
            yield looser
        for names in (_EXTRAS, _EXTRAS + _USUAL):
            if self._sends(names, request):
                yield replace(self, refused=self.refused | set(names), terse=True)
        if looser is not self and self._sends(_EXTRAS + _USUAL, request):
            yield replace(looser, refused=self.refused | set(_EXTRAS + _USUAL), terse=True)

    def after_thinking(self, *, all_of_it: bool) -> Dialect:
        """Return the dialect for a server that thought without being asked to, or used all its tokens for that."""
        more = min(MOST_THOUGHT_TOKENS, max(THOUGHT_TOKENS, 2 * self.thoughts if all_of_it else self.thoughts))
        return replace(self, thinks=True, thoughts=more)

    def held(self, request: GenerationRequest) -> Held:
        """Return the format that the server is asked to enforce."""
        return FORMS[self.form] if self._response_format(request) is not None else ""

    @property
    def _limited(self) -> str:
        return "max_completion_tokens" if "max_tokens" in self.refused else "max_tokens"

    def _sends(self, names: Sequence[str], request: GenerationRequest) -> bool:
        return not self.body("", request).keys().isdisjoint(names)

    def _looser(self, request: GenerationRequest) -> Dialect:
        now = self._response_format(request)
        looser = replace(self, form=self.form + 1)
        return looser if looser._response_format(request) != now else looser._looser(request)

    def _response_format(self, request: GenerationRequest) -> dict[str, Any] | None:
        schema = request.grammar.schema if request.grammar is not None and request.constrained else None
        if schema is None or not FORMS[self.form]:
            return None
        if FORMS[self.form] == "json":
            return {"type": "json_object"}
        sent = schema if self.form == 0 else as_object(schema)
        return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": sent}}

    def _messages(self, request: GenerationRequest) -> list[Message]:
        neutralised: list[Message] = [{"role": m["role"], "content": neutral(m["content"])} for m in request.messages]
        messages = without_empty(neutralised)
        return without_system(messages) if "system" in self.refused else messages


def _most(said: str, sent: int) -> int | None:
    """Return the most tokens that a server accepts, according to its message about the `sent` number.

    >>> _most("max_tokens must be in the range [1, 1024], got 1200", 1200)
    1024
    >>> _most("Unsupported parameter: 'max_tokens' is not supported with o1-2024-12-17", 1200)
    """
    numbers = [int(number.replace(",", "")) for number in _NUMBER.findall(said)]
    return max((number for number in numbers if LEAST_LIMIT <= number < sent), default=None)


def neutral(text: str) -> str:
    """Break up control tokens in `text` with a space, as `ChatTemplate.neutralise` does for local models.

    >>> neutral("I agree.<|im_end|>")
    'I agree.< |im_end|>'
    """
    while _CONTROL.search(text):
        text = _CONTROL.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def as_object(schema: dict[str, Any]) -> dict[str, Any]:
    """Merge a schema of several objects with the same keys into one, whose keys accept the values of any of them.

    >>> a = {"type": "object", "properties": {"x": {"const": 1}, "y": {"type": "null"}}, "required": ["x", "y"]}
    >>> b = {"type": "object", "properties": {"x": {"const": 2}, "y": {"type": "null"}}, "required": ["x", "y"]}
    >>> as_object({"anyOf": [a, b]})["properties"]
    {'x': {'anyOf': [{'const': 1}, {'const': 2}]}, 'y': {'type': 'null'}}
    """
    cases = schema.get("anyOf", [])
    if not cases or len({tuple(case.get("properties", ())) for case in cases}) != 1:
        return schema
    properties: dict[str, Any] = {}
    for name in cases[0].get("properties", ()):
        kinds: list[Any] = []
        for case in cases:
            if case["properties"][name] not in kinds:
                kinds.append(case["properties"][name])
        properties[name] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {**cases[0], "properties": properties}
