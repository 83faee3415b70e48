"""Sampling, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch

from manager.config.model_spec import GenerationConfig
from manager.generation.sampling import Sampler

PLAIN: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
HALVES = [0.5, 0.25, 0.15, 0.1]
"""Probabilities whose logarithms are the logits of most tests."""


def sampler(seed: int | None = 0, **config: Any) -> Sampler:
    return Sampler(GenerationConfig(**{**PLAIN, **config}), seed)


def kept(probabilities: list[float], **config: Any) -> list[float]:
    """Return a distribution after temperature and filters, normalised."""
    drawn = sampler(**config)
    logits = torch.tensor([math.log(p) for p in probabilities]) / drawn.config.temperature
    tokens, shares = drawn.left(torch.softmax(logits, -1).numpy())
    found = dict(zip(tokens.tolist(), (shares / shares.sum()).tolist(), strict=True))
    return [round(found.get(token, 0), 4) for token in range(len(probabilities))]


def draws(count: int = 400, allowed: torch.Tensor | None = None, seen: tuple[int, ...] = (), **config: Any) -> set[int]:
    drawn = sampler(**config)
    logits = torch.tensor([math.log(p) for p in HALVES])
    return {drawn.pick(logits, seen, allowed) for _ in range(count)}


def test_without_filters_all_keep_their_share() -> None:
    assert kept(HALVES) == HALVES


def test_top_k_keeps_the_k_likeliest() -> None:
    assert kept(HALVES, top_k=2) == [0.6667, 0.3333, 0, 0]
    assert kept(HALVES, top_k=4) == HALVES
    assert kept(HALVES, top_k=99) == HALVES


def test_top_p_keeps_the_fewest_that_reach_the_share() -> None:
    assert kept(HALVES, top_p=0.49) == [1, 0, 0, 0]
    assert sorted(kept([0.25] * 4, top_p=0.5)) == [0, 0, 0.5, 0.5], "no more than that"
    assert kept(HALVES, top_p=0.51) == [0.6667, 0.3333, 0, 0]
    assert kept(HALVES, top_p=0.74) == [0.6667, 0.3333, 0, 0]
    assert kept(HALVES, top_p=0.76) == [0.5556, 0.2778, 0.1667, 0]
    assert kept([0.1, 0.5, 0.15, 0.25], top_p=0.6) == [0, 0.6667, 0, 0.3333], "whatever their order"


def test_min_p_keeps_what_is_near_the_likeliest() -> None:
    assert kept(HALVES, min_p=0.4) == [0.6667, 0.3333, 0, 0], "0.4 of 0.5 is 0.2"
    assert kept(HALVES, min_p=0.21) == [0.5556, 0.2778, 0.1667, 0]


def test_temperature_sharpens_and_flattens() -> None:
    total = 0.5**2 + 0.25**2 + 0.15**2 + 0.1**2
    assert kept(HALVES, temperature=0.5) == [round(p**2 / total, 4) for p in HALVES]
    flat = sum(p**0.5 for p in HALVES)
    assert kept(HALVES, temperature=2.0) == [round(p**0.5 / flat, 4) for p in HALVES]


def test_filters_come_one_after_the_other() -> None:
    assert kept(HALVES, top_k=3, top_p=0.8) == [0.6667, 0.3333, 0, 0], "of 0.9, 0.75 are more than 0.8"
    assert kept(HALVES, temperature=0.5, top_p=0.7) == [1, 0, 0, 0], "temperature first: the likeliest has 0.725"


def test_temperature_zero_takes_the_likeliest() -> None:
    assert draws(temperature=0) == {0}
    assert draws(temperature=0.03) == {0}, "and one near it takes nearly always the same"
    assert draws(temperature=5.0) == {0, 1, 2, 3}


def test_draws_follow_the_filters_and_the_shares() -> None:
    assert draws(top_k=2) == {0, 1}
    drawn = sampler(seed=7)
    logits = torch.tensor([math.log(p) for p in HALVES])
    counts = Counter(drawn.pick(logits, (), None) for _ in range(4000))
    for token, share in enumerate(HALVES):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)


def test_only_allowed_tokens_are_drawn() -> None:
    allowed = torch.tensor([False, False, True, True])
    assert draws(allowed=allowed) == {2, 3}
    assert draws(allowed=allowed, temperature=0) == {2}
    assert draws(allowed=allowed, top_k=1) == {2}, "the mask comes before the filters"
    assert draws(allowed=torch.tensor([False, False, False, True]), top_p=0.1, min_p=0.9) == {3}


def test_repetition_is_made_less_likely() -> None:
    # log 0.5 * 2.1 = -1.456 is less than log 0.25 = -1.386
    drawn = sampler(temperature=0, repetition_penalty=2.1)
    logits = torch.tensor([math.log(p) for p in HALVES])
    assert drawn.pick(logits, [0], None) == 1
    assert drawn.pick(logits, [0, 0, 0], None) == 1, "once, however often it was seen"
    assert drawn.pick(logits, [], None) == 0
    assert drawn.pick(logits, [0, 1], None) == 0, "log 0.15 = -1.897 is still less"


def test_repetition_divides_positive_logits() -> None:
    drawn = sampler(temperature=0, repetition_penalty=2.0)
    assert drawn.pick(torch.tensor([3.0, 2.0, -1.0]), [0], None) == 1
    assert drawn.pick(torch.tensor([5.0, 2.0, -1.0]), [0], None) == 0


def test_the_logits_are_not_changed() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0])
    sampler(repetition_penalty=2.0, top_k=1).pick(logits, [0], torch.tensor([True, True, False]))
    assert logits.tolist() == [1.0, 2.0, 3.0]


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    logits = torch.zeros(100)

    def line(seed: int | None) -> list[int]:
        drawn = sampler(seed=seed)
        return [drawn.pick(logits, (), None) for _ in range(20)]

    assert line(1) == line(1)
    assert line(1) != line(2)
    assert line(None) != line(None)


def test_samplers_do_not_disturb_each_other_or_the_process() -> None:
    logits = torch.zeros(100)
    alone = sampler(seed=3)
    expected = [alone.pick(logits, (), None) for _ in range(10)]
    first, second = sampler(seed=3), sampler(seed=4)
    before = torch.random.get_rng_state()
    mixed = []
    for _ in range(10):
        mixed.append(first.pick(logits, (), None))
        second.pick(logits, (), None)
    assert mixed == expected
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_precision_is_sampled_in_full() -> None:
    logits = torch.tensor([math.log(p) for p in HALVES], dtype=torch.bfloat16)
    assert sampler(temperature=0).pick(logits, (), None) == 0
    assert {sampler(seed=n, top_k=1).pick(logits, (), None) for n in range(5)} == {0}
