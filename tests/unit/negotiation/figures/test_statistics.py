"""How sure figures are: against tables, worked examples and simulations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.figures.statistics import Interval, mean_interval, more_needed, rate_interval, sign_test, student_t
from tests.support.effort import examples

VALUES = st.lists(st.integers(-1000, 1000).map(lambda number: number / 1000), min_size=1, max_size=40)


@pytest.mark.parametrize(("freedom", "table"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045)])
def test_students_t_is_that_of_the_tables(freedom: int, table: float) -> None:
    assert student_t(0.975, freedom) == pytest.approx(table, abs=6e-4)
    assert student_t(0.025, freedom) == pytest.approx(-table, abs=6e-4)


def ends(interval: Interval | None) -> tuple[float, float, float]:
    """An interval's mean and both of its ends."""
    assert interval is not None
    return interval.mean, interval.low, interval.high


@pytest.mark.parametrize(
    ("successes", "tries", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_rates_have_wilsons_interval(successes: int, tries: int, low: float, high: float) -> None:
    """The last example is Newcombe's (1998)."""
    found = rate_interval(successes, tries)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_no_tries_say_nothing() -> None:
    assert rate_interval(0, 0) is None
    assert mean_interval([], -1, 1) is None
    assert more_needed([]) is None
    assert more_needed([0.5]) is None


def test_few_values_have_students_interval() -> None:
    found = mean_interval([0.1, 0.2, 0.3], -1, 1)
    assert found is not None
    reach = 4.3027 * 0.1 / 3**0.5
    assert ends(found) == pytest.approx((0.2, 0.2 - reach, 0.2 + reach), abs=1e-4)


@given(values=VALUES)
@examples(50)
def test_intervals_hold_the_mean_and_stay_in_bounds(values: list[float]) -> None:
    found = mean_interval(values, -1, 1)
    assert found is not None
    assert -1 - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1 + 1e-9
    assert found == mean_interval(values, -1, 1)


@pytest.mark.parametrize("size", [3, 9, 12, 40])
@pytest.mark.parametrize(
    "draw",
    [
        lambda chance, size: np.clip(chance.normal(0.1, 0.2, size), -1, 1),
        lambda chance, size: chance.choice([-0.4, 0.0, 0.6], size, p=[0.2, 0.5, 0.3]) - 0.0,
    ],
    ids=["normal", "three values"],
)
def test_about_nineteen_of_twenty_intervals_hold_the_truth(
    draw: Callable[[np.random.Generator, int], np.ndarray], size: int
) -> None:
    chance = np.random.default_rng(7)
    found = [mean_interval(draw(chance, size).tolist(), -1, 1) for _ in range(200)]
    assert sum(interval is not None and interval.low <= 0.1 <= interval.high for interval in found) >= 182


def test_equal_values_are_no_certainty() -> None:
    once, ten = mean_interval([0.2], -1, 1), mean_interval([0.2] * 10, -1, 1)
    repeats = mean_interval([0.2] * 10, -1, 1, ["all"] * 10)
    assert ends(once) == pytest.approx((0.2, 0.2 - 0.95 * 1.2, 0.2 + 0.95 * 0.8))
    assert ends(repeats) == pytest.approx(ends(once))
    unseen = 1 - 0.05**0.1
    assert ends(ten) == pytest.approx((0.2, 0.2 - unseen * 1.2, 0.2 + unseen * 0.8))


def test_values_that_belong_together_count_as_one_try() -> None:
    """Five values, each seen four times: the interval is that of five values."""
    five = [0.1, 0.3, 0.2, 0.5, 0.4]
    alone, again = mean_interval(five, 0, 1), mean_interval(five * 4, 0, 1, list(range(5)) * 4)
    assert ends(again) == pytest.approx(ends(alone))
    many = [value / 20 for value in range(20)]
    alone, again = mean_interval(many, 0, 1), mean_interval(many * 3, 0, 1, [*map(str, many)] * 3)
    assert ends(again) == pytest.approx(ends(alone))
    pair = mean_interval([0.2, 0.6], 0, 1, ["once", "once"])
    assert ends(pair) == pytest.approx((0.4, 0.02, 0.97))


def test_clusters_may_differ_in_size() -> None:
    """Sums 1 and 2 of sizes 1 and 3: a mean of 0.75, and t(1) * sqrt(2 * 2 * 0.25^2) / 4 around it, cut at the ends."""
    found = mean_interval([1, 1, 1, 0], 0, 1, ["x", "y", "y", "y"])
    assert found == Interval(0.75, 0, 1)
    found = mean_interval([1, 1, 1, 0], -9, 9, ["x", "y", "y", "y"])
    assert found is not None
    assert found.high - 0.75 == pytest.approx(12.706 * 0.5 / 4, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1], 2 / 256),
        ([1, 1, 1, -1], 2 * 5 / 16),
        ([1, -1], 1.0),
        ([0, 0, 1e-12], 1.0),
        ([1] * 9 + [-1] + [0] * 5, 2 * 11 / 1024),
        ([1] * 1200, 0.0),
    ],
)
def test_the_sign_test_counts_splits(values: list[float], p: float) -> None:
    assert sign_test(values) == pytest.approx(p)


def test_how_many_more_values_are_needed() -> None:
    assert more_needed([0.1] * 500) == 0
    assert more_needed([0.3, -0.3]) is None
    noisy = [0.3, -0.2] * 10  # mean 0.05, sd 0.2565
    assert more_needed(noisy) == 207 - 20  # (2.8016 * 0.2565 / 0.05)^2 = 206.6
    assert more_needed([0.25, 0.25]) == 12  # 1 - 0.05^(1/n) < 0.25 / 1.25 from n = 14 on


@given(values=VALUES.filter(lambda values: len(values) > 1))
@examples(50)
def test_more_are_needed_exactly_while_zero_is_not_excluded(values: list[float]) -> None:
    interval, more = mean_interval(values, -1, 1), more_needed(values)
    assert interval is not None
    assert (more == 0) == interval.excludes_zero
