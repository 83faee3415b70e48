"""Find out what an OpenAI-compatible server can do, and what Parley will do about it, with a few short requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manager.backends.openai import OpenAIModel
from manager.backends.remote.dialect import FORMS
from manager.config.model_spec import GenerationConfig, ModelSpec
from manager.errors import ParleyError
from manager.generation.request import Completion, GenerationRequest, Grammar, as_messages
from manager.generation.stream import TokenStream

LARGE = 32_000
"""Tokens that are asked for to learn the server's limit. The reply itself is short."""
_ROOM = 400
_SKY = "Which colour is the sky? Reply with a JSON object with the key colour."
_COLOURS = [
    {
        "type": "object",
        "properties": {"colour": {"enum": [colour]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    for colour in ("teal", "beige")
]


_Found = tuple[str, str]


@dataclass(frozen=True)
class ServerFinding:
    """What was found out about one topic, and what it means for negotiations."""

    topic: str
    found: str
    consequence: str


def check_server(spec: ModelSpec, report: Callable[[ServerFinding], None] = lambda _: None) -> list[ServerFinding]:
    """Ask the model of an entry a few questions, and return what was found out.

    Args:
        spec: An entry of type `openai`.
        report: Called with each finding as soon as there is one.

    Raises:
        ParleyError: The server does not answer a plain question.
    """
    model = OpenAIModel(spec, Path())
    findings: list[ServerFinding] = []

    def add(finding: ServerFinding) -> None:
        findings.append(finding)
        report(finding)

    try:
        model.prepare(lambda *_: None)
        plain, pieces = _asked(model, "Count from one to twenty, in words.")
        add(_streaming(plain, pieces))
        add(_usage(plain))
        for topic, probe in _PROBES.items():
            try:
                add(ServerFinding(topic, *probe(model)))
            except ParleyError as error:
                add(ServerFinding(topic, f"failed: {error}", "such requests will fail in negotiations, too"))
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
    model: OpenAIModel,
    question: str,
    grammar: Grammar | None = None,
    *,
    thinking: int = 0,
    seed: int = 7,
    **settings: Any,
) -> tuple[Completion, int]:
    config = GenerationConfig(**{"temperature": 0.0, "max_new_tokens": _ROOM, **settings})
    stream = _Counted()
    request = GenerationRequest(as_messages(question), config, seed=seed, grammar=grammar, thinking=thinking)
    model.generate(request, stream)
    for _ in stream:
        pass
    return stream.completion, stream.pieces


def _streaming(done: Completion, pieces: int) -> ServerFinding:
    if pieces > 1:
        found = f"{pieces} pieces in {done.seconds:.1f} s, the first after {done.first_token_seconds:.1f} s"
        return ServerFinding("streaming", found, "turns are shown while they are written")
    return ServerFinding("streaming", "the reply came in one piece", "turns appear when they are complete")


def _usage(done: Completion) -> ServerFinding:
    if done.estimated:
        return ServerFinding("usage", "not reported", "tokens and cost are estimates, and marked as such")
    found = f"{done.prompt_tokens} tokens in the prompt, {done.tokens} in the reply"
    return ServerFinding("usage", found, "tokens and cost are the server's own counts")


def _schema(model: OpenAIModel) -> _Found:
    done, _ = _asked(model, _SKY, Grammar(schema={"anyOf": _COLOURS}))
    if FORMS[model.dialect.form] != "schema":
        return "refused", "replies are checked when they are read, and the model is asked again after illegal ones"
    if done.held == "schema":
        root = "an object" if model.dialect.form else "anyOf"
        return f"enforced, with {root} at the root", "the server writes only replies of the right form"
    return (
        f"accepted but not enforced: the reply was {'other JSON' if done.held else 'not JSON'}",
        "replies are checked when they are read, and the model is asked again after illegal ones",
    )


def _json_mode(model: OpenAIModel) -> _Found:
    dialect = replace(model.dialect, form=FORMS.index("json"))
    other = OpenAIModel(model.spec, Path(), dialect)
    try:
        done, _ = _asked(other, _SKY, Grammar(schema=_COLOURS[0]))
    finally:
        other.close()
    if FORMS[other.dialect.form] != "json":
        return "refused", "not used"
    needed = FORMS[model.dialect.form] != "schema"
    return (
        "works" if done.held else "accepted but not enforced",
        "used, because schemas are refused" if needed else "not needed, because schemas are accepted",
    )


def _seed(model: OpenAIModel) -> _Found:
    question = "Name a random animal and a random city."
    first, again, other = (_asked(model, question, temperature=1.0, seed=seed)[0].text for seed in (7, 7, 8))
    if "seed" in model.dialect.refused:
        return "refused", "runs differ even with the same seed"
    if first != again:
        return "ignored: two replies with one seed differed", "runs differ even with the same seed"
    if first == other:
        return "all replies were the same, whatever the seed", "pairs of a comparison may repeat each other"
    return "two replies with one seed were the same", "runs may repeat with the same seed"


def _reasoning(model: OpenAIModel) -> _Found:
    question = "What is 17 times 23?"
    done, _ = _asked(model, question, thinking=1000, max_new_tokens=4 * _ROOM)
    if not model.dialect.thinks and not done.text.lstrip().startswith("<think>"):
        return "does not think before it replies", "the agent's option 'thinking' has no effect"
    quiet = OpenAIModel(model.spec, Path(), replace(model.dialect, thinks=True, thoughts=0))
    try:
        _asked(quiet, question, max_new_tokens=4 * _ROOM)
    finally:
        quiet.close()
    if quiet.dialect.thoughts:
        return (
            "thinks before it replies, even when asked not to",
            "its thinking is left out of replies; it costs tokens, and each reply gets room for it",
        )
    return (
        "thinks before it replies, and stops when asked to",
        "it is asked not to think, unless the agent's option 'thinking' allows it",
    )


def _limit(model: OpenAIModel) -> _Found:
    done, _ = _asked(model, "Reply with the word yes.", max_new_tokens=LARGE)
    if done.finish_reason == "length" and done.tokens < min(LARGE, model.dialect.limit or LARGE):
        return (
            f"replies are cut off after {done.tokens:,} tokens",
            "longer replies are invalid; raise the server's limit",
        )
    if model.dialect.limit is None:
        return f"none up to {LARGE:,} tokens", "a reply gets the room it needs"
    return f"{model.dialect.limit:,} tokens in a reply", "longer replies are not asked for"


def _settings(model: OpenAIModel) -> _Found:
    if not (refused := model.dialect.omitted):
        return "all are accepted", "all are sent, though a server may ignore some silently"
    return f"refused: {', '.join(refused)}", "these are not sent, so the server's own defaults hold"


_PROBES: dict[str, Callable[[OpenAIModel], _Found]] = {
    "schema": _schema,
    "JSON mode": _json_mode,
    "seed": _seed,
    "reasoning": _reasoning,
    "limit": _limit,
    "settings": _settings,
}
