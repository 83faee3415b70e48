"""The fake backend: what other tests and the benchmarks build upon."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.config.model_spec import GenerationConfig, parse_spec
from manager.errors import Cancelled, GenerationFailed, LoadFailed
from manager.generation.request import GenerationRequest, Grammar, Message, as_messages
from manager.generation.stream import TokenStream

ASK = GenerationRequest(as_messages("Hello"))


def fake(**settings: Any) -> FakeModel:
    return FakeModel(parse_spec("echo", {"type": "fake", **settings}), Path("unused"))


def text(model: FakeModel, request: GenerationRequest = ASK) -> str:
    stream = TokenStream()
    model.generate(request, stream)
    return "".join(stream)


def silent(stage: str, done: int, total: int) -> None:
    pass


def test_its_size_and_place_are_as_its_entry_says() -> None:
    footprint = fake(size_bytes=7, device="cuda:1").prepare(silent)
    assert (footprint.bytes, footprint.device, footprint.remote) == (7, "cuda:1", False)
    assert fake().prepare(silent).device == "cpu"
    assert fake(size_bytes=7).load(silent) == 7
    assert fake().unload() == 0


def test_replies_come_in_turn_with_the_conversation() -> None:
    model = fake(replies=["first", "second"])
    messages: tuple[Message, ...] = as_messages("Hello")
    said = []
    for _ in range(3):
        said.append(text(model, GenerationRequest(messages)))
        messages += ({"role": "assistant", "content": said[-1]}, {"role": "user", "content": "And?"})
    assert said == ["first", "second", "first"]


def test_without_replies_it_draws_from_the_grammar_by_the_seed() -> None:
    grammar = Grammar(sample=lambda chance: f"number {chance.randrange(10**9)}")

    def drawn(seed: int) -> str:
        return text(fake(), GenerationRequest(as_messages("x"), seed=seed, grammar=grammar))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_replies_go_before_the_grammar() -> None:
    grammar = Grammar(sample=lambda _: "legal")
    assert text(fake(replies=["illegal"]), GenerationRequest(as_messages("x"), grammar=grammar)) == "illegal"


def test_a_text_is_cut_at_the_limit() -> None:
    stream = TokenStream()
    config = GenerationConfig(max_new_tokens=2)
    fake(replies=["one two three"]).generate(GenerationRequest(as_messages("x y"), config), stream)
    assert "".join(stream) == "one two"
    completion = stream.completion
    assert (completion.text, completion.finish_reason, completion.tokens) == ("one two", "length", 2)
    assert completion.prompt_tokens == 2


def test_all_of_a_text_is_written_as_it_is() -> None:
    reply = ' {"a":\n "b  c"}\t😀 abcdefghijklmnop '
    assert text(fake(replies=[reply])) == reply


def test_it_fails_its_first_loads() -> None:
    model = fake(fail_loads=2)
    for number in (1, 2):
        with pytest.raises(LoadFailed, match=rf"fake load {number} of 'echo' fails \(key 'fail_loads'\)"):
            model.load(silent)
    assert model.load(silent) == 0


def test_a_load_reports_bytes_and_ends_when_nobody_wants_it() -> None:
    seen: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        assert stage == "loading"
        seen.append((done, total))
        if done >= 50:
            raise Cancelled("nobody waits")

    with pytest.raises(Cancelled):
        fake(size_bytes=100, load_seconds=0.08).load(progress)
    assert seen == [(0, 100), (25, 100), (50, 100)]


@pytest.mark.parametrize("speed", [0.001, None])
def test_cancelling_ends_the_writing_at_once(speed: float | None) -> None:
    stream = TokenStream()
    stream.cancel_token.cancel()
    fake(replies=["never"], tokens_per_second=speed).generate(ASK, stream)
    with pytest.raises(Cancelled):
        list(stream)


def test_cancelling_does_not_wait_for_the_next_token() -> None:
    outer = CancelToken()
    stream = TokenStream(outer)
    fake(replies=["never"], tokens_per_second=0.001).generate(ASK, stream)
    assert stream.read(0) == ""
    outer.cancel()
    with pytest.raises(Cancelled):
        stream.read()


class Panic(BaseException):
    """What a Rust extension raises when it breaks: no Exception."""


@pytest.mark.parametrize("kind", [ZeroDivisionError, Panic])
def test_a_stream_ends_whatever_breaks(kind: type[BaseException]) -> None:
    def broken(chance: random.Random) -> str:
        raise kind("oh")

    sample: Callable[[random.Random], str] = broken
    with pytest.raises(GenerationFailed, match=f"{kind.__name__}: oh"):
        text(fake(), GenerationRequest(as_messages("x"), grammar=Grammar(sample=sample)))
