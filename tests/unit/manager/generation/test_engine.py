"""The loop that runs a model: on a tiny random Llama, and on a model that writes what the test sets."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from manager.config.model_spec import GenerationConfig
from manager.errors import Cancelled, ContextTooLong, GenerationFailed, OutOfMemory
from manager.generation.engine import Engine
from manager.generation.request import GenerationRequest, Grammar, as_messages
from manager.generation.stream import TokenStream
from tests.unit.manager.conftest import SECONDS, byte_tokenizer, tiny_model

MakeEngine = Callable[..., Engine]
GRAMMAR = Grammar(lark='start: "yes" | "no"')


class Scripted:
    """A model that writes a given text, whatever it is asked, and then its end token."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        self.config = tiny_model().config
        self.generation_config = SimpleNamespace(eos_token_id=[0])
        self.device = torch.device("cpu")
        self._before_reply = [" ".join(map(str, tokenizer(end).input_ids)) for end in ("assistant\n", "Assistant:")]
        self._script = [*tokenizer(text).input_ids, 0]

    def __call__(self, input_ids: Any, past_key_values: Any, **_: object) -> SimpleNamespace:
        past_key_values.fed = [*getattr(past_key_values, "fed", ()), *input_ids[0].tolist()]
        fed = " ".join(map(str, past_key_values.fed))
        written = re.split("|".join(self._before_reply), fed)[-1].split()
        logits = torch.zeros(1, 1, self.config.vocab_size)
        logits[0, 0, self._script[len(written)]] = 100.0
        return SimpleNamespace(logits=logits)


@pytest.fixture
def engine() -> Iterator[MakeEngine]:
    """Makes engines and closes them."""
    made: list[Engine] = []

    def make(model: Any = None, tokenizer: Any = None) -> Engine:
        made.append(Engine(model or tiny_model(), tokenizer or byte_tokenizer(), "test"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(engine: Engine, prompt: str = "Hi", **settings: Any) -> TokenStream:
    grammar, constrained = settings.pop("grammar", None), settings.pop("constrained", True)
    seed, thinking = settings.pop("seed", 1), settings.pop("thinking", 0)
    config = GenerationConfig(**{"max_new_tokens": 24, "temperature": 1.0, "top_p": 1.0, **settings})
    stream = TokenStream()
    engine.submit(GenerationRequest(as_messages(prompt), config, seed, grammar, constrained, thinking=thinking), stream)
    return stream


def text(stream: TokenStream) -> str:
    pieces = "".join(stream)
    assert pieces == stream.completion.text
    return pieces


def watched(model: Any) -> list[int]:
    """How many tokens each pass of the model has, from now on."""
    shapes: list[int] = []
    model.register_forward_pre_hook(lambda _, __, kwargs: shapes.append(kwargs["input_ids"].shape[1]), with_kwargs=True)
    return shapes


# -- a real model ----------------------------------------------------------------------------------------------


def test_the_likeliest_text_is_what_transformers_writes(engine: MakeEngine) -> None:
    model, tokenizer = tiny_model(), byte_tokenizer()
    prompt = torch.tensor([engine(model, tokenizer).template.encode(as_messages("Hi"))])
    expected = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=24,
        eos_token_id=None,
        pad_token_id=0,
    )[0, prompt.shape[1] :]
    writing = engine(model, tokenizer)
    writing.end_tokens = frozenset()
    assert text(ask(writing, temperature=0)) == tokenizer.decode(expected)


def test_the_same_seed_writes_the_same_text_alone_and_beside_others(engine: MakeEngine) -> None:
    writing = engine()
    alone = text(ask(writing, seed=5))
    streams = [ask(writing, seed=seed) for seed in (4, 5, 6)]
    beside = [text(stream) for stream in streams]
    assert beside[1] == alone
    assert len({*beside}) == 3
    assert text(ask(engine(), seed=5)) == alone, "in another engine, too"


def test_requests_are_written_at_the_same_time(engine: MakeEngine) -> None:
    model = tiny_model()
    writing = engine(model)
    writing.end_tokens = frozenset()
    shapes, gate = watched(model), threading.Event()
    model.register_forward_pre_hook(lambda *_: gate.wait(SECONDS) and None)
    streams = [ask(writing, f"{seed} says hi", seed=seed) for seed in range(3)]
    gate.set()
    assert all(len(text(stream)) > 0 for stream in streams)
    assert sum(shapes) == sum(stream.completion.prompt_tokens - 1 + 24 for stream in streams)
    assert len(shapes) < 30, "most passes wrote a token for each"
    assert shapes.count(3) > 20


def test_a_consumer_that_stops_reading_delays_no_other(engine: MakeEngine) -> None:
    writing = engine()
    writing.end_tokens = frozenset()
    left = ask(writing, max_new_tokens=40)
    read = left.read()
    others = [ask(writing, seed=seed) for seed in (2, 3)]
    assert all(text(stream) for stream in others)
    while not left.ended:
        text(ask(writing))  # the unread stream is written to its end beside the others
    assert left.completion.tokens == 40
    assert (read or "") + "".join(left) == left.completion.text
    assert len(writing.batch) == 0


def test_a_prompt_is_computed_once(engine: MakeEngine) -> None:
    model = tiny_model()
    writing = engine(model)
    shapes = watched(model)
    stream = ask(writing, max_new_tokens=5)
    list(stream)
    assert shapes == [stream.completion.prompt_tokens, 1, 1, 1, 1]


def test_a_completion_says_what_it_cost(engine: MakeEngine) -> None:
    writing = engine()
    writing.end_tokens = frozenset()
    stream = ask(writing, "Hello", max_new_tokens=7)
    list(stream)
    completion = stream.completion
    assert completion.prompt_tokens == len(writing.template.encode(as_messages("Hello")))
    assert (completion.tokens, completion.forced_tokens, completion.finish_reason) == (7, 0, "length")
    assert 0 < completion.first_token_seconds <= completion.seconds


# -- where a text ends -----------------------------------------------------------------------------------------


def test_a_text_ends_at_the_end_token(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, "Fine."), tokenizer), max_new_tokens=100)
    assert text(stream) == "Fine."
    assert (stream.completion.finish_reason, stream.completion.tokens) == ("stop", 5)


