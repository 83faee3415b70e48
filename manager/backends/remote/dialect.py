"""The parameters that a server accepts: found by trial, and remembered once a request works without the refused ones.

Structured output comes in forms, from the most exact one: the JSON schema as it is; a less exact one whose root is an
object, which some servers require; any JSON; nothing, which leaves strict parsing of the reply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from manager.generation.request import GenerationRequest, Held, Message
from manager.generation.text import without_system

FORMS: tuple[Held, ...] = ("schema", "schema", "json", "")
_USUAL = ("temperature", "top_p", "stop")
_EXTRAS = ("top_k", "min_p", "repetition_penalty", "seed", "stream_options")
_ABOUT_FORM = re.compile(r"response_format|json_schema|json_object|schema|grammar|structured|guided", re.IGNORECASE)
_ABOUT_SYSTEM = re.compile(r"system[ _-]?(role|message|prompt)|roles must alternate", re.IGNORECASE)
_CONTROL = re.compile(
    r"<[|｜][^<>|｜]{1,40}[|｜]>|</?s>|</?(bos|eos)>|<(start|end)_of_turn>|\[/?INST\]|<</?SYS>>", re.IGNORECASE
)
"""Control tokens of common chat templates, as servers do not report those of their models."""


@dataclass(frozen=True)
class Dialect:
    """The parameters refused so far, and the form of structured output to use (an index into FORMS)."""

    refused: frozenset[str] = frozenset()
    form: int = 0

    def body(self, model: str, request: GenerationRequest) -> dict[str, Any]:
        """Return the body of a chat completion request."""
        config = request.config
        wanted: dict[str, Any] = {
            "temperature": config.temperature,
            "top_p": config.top_p if config.top_p < 1 else None,
            "top_k": config.top_k or None,
            "min_p": config.min_p or None,
            "repetition_penalty": config.repetition_penalty if config.repetition_penalty != 1 else None,
            "stop": list(config.stop) or None,
            "seed": None if request.seed is None else request.seed % 2**31,
            "stream_options": {"include_usage": True},
        }
        limit = "max_completion_tokens" if "max_tokens" in self.refused else "max_tokens"
        body = {"model": model, "messages": self._messages(request), "stream": True, limit: config.max_new_tokens}
        body |= {name: value for name, value in wanted.items() if value is not None and name not in self.refused}
        if (response_format := self._response_format(request)) is not None:
            body["response_format"] = response_format
        return body

    def without(self, said: str, request: GenerationRequest) -> Dialect | None:
        """Return the dialect to try after a refusal, or None if nothing can be left out.

        Without the parameters that the message `said` names, else without more and more of them.
        """
        body = self.body("", request)
        if "max_tokens" in body and "max_completion_tokens" in said:
            return replace(self, refused=self.refused | {"max_tokens"})
        named = {name for name in _EXTRAS + _USUAL if name in body and re.search(rf"\b{name}\b", said)}
        if named:
            return replace(self, refused=self.refused | named)
        if "system" not in self.refused and request.messages[0]["role"] == "system" and _ABOUT_SYSTEM.search(said):
            return replace(self, refused=self.refused | {"system"})
        extras, usual = ({name for name in names if name in body} for names in (_EXTRAS, _USUAL))
        if "response_format" in body and (_ABOUT_FORM.search(said) or not extras):
            return self._looser(request)
        if extras or usual:
            return replace(self, refused=self.refused | (extras or usual))
        return None

    def held(self, request: GenerationRequest) -> Held:
        """Return the format that the server is asked to enforce."""
        return FORMS[self.form] if self._response_format(request) is not None else ""

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
        messages: list[Message] = [{"role": m["role"], "content": neutral(m["content"])} for m in request.messages]
        return without_system(messages) if "system" in self.refused else messages


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
