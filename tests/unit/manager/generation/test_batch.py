"""Rows that come and go: each writes what it would write alone, within the memory there is, and ends exactly once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manager.config.model_spec import GenerationConfig
from manager.errors import Cancelled, GenerationFailed, OutOfMemory
from manager.generation import batch as batch_module
from manager.generation.batch import Batch
from manager.generation.forward.flat import FlatRunner, flat_runner
from manager.generation.forward.kv import Memo, Shelf
from manager.generation.forward.solo import SoloRunner
from manager.generation.grammar import GrammarCompiler
from manager.generation.request import GenerationRequest, Grammar, as_messages
from manager.generation.row import Arrival, Row
from manager.generation.stream import TokenStream
from manager.generation.text import ChatTemplate
from tests.support.effort import examples
from tests.unit.manager.conftest import byte_tokenizer, tiny_model

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TOKENIZER = byte_tokenizer()
TEMPLATE = ChatTemplate(TOKENIZER)
MODEL = tiny_model(context=1024)
COMPILER = GrammarCompiler(TOKENIZER, 259)
OFFER = {
    "type": "object",
    "properties": {"price": {"type": "integer", "minimum": 10, "maximum": 99}, "note": {"type": "string"}},
    "required": ["price", "note"],
    "additionalProperties": False,
}
MANNERS: list[dict[str, Any]] = [{}, {"schema": OFFER}, {"repetition_penalty": 1.3}]


class Counted(TokenStream):
    """Counts its ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    def finish(self, completion: Any) -> None:
        self.ends.append("finish")
        super().finish(completion)

    def fail(self, error: BaseException) -> None:
        self.ends.append("fail")
        super().fail(error)


def runner(kind: str = "flat") -> Any:
    return (flat_runner(MODEL) if kind == "flat" else None) or SoloRunner(MODEL)


def batch(kind: str = "flat", writing: int = 1 << 30, kept: int = 1 << 30) -> Batch:
    return Batch(runner(kind), Shelf(kept), writing)


def row(tokens: Sequence[int], **how: Any) -> Row:
    """A row after a prompt of tokens; with `lark` or `schema` under a grammar."""
    matcher = None
    if "lark" in how or "schema" in how:
        matcher = COMPILER.matcher(Grammar(schema=how.pop("schema", None), lark=how.pop("lark", None)))
    conversation, seed = how.pop("conversation", None), how.pop("seed", 0)
    config = GenerationConfig(**{"max_new_tokens": 20, "temperature": 0, **how})
    request = GenerationRequest(as_messages(""), config, seed, conversation=conversation)
    arrival = Arrival(request, Counted(), time.monotonic())
    return Row(
        arrival,
        prompt=list(tokens),
        room=1024 - len(tokens),
        matcher=matcher,
        tokenizer=TOKENIZER,
        template=TEMPLATE,
        end_tokens=frozenset(),
    )


def run(batch: Batch) -> None:
    with torch.inference_mode():
        while len(batch):
            batch.step()


def step(batch: Batch) -> None:
    with torch.inference_mode():
        batch.step()


def passes(rows: Batch) -> list[list[int]]:
    """How many tokens each row gives to each pass from here on."""
    shapes: list[list[int]] = []
    original = rows._runner.run

    def recorded(parts: Any) -> Any:
        shapes.append([len(tokens) for _, tokens in parts])
        return original(parts)

    rows._runner.run = recorded  # type: ignore[method-assign]
    return shapes


def alone(tokens: Sequence[int], **how: Any) -> list[int]:
    """What a row writes in a batch of its own, one by one, with nothing kept."""
    one, by_itself = batch("solo", kept=0), row(tokens, **how)
    one.add(by_itself)
    run(one)
    return by_itself.written


def ends(row: Row) -> list[str]:
    assert isinstance(row.stream, Counted)
    return row.stream.ends