def test_a_text_ends_at_its_limit(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, "abcdefgh"), tokenizer), max_new_tokens=5)
    assert text(stream) == "abcde"
    assert (stream.completion.finish_reason, stream.completion.tokens) == ("length", 5)


@pytest.mark.parametrize(
    ("stop", "expected"), [(["END"], "One."), ([".", "END"], "One"), (["nothing"], "One.END Two."), (["."], "One")]
)
def test_a_text_ends_before_a_stop_text(engine: MakeEngine, stop: list[str], expected: str) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, "One.END Two."), tokenizer), stop=tuple(stop))
    assert text(stream) == expected
    assert stream.completion.finish_reason == "stop"


def test_text_held_back_as_a_possible_stop_text_is_written_at_the_end(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    writing = engine(Scripted(tokenizer, "One.EN"), tokenizer)
    assert text(ask(writing, stop=("END",))) == "One.EN"
    assert text(ask(writing, "Ho", stop=("END",), max_new_tokens=5)) == "One.E"


def test_a_plain_model_does_not_write_the_next_speakers_lines(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer(template=None)
    writing = engine(Scripted(tokenizer, " I agree.\nUser: And I"), tokenizer)
    assert text(ask(writing, max_new_tokens=100)) == " I agree."


def test_characters_of_several_tokens_come_whole(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, "né🤝"), tokenizer))
    assert text(stream) == "né🤝"
    cut = ask(engine(Scripted(tokenizer, "né🤝"), tokenizer), max_new_tokens=5)
    assert text(cut) == "né�"


def test_a_prompt_and_its_reply_fit_the_context(engine: MakeEngine) -> None:
    writing = engine(tiny_model(context=64))
    writing.end_tokens = frozenset()
    stream = ask(writing, "x" * 20, max_new_tokens=1000)
    list(stream)
    completion = stream.completion
    assert completion.prompt_tokens + completion.tokens == 64
    assert completion.finish_reason == "length"


def test_a_prompt_that_leaves_no_room_is_refused(engine: MakeEngine) -> None:
    stream = ask(engine(tiny_model(context=64)), "x" * 64)
    with pytest.raises(ContextTooLong, match=r"the prompt has \d+ tokens, the model's context 64"):
        list(stream)


# -- grammars --------------------------------------------------------------------------------------------------


