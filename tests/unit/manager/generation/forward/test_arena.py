"""Slots: each belongs to one memo, keeps its numbers when it moves, and is free again once its memo is gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manager.generation.forward.arena import SLAB_TOKENS, KVArena, SlotMemo, room_for
from manager.generation.forward.attention import Pass, RowPart
from manager.generation.forward.kv import CacheShape
from tests.support.effort import examples

pytestmark = pytest.mark.weights

SHAPE = CacheShape(layers=2, heads=2, size=4, dtype=torch.float32, device=torch.device("cpu"))


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def written(arena: KVArena, length: int, number: float) -> SlotMemo:
    """A memo of `length` tokens, with all numbers the same."""
    memo = SlotMemo(arena)
    memo.reserve(length).numbers[..., :length, :] = number
    memo.tokens = [0] * length
    return memo


def act(chance: random.Random, arena: KVArena, memos: dict[int, SlotMemo], number: int) -> None:
    """Do one random thing to an arena and the memos in it."""
    what = chance.choice(["take", "take", "grow", "fork", "drop", "drop", "tidy"])
    some = chance.choice(list(memos)) if memos else None
    if what == "take" or some is None:
        memos[number] = written(arena, chance.choice([1, 100, 129, 300, 700]), number)
    elif what == "grow":
        memos[some].reserve(len(memos[some].tokens) + chance.choice([1, 200]))
    elif what == "fork":
        memos[number] = fork = memos[some].copy(chance.randrange(1, len(memos[some].tokens) + 1))
        assert (numbers(fork) == some).all()
        numbers(fork).fill_(number)
    elif what == "drop":
        del memos[some]
    else:
        arena.tidy()
        for room in {slab.room for slab in arena.slabs()}:
            alike = [slab for slab in arena.slabs() if slab.room == room]
            assert sum(slab.free for slab in alike) <= 0.75 * sum(slab.slots for slab in alike)


def numbers(memo: SlotMemo) -> torch.Tensor:
    return memo.reserve(1).numbers[..., : len(memo.tokens), :]


@examples(40)
@given(st.integers(0, 2**32))
def test_slots_keep_their_numbers_and_are_not_lost(seed: int) -> None:
    chance, arena = random.Random(seed), KVArena(SHAPE)
    memos: dict[int, SlotMemo] = {}
    for number in range(1, 60):
        act(chance, arena, memos, number)
        places = {(id(place.slab), place.index) for place in (memo.reserve(1).place for memo in memos.values())}
        assert len(places) == len(memos) == sum(len(slab.taken) for slab in arena.slabs())
        assert all((numbers(memo) == kept).all() for kept, memo in memos.items())
    memos.clear()
    assert list(arena.slabs()) == []


def test_slabs_are_small_where_few_rows_are_written() -> None:
    arena = KVArena(SHAPE)
    memos = [written(arena, 200, 1.0) for _ in range(40)]
    assert [slab.slots for slab in arena.slabs()] == [2, 2, 4, 8, 16, 16]
    long = written(arena, SLAB_TOKENS + 1, 1.0)
    assert long.bytes == room_for(SLAB_TOKENS + 1) * SHAPE.token_bytes
    del memos[3:]
    arena.tidy()
    assert sorted(slab.slots for slab in arena.slabs()) == [1, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 70])
@pytest.mark.parametrize("heads", [2, 6])
@examples(10)
@given(seed=st.integers(0, 2**32))
def test_attention_is_that_of_each_row_alone(heads: int, window: int | None, dtype: torch.dtype, seed: int) -> None:
    chance, arena = random.Random(seed), KVArena(replace(SHAPE, dtype=dtype))
    torch.manual_seed(seed)
    spoiled = [written(arena, 1 << 7, float("nan")) for _ in range(chance.randrange(9))]
    del spoiled[chance.randrange(9) :]
    memos = []
    for _ in range(chance.randrange(1, 9)):
        memos.append(written(arena, length := chance.choice([1, 60, 90, 100, 200]), 0))
        memos[-1].reserve(length).numbers[..., :length, :].normal_()
        memos[-1].crop(length if chance.random() < 0.9 else 0)
    entries = []
    for number, memo in enumerate(memos):
        past, new = len(memo.tokens), chance.choice([1, 1, 1, 1, 2, 30])
        entries.append(RowPart(number, memo.reserve(past + new), past, new))
    step = Pass(entries)
    count = sum(entry.new for entry in entries)
    query, keys, values = (torch.randn(n, count, SHAPE.size, dtype=dtype) for n in (heads, SHAPE.heads, SHAPE.heads))
    found = step.attend(1, query, keys, values, window, None)
    begin = 0
    for entry in step.entries:
        own = slice(begin, begin := begin + entry.new)
        numbers = entry.slot.numbers[1, :, :, : entry.end]
        assert torch.equal(numbers[0, :, entry.past :], keys[:, own])
        assert torch.equal(numbers[1, :, entry.past :], values[:, own])
        wide = numbers.float().repeat_interleave(heads // SHAPE.heads, dim=1)
        scores = query[:, own].float() @ wide[0].transpose(1, 2) / SHAPE.size**0.5
        seen = torch.ones(entry.new, entry.end, dtype=torch.bool).tril(entry.past)
        seen = seen.triu(entry.past - window + 1) if window is not None else seen
        expected = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ wide[1]
        tolerance = 1e-5 if dtype == torch.float32 else 0.05
        assert torch.allclose(found[own].float(), expected.transpose(0, 1), atol=tolerance)