# -- the same as alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["flat", "solo"])
@examples(4)
@given(
    seed=st.integers(0, 2**32), writing=st.sampled_from([150_000, 1 << 30]), kept=st.sampled_from([0, 60_000, 1 << 30])
)
def test_rows_write_the_same_text_together_as_alone(kind: str, seed: int, writing: int, kept: int) -> None:
    """Over random joins, leaves, forks and cancellations; and no slot is lost or left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "CHUNK", 16)
        chance = random.Random(seed)
        rows = batch(kind, writing, kept)
        beginning = [chance.randrange(3, 259) for _ in range(40)]
        transcripts = {name: beginning + [chance.randrange(3, 259) for _ in range(5)] for name in range(10)}
        writers: dict[int, Row] = {}
        asked: list[tuple[Row, list[int], dict[str, Any]]] = []
        for _ in range(60):
            name = chance.randrange(10)
            if name not in writers:
                origin = chance.randrange(10) if chance.random() < 0.2 else name
                prompt = transcripts[origin] + [chance.randrange(3, 259) for _ in range(chance.choice([1, 8, 30, 90]))]
                if chance.random() < 0.2:  # something earlier was different after all
                    prompt[chance.randrange(len(prompt))] = 7
                how: dict[str, Any] = {"max_new_tokens": chance.randrange(1, 25)}
                how |= chance.choice(MANNERS)
                new = row(prompt, conversation=str(name), **how)
                writers[name] = new
                asked.append((new, list(prompt), how))
                rows.add(new)
            if chance.random() < 0.1 and writers:
                chance.choice(list(writers.values())).stream.cancel_token.cancel()
            step(rows)
            assert slots_taken(rows) == slots_owned(rows)
            for name, one in list(writers.items()):
                if one.stream.ended:
                    transcripts[name] = one.tokens[:300]
                    del writers[name]
        run(rows)
        complete = [entry for entry in asked if entry[0].completion is not None]
        for one, prompt, how in chance.sample(complete, min(8, len(complete))):
            assert one.written == alone(prompt, **how)
            assert ends(one) == ["finish"]
    rows._shelf.trim(0)
    assert slots_taken(rows) == 0


def slots_taken(rows: Batch) -> int:
    """How many slots the arena has given out."""
    if not isinstance(rows._runner, FlatRunner):
        return 0
    return sum(len(slab.taken) for slab in rows._runner.arena.slabs())


def slots_owned(rows: Batch) -> int:
    """How many slots belong to rows and to the shelf."""
    if not isinstance(rows._runner, FlatRunner):
        return 0
    memos = [*(one.memo for one in rows.rows), *rows._shelf._memos]
    return sum(memo is not None and memo.bytes > 0 for memo in memos)


def test_each_row_has_its_own_seed() -> None:
    texts = []
    for others in (0, 3):
        rows, mine = batch(), row(range(5, 25), temperature=1.0, seed=7, reproducible=True)
        for number in range(others):
            rows.add(row(range(9, 30), temperature=1.0, seed=number))
        rows.add(mine)
        run(rows)
        texts.append(mine.written)
    assert texts[0] == texts[1]


def test_a_reproducible_row_has_its_own_passes_and_reuses_no_cache() -> None:
    rows = batch()
    rows.add(row(range(5, 60), conversation="c"))
    run(rows)
    shapes = passes(rows)
    for number in range(2):
        rows.add(row(range(5, 60), conversation="c", reproducible=True, max_new_tokens=4, seed=number))
    run(rows)
    assert shapes == [[55], [55], [1], [1], [1], [1], [1], [1]]


def test_a_prefix_shared_by_rows_is_computed_once() -> None:
    rows = batch()
    shapes = passes(rows)
    system = list(range(3, 250))
    for number in range(8):
        rows.add(row([*system, 3 + number, 4], max_new_tokens=1))
    run(rows)
    assert sum(map(sum, shapes)) == len(system) + 8 * 2


def test_a_continued_conversation_computes_only_new_tokens() -> None:
    rows = batch()
    shapes = passes(rows)
    first = row(range(3, 200), conversation="c", max_new_tokens=5)
    rows.add(first)
    run(rows)
    shapes.clear()
    rows.add(row([*first.tokens, 9, 9, 9], conversation="c", max_new_tokens=1))
    run(rows)
    assert shapes == [[4]], "the last token written, and three new ones"


# -- grammars --------------------------------------------------------------------------------------------------


@examples(8)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 3), st.integers(1, 60)), min_size=1, max_size=8))
def test_no_row_leaves_its_grammar(rows: list[tuple[int, float, int]]) -> None:
    together = batch()
    asked = []
    for seed, temperature, limit in rows:
        how = {"seed": seed, "temperature": temperature, "max_new_tokens": limit}
        asked.append(row(range(3, 9), schema=OFFER, **how))
        together.add(asked[-1])
        together.add(row(range(3, 12), **how))
    run(together)
    for one in asked:
        assert one.completion is not None
        assert len(one.written) <= one.longest - 6
        fresh = COMPILER.matcher(Grammar(schema=OFFER))
        assert fresh.native.validate_tokens(one.written) == len(one.written)
        if one.completion.finish_reason == "stop":
            assert set(json.loads(one.completion.text)) == {"price", "note"}
            assert 10 <= json.loads(one.completion.text)["price"] <= 99


@pytest.mark.parametrize("limit", [1, 4, 9, 11, 12])
def test_forced_tokens_do_not_exceed_the_limit(limit: int) -> None:
    rows, one = batch(), row(range(3, 9), lark='start: "red" (" car" | " bus") " today"', max_new_tokens=limit)
    rows.add(one)
    run(rows)
    assert one.completion is not None
    assert one.completion.tokens == len(one.written) == min(limit, 13)
    assert one.completion.text in ("red car today"[:limit], "red bus today"[:limit])
    assert one.completion.finish_reason == "length"


# -- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["flat", "solo"])
@pytest.mark.parametrize("phase", ["waiting", "reading", "writing"])
def test_cancelling_frees_the_row_in_every_phase(kind: str, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "CHUNK", 4)
    if phase == "waiting":
        monkeypatch.setattr(batch_module, "MAX_ROWS", 1)
    rows, first, second = batch(kind), row(range(3, 30)), row(range(40, 140))
    rows.add(first)
    rows.add(second)
    wanted = {"waiting": lambda: second in rows.waiting, "reading": lambda: second.memo is not None and second.reading}
    for _ in range(200):
        step(rows)
        if wanted.get(phase, lambda: len(second.written) > 2)():
            break
    assert not second.stream.ended
    second.stream.cancel_token.cancel()
    step(rows)
    assert second not in (*rows.rows, *rows.waiting)
    assert second.memo is None
    assert ends(second) == ["fail"]
    with pytest.raises(Cancelled):
        second.stream.completion  # noqa: B018 (it raises)
    run(rows)
    assert first.written == alone(range(3, 30))


@pytest.mark.parametrize("kind", ["flat", "solo"])
def test_an_error_in_one_row_ends_only_that_row(kind: str) -> None:
    rows = batch(kind)
    original = rows._runner.run

    def broken(parts: Any) -> Any:
        if any([*memo.tokens, *tokens][:2] == [3, 66] for memo, tokens in parts):
            raise torch.OutOfMemoryError("full")
        return original(parts)

    rows._runner.run = broken  # type: ignore[method-assign]
    good, bad, also_good = row(range(3, 30)), row([3, 66, 5]), row(range(70, 90))
    for one in (good, bad, also_good):
        rows.add(one)
    run(rows)
    assert ends(bad) == ["fail"]
    with pytest.raises(OutOfMemory):
        bad.stream.completion  # noqa: B018 (it raises)
    assert good.written == alone(range(3, 30))
    assert also_good.written == alone(range(70, 90))


def test_when_every_pass_fails_each_stream_ends_once() -> None:
    rows = batch()
    rows._runner.run = lambda parts: 1 / 0  # type: ignore[method-assign]
    asked = [row(range(3 + n, 30)) for n in range(5)]
    for one in asked:
        rows.add(one)
    run(rows)
    for one in asked:
        assert ends(one) == ["fail"]
        with pytest.raises(GenerationFailed, match="ZeroDivisionError"):
            one.stream.completion  # noqa: B018 (it raises)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_invalid_logits_fail_only_their_row(temperature: float) -> None:
    rows = batch()
    original = rows._runner.run

    def poisoned(parts: Any) -> Any:
        logits = original(parts).clone()
        for at, (memo, _) in enumerate(parts):
            if memo.tokens[0] == 66:
                logits[at] = torch.nan
        return logits

    rows._runner.run = poisoned  # type: ignore[method-assign]
    good, bad = row(range(3, 30)), row(range(66, 90), temperature=temperature)
    rows.add(bad)
    rows.add(good)
    run(rows)
    assert ends(bad) == ["fail"]
    with pytest.raises(GenerationFailed, match="computed invalid numbers"):
        bad.stream.completion  # noqa: B018 (it raises)
    assert good.written == alone(range(3, 30))


def test_closing_ends_all() -> None:
    rows = batch(writing=1)
    asked = [row(range(3 + n, 30)) for n in range(3)]
    for one in asked:
        rows.add(one)
    step(rows)
    rows.end_all()
    assert [ends(one) for one in asked] == [["fail"]] * 3
    assert len(rows) == 0


# -- memory ----------------------------------------------------------------------------------------------------


def held(batch: Batch) -> int:
    return sum(one.memo.bytes for one in batch.rows if one.memo is not None)


@examples(5)
@given(st.randoms(use_true_random=False), st.integers(0, 250_000), st.integers(0, 250_000))
def test_keys_and_values_stay_within_their_budget(chance: random.Random, writing: int, kept: int) -> None:
    rows = batch(writing=writing, kept=kept)
    asked = []
    for number in range(40):
        if number < 30 and chance.random() < 0.4:
            tokens = [chance.randrange(3, 5) for _ in range(chance.randrange(1, 150))]
            asked.append(row(tokens, conversation=str(chance.randrange(5)), max_new_tokens=chance.randrange(1, 120)))
            rows.add(asked[-1])
        if chance.random() < 0.1:
            rows._shelf.limit = chance.randrange(0, 250_000)
            rows._shelf.trim(rows._shelf.limit)
        step(rows)
        active, shelf = held(rows), rows._shelf.bytes
        assert shelf <= rows._shelf.limit
        assert active + shelf <= writing + rows._shelf.limit or (len(rows.rows) <= 1 and shelf == 0)
    run(rows)
    assert all(ends(one) == ["finish"] for one in asked), "those that were held back, too"
    assert held(rows) == 0


def test_the_least_recently_used_goes_first() -> None:
    class Fixed(Memo):
        def __init__(self, tokens: list[int], conversation: str) -> None:
            super().__init__()
            self.tokens, self.conversation = tokens, conversation

        bytes = 10

        def crop(self, length: int) -> bool:
            return True

        def copy(self, length: int) -> Memo:
            return Fixed(self.tokens[:length], "copy")

    shelf = Shelf(30)
    texts = {name: [number] * 50 for number, name in enumerate("abcd")}
    for name in "abc":
        shelf.put(Fixed(texts[name], name))
    assert shelf.best([*texts["a"], 9], "x", ()) is not None, "a copy: now a was used last"
    shelf.put(Fixed(texts["d"], "d"))
    assert {name for name in "abcd" if shelf.best([*texts[name], 9], "x", ())} == {"a", "c", "d"}
    shelf.put(Fixed([*texts["c"], 5], "c"))
    assert len(shelf) == 3, "one for each conversation"
    shelf.trim(10)
    assert shelf.bytes == 10