def test_a_grammar_decides_what_can_be_written(engine: MakeEngine) -> None:
    writing = engine()
    grammar = Grammar(lark='start: "accept" | "walk away"')
    streams = [ask(writing, seed=seed, grammar=grammar, stop=("a",)) for seed in range(8)]
    texts = {text(stream) for stream in streams}
    assert texts == {"accept", "walk away"}
    completion = streams[0].completion
    assert completion.finish_reason == "stop"
    assert completion.forced_tokens == completion.tokens - 1, "only the first letter is a choice"


def test_the_model_sees_what_the_grammar_forced(engine: MakeEngine) -> None:
    model, tokenizer = tiny_model(), byte_tokenizer()
    writing = engine(model, tokenizer)
    fed: list[int] = []
    model.register_forward_pre_hook(lambda _, __, kwargs: fed.extend(kwargs["input_ids"][0].tolist()), with_kwargs=True)
    stream = ask(writing, grammar=Grammar(lark='start: ("red" | "blue") " car " ("1" | "2")'))
    written = text(stream)
    assert tokenizer.decode(fed[stream.completion.prompt_tokens :]) == written[:-1], "all but the last choice"


def test_an_unconstrained_request_ignores_its_grammar(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    writing = engine(Scripted(tokenizer, "Whatever"), tokenizer)
    assert text(ask(writing, grammar=Grammar(lark='start: "x"'), constrained=False)) == "Whatever"
    assert text(ask(writing, grammar=Grammar(lark='start: "x"'))) == "x"


def test_a_text_in_a_grammar_that_may_end_ends_without_a_trace_of_its_end_token(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, "aaa"), tokenizer), grammar=Grammar(lark="start: /a+/"))
    assert text(stream) == "aaa"
    assert stream.completion.finish_reason == "stop"


# -- free replies are read like those of servers ---------------------------------------------------------------

JSON = '{"x": "<a> {b}"}'
FREE: dict[str, Any] = {"grammar": Grammar(schema={"type": "object"}), "constrained": False, "max_new_tokens": 100}


@pytest.mark.parametrize(
    "written",
    [
        JSON,
        f"<think>\nHm. {{</think>\n\n{JSON}",
        f"<think></think>{JSON}",
        f"[THINK]Hm.[/THINK]{JSON}",
        f"Hm.\n</think>\n{JSON}",
        f"<think>Hm.</think><answer>{JSON}</answer>",
    ],
)
def test_think_blocks_of_a_local_model_are_dropped_with_thinking_at_0(engine: MakeEngine, written: str) -> None:
    tokenizer = byte_tokenizer()
    stream = ask(engine(Scripted(tokenizer, written), tokenizer), **FREE)
    assert text(stream).strip() == JSON
    assert stream.completion.note == ""
    assert stream.completion.tokens >= len(written.removesuffix("</answer>")), "thinking costs tokens"


def test_thinking_of_a_local_model_that_is_wanted_is_put_in_one_form(engine: MakeEngine) -> None:
    tokenizer = byte_tokenizer()
    writing = engine(Scripted(tokenizer, f"[THINK]Hm.[/THINK]{JSON}"), tokenizer)
    assert text(ask(writing, **FREE, thinking=50)) == f"<think>Hm.</think>{JSON}"


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("<think>" + "Hm. " * 40, "All 100 tokens went into thinking"),
        ("<think>Hm.</think>", "wrote its thinking, but no reply"),
        ("I would say so. " * 30, "did not begin with a JSON object, and was cut off"),
        (JSON + " I hope so." * 30, "went on after its JSON object"),
    ],
)
def test_a_free_reply_of_a_local_model_that_ended_early_says_why(engine: MakeEngine, written: str, note: str) -> None:
    tokenizer = byte_tokenizer()
    limit = 100 if note.startswith("All") else 220
    stream = ask(engine(Scripted(tokenizer, written), tokenizer), **{**FREE, "max_new_tokens": limit})
    text(stream)
    assert note in stream.completion.note
    assert stream.completion.tokens < 220, "nothing more is written"


# -- every documented setting takes effect ---------------------------------------------------------------------

LETTERS = Grammar(lark="start: /[a-z ]{8,40}/")


