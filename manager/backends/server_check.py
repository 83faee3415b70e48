"""Find out what an OpenAI-compatible server can do, and what Parley will do about it, with a few short requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manager.backends.openai import OpenAIModel
from manager.config.registry import GenerationConfig, ModelSpec
from manager.errors import ParleyError
from manager.generation.request import Completion, GenerationRequest, Grammar, as_messages
from manager.generation.stream import TokenStream

LARGE = 32_000
"""Tokens that are asked for to learn the server's limit. The reply itself is short."""
_ROOM = 400
_COLOURS = [
    {
        "type": "object",
        "properties": {"colour": {"enum": [colour]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    for colour in ("teal", "beige")
]


@dataclass(frozen=True)
class Finding:
    """What was found out about one topic, and what it means for negotiations."""

    topic: str
    found: str
    consequence: str


def check_server(spec: ModelSpec, report: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Ask the model of an entry a few questions, and return what was found out.

    Args:
        spec: An entry of type `openai`.
        report: Called with each finding as soon as there is one.

    Raises:
        ParleyError: The server does not answer a plain question.
    """
    model = OpenAIModel(spec, Path())
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        findings.append(finding)
        report(finding)

    try:
        model.prepare(lambda *_: None)
        plain, pieces = _asked(model, "Reply with the word yes.")
        add(_streaming(plain, pieces))
        add(_usage(plain))
        for probe in (_structure, _seed, _thinking, _limit):
            try:
                add(probe(model))
            except ParleyError as error:
                add(Finding(probe.__name__.strip("_"), f"failed: {error}", "such requests will fail in negotiations"))
        add(_settings(model))
    finally:
        model.close()
    return findings


class _Counted(TokenStream):
    """A stream that counts its pieces."""

    pieces = 0

    def push(self, piece: str) -> None:
        self.pieces += bool(piece)
        super().push(piece)


def _asked(
    model: OpenAIModel, question: str, grammar: Grammar | None = None, thinking: int = 0, **settings: Any
) -> tuple[Completion, int]:
    config = GenerationConfig(**{"temperature": 0.0, "max_new_tokens": _ROOM, **settings})
    stream = _Counted()
    request = GenerationRequest(as_messages(question), config, seed=7, grammar=grammar, thinking=thinking)
    model.generate(request, stream)
    for _ in stream:
        pass
    return stream.completion, stream.pieces


def _streaming(done: Completion, pieces: int) -> Finding:
    found = f"{pieces} pieces in {done.seconds:.1f} s, the first after {done.first_token_seconds:.1f} s"
    if pieces > 1:
        return Finding("streaming", found, "turns are shown while they are written")
    return Finding("streaming", "the reply came in one piece", "turns appear when they are complete")


def _usage(done: Completion) -> Finding:
    if done.estimated:
        return Finding("usage", "not reported", "tokens and cost are estimates, and marked as such")
    return Finding("usage", f"{done.prompt_tokens} + {done.tokens} tokens", "tokens and cost are as the server counts")


def _structure(model: OpenAIModel) -> Finding:
    grammar = Grammar(schema={"anyOf": _COLOURS})
    done, _ = _asked(model, "Which colour has the sky? Reply with a JSON object with the key colour.", grammar)
    try:
        colour = json.loads(done.text).get("colour")
    except (ValueError, RecursionError, AttributeError):
        return Finding(
            "schema", "ignored, and the reply was not JSON", "replies are only checked; invalid ones retried"
        )
    form = ("with anyOf at the root", "with an object at the root")[min(model.dialect.form, 1)]
    if done.held == "schema" and colour in ("teal", "beige"):
        return Finding("schema", f"enforced, {form}", "replies are held to what is legal")
    if done.held == "json":
        return Finding("schema", "refused; JSON mode works", "replies are JSON; illegal ones are retried")
    return Finding("schema", "not enforced, though the reply was JSON", "replies are checked; illegal ones are retried")


def _seed(model: OpenAIModel) -> Finding:
    first, second = (_asked(model, "Name a random animal and a random city.", temperature=1.0)[0] for _ in range(2))
    if "seed" in model.dialect.refused:
        return Finding("seed", "refused", "the same seed gives other texts")
    if first.text == second.text:
        return Finding("seed", "two replies with one seed were the same", "runs may repeat with the same seed")
    return Finding("seed", "two replies with one seed differed", "the same seed gives other texts")


def _thinking(model: OpenAIModel) -> Finding:
    done, _ = _asked(model, "What is 17 times 23?", thinking=1000, max_new_tokens=4 * _ROOM)
    if not model.dialect.thinks and not done.text.lstrip().startswith("<think>"):
        return Finding("reasoning", "none", "nothing")
    return Finding(
        "reasoning",
        "it thinks before it replies",
        "without the agent's option 'thinking', it is asked not to, and gets room for thoughts in case it still does",
    )


def _limit(model: OpenAIModel) -> Finding:
    _asked(model, "Reply with the word yes.", max_new_tokens=LARGE)
    if model.dialect.limit is None:
        return Finding("limit", f"none up to {LARGE:,} tokens", "nothing")
    return Finding("limit", f"{model.dialect.limit:,} tokens in a reply", "longer replies are not asked for")


def _settings(model: OpenAIModel) -> Finding:
    if not (refused := model.dialect.omitted):
        return Finding("settings", "all are accepted", "all are sent; a server may still ignore some without a word")
    return Finding("settings", f"refused: {', '.join(refused)}", "these are left out")