@pytest.mark.parametrize("grammar", [None, LETTERS])
@pytest.mark.parametrize("setting", [{"temperature": 0}, {"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999}])
def test_a_setting_that_leaves_only_the_likeliest_token_takes_effect(
    engine: MakeEngine, setting: dict[str, Any], grammar: Grammar | None
) -> None:
    writing = engine()
    likeliest = text(ask(writing, temperature=0, grammar=grammar))
    assert {text(ask(writing, seed=seed, grammar=grammar, **setting)) for seed in range(4)} == {likeliest}
    assert text(ask(writing, seed=5, grammar=grammar)) != likeliest


@pytest.mark.parametrize("grammar", [None, LETTERS])
def test_the_setting_repetition_penalty_takes_effect(engine: MakeEngine, grammar: Grammar | None) -> None:
    writing = engine()
    plain, penalised = (
        text(ask(writing, temperature=0, grammar=grammar, repetition_penalty=penalty)) for penalty in (1.0, 5.0)
    )
    assert penalised != plain


@pytest.mark.parametrize("grammar", [None, LETTERS])
def test_the_setting_max_new_tokens_takes_effect(engine: MakeEngine, grammar: Grammar | None) -> None:
    stream = ask(engine(), grammar=grammar, max_new_tokens=3)
    text(stream)
    assert (stream.completion.tokens, stream.completion.finish_reason) == (3, "length")


@pytest.mark.parametrize(("template", "transcript"), [(None, True), ("{{ messages[0].content }}", False)])
def test_a_completion_of_a_model_without_a_chat_template_says_that_it_read_a_transcript(
    engine: MakeEngine, template: str | None, transcript: bool
) -> None:
    stream = ask(engine(None, byte_tokenizer(template)), max_new_tokens=1)
    text(stream)
    assert stream.completion.transcript is transcript


OPENS_THINKING = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ '[assistant]<think>\n' }}"


@pytest.mark.parametrize(
    ("thinking", "constrained", "end"),
    [
        (0, True, "[assistant]<think>\n\n</think>\n\n"),
        (0, False, "[assistant]<think>\n\n</think>\n\n"),
        (100, True, "[assistant]"),
        (100, False, "[assistant]<think>\n"),
    ],
)
def test_the_thinking_of_a_request_reaches_the_chat_template(
    engine: MakeEngine, thinking: int, constrained: bool, end: str
) -> None:
    tokenizer = byte_tokenizer(OPENS_THINKING)
    config = GenerationConfig(max_new_tokens=1)
    request = GenerationRequest(as_messages("Hi"), config, 1, GRAMMAR, constrained, thinking=thinking)
    stream = TokenStream()
    engine(None, tokenizer).submit(request, stream)
    text(stream)
    assert stream.completion.prompt_tokens == len(tokenizer(f"[user]Hi{end}").input_ids)


# -- what goes wrong -------------------------------------------------------------------------------------------


def test_a_bad_request_fails_alone(engine: MakeEngine) -> None:
    writing = engine()
    good = ask(writing, seed=1)
    bad = ask(writing, grammar=Grammar(lark="start: ("))
    also_good = ask(writing, seed=1)
    with pytest.raises(GenerationFailed, match="the grammar is not usable"):
        list(bad)
    assert text(good) == text(also_good) != ""


@pytest.mark.parametrize(
    ("error", "kind"), [(RuntimeError("bad"), GenerationFailed), (torch.OutOfMemoryError(), OutOfMemory)]
)
def test_a_failed_step_fails_only_its_own_request(engine: MakeEngine, error: Exception, kind: type[Exception]) -> None:
    model = tiny_model()

    def break_long_prompts(_: object, __: object, kwargs: dict[str, Any]) -> None:
        if kwargs["input_ids"].shape[1] > 60:
            raise error

    writing = engine(model)
    model.register_forward_pre_hook(break_long_prompts, with_kwargs=True)
    good, bad = ask(writing), ask(writing, "x" * 60)
    with pytest.raises(kind):
        list(bad)
    assert text(good) == text(ask(writing))


def test_cancelling_ends_within_a_token(engine: MakeEngine) -> None:
    model = tiny_model()
    writing = engine(model)
    streams: list[TokenStream] = []
    ready = threading.Event()
    calls: list[int] = []

    def cancel_in_the_third_step(*_: object) -> None:
        assert ready.wait(SECONDS)
        calls.append(1)
        if len(calls) == 3:
            streams[0].cancel_token.cancel()

    model.register_forward_pre_hook(cancel_in_the_third_step)
    writing.end_tokens = frozenset()
    streams.append(ask(writing, max_new_tokens=200))
    ready.set()
    with pytest.raises(Cancelled):
        list(streams[0])
    writing.close()
    assert len(calls) == 3


def test_a_request_that_was_cancelled_before_it_began_is_not_begun(engine: MakeEngine) -> None:
    model = tiny_model()
    writing = engine(model)
    calls = watched(model)
    stream = TokenStream()
    stream.cancel_token.cancel()
    writing.submit(GenerationRequest(as_messages("Hi")), stream)
    with pytest.raises(Cancelled):
        list(stream)
    assert calls == []


def test_closing_ends_every_stream_and_the_thread(engine: MakeEngine) -> None:
    model = tiny_model(context=40_000)
    begun = threading.Event()
    model.register_forward_pre_hook(lambda *_: begun.set())
    writing = engine(model)
    writing.end_tokens = frozenset()
    streams = [ask(writing, max_new_tokens=32_000, seed=seed) for seed in range(3)]
    assert begun.wait(SECONDS)
    writing.close()
    writing.close()
    for stream in streams:
        assert stream.ended
        with pytest.raises(Cancelled):
            stream.completion  # noqa: B018 (it raises)
    with pytest.raises(GenerationFailed, match="the weights were unloaded"):
        ask(writing)
    assert "engine test" not in {thread.name for thread in threading.enumerate()}


class Panic(BaseException):
    """Like a panic in a native library: not an Exception."""


def test_a_panic_in_a_pass_ends_that_row_alone(engine: MakeEngine) -> None:
    def panic(*_: Any) -> None:
        raise Panic("native code gave up")

    model = tiny_model()
    made = engine(model)
    hook = model.register_forward_pre_hook(panic)
    with pytest.raises(GenerationFailed, match="native code gave up"):
        text(ask(made))
    hook.remove()
    assert text(ask(made))


def test_all_models_on_the_cpu_compute_on_one_thread(engine: MakeEngine) -> None:
    threads = set()

    def computing(*_: Any) -> None:
        threads.add(threading.current_thread())

    models = [tiny_model(), tiny_model()]
    made = [engine(model) for model in models]
    for model in models:
        model.register_forward_pre_hook(computing)
    for stream in [ask(one) for one in made for _ in range(2)]:
        text(stream)
    assert {thread.name for thread in threads} == {"processor_0"}


@pytest.mark.parametrize(
    ("error", "kind"), [(Panic("native code gave up"), GenerationFailed), (torch.OutOfMemoryError(), OutOfMemory)]
)
def test_an_error_between_passes_ends_all_rows_and_new_requests_are_written(
    engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, error: BaseException, kind: type[Exception]
) -> None:
    made = engine()
    expected = text(ask(made))
    best, broken = made.shelf.best, list[BaseException]()

    def breaks_once(*given: Any) -> Any:
        if not broken:
            broken.append(error)
            raise error
        return best(*given)

    monkeypatch.setattr(made.shelf, "best", breaks_once)
    with pytest.raises(kind):
        text(ask(made))
    assert made.cache_bytes == 0
    assert text(ask(made)) == expected


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"temperature": 1.0}])
def test_invalid_numbers_end_only_their_row_and_are_not_cached(engine: MakeEngine, settings: dict[str, Any]) -> None:
    model = tiny_model()
    made = engine(model)
    expected = text(ask(made, "Hi", **settings))
    long = "x" * 60

    def poison(_: object, given: dict[str, Any], output: Any) -> Any:
        if given["input_ids"].shape[1] > 60:
            output.logits[:, -1] = float("nan")
        return output

    hook = model.register_forward_hook(lambda module, _, given, output: poison(module, given, output), with_kwargs=True)
    good, bad = ask(made, "Hi", **settings), ask(made, long, grammar=GRAMMAR, **settings)
    with pytest.raises(GenerationFailed, match="computed invalid numbers"):
        list(bad)
    assert text(good) == expected
    hook.remove()
    assert re.fullmatch(r"yes|no", text(ask(made, long, grammar=GRAMMAR, **settings)))
