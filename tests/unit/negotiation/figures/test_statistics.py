"""How sure figures are: against tables, worked examples and simulations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.figures.any_time import any_time_p, any_time_t
from negotiation.figures.statistics import (
    Interval,
    holm,
    mean_interval,
    more_needed,
    rate_interval,
    sign_test,
    student_p,
    student_t,
)
from tests.support.effort import examples
from tests.support.looking import SYMMETRIC, ever_different

VALUES = st.lists(st.integers(-1000, 1000).map(lambda number: number / 1000), min_size=1, max_size=40)


@pytest.mark.parametrize(("freedom", "table"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045)])
def test_students_t_is_that_of_the_tables(freedom: int, table: float) -> None:
    assert student_t(0.975, freedom) == pytest.approx(table, abs=6e-4)
    assert student_t(0.025, freedom) == pytest.approx(-table, abs=6e-4)


@pytest.mark.parametrize(("t", "freedom", "table"), [(12.706, 1, 0.05), (2.776, 4, 0.05), (4.604, 4, 0.01), (0, 7, 1)])
def test_p_values_are_those_of_the_tables(t: float, freedom: float, table: float) -> None:
    assert student_p(t, freedom) == pytest.approx(table, abs=2e-4)
    assert student_p(-t, freedom) == student_p(t, freedom)


def test_holm_compares_the_smallest_p_value_with_the_strictest_limit() -> None:
    """The example of Holm's steps: 0.05 / 4, then / 3, then / 2, where it stops."""
    assert holm(np.array([0.03, 0.012, 0.016, 0.04])).tolist() == [False, True, True, False]
    assert holm(np.array([0.02, 0.02])).tolist() == [True, True]
    assert holm(np.array([])).tolist() == []


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
    assert ends(once) == pytest.approx((0.2, 0.2 - 0.975 * 1.2, 0.2 + 0.975 * 0.8))
    assert ends(repeats) == pytest.approx(ends(once))
    unseen = 1 - 0.025**0.1
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
    assert ends(pair) == pytest.approx((0.4, 0.01, 0.985))


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


# -- at any time -----------------------------------------------------------------------------------------------


def test_the_any_time_limit_is_where_the_p_value_is_the_error() -> None:
    for values in (5, 10, 40, 1000):
        for error in (0.05, 0.05 / 36):
            t = any_time_t(values, error)
            if t < 1e9:
                assert float(any_time_p(np.array(t), np.array(values))) == pytest.approx(error, rel=1e-6)
                assert t > student_t(1 - error / 2, values - 1)
    assert any_time_t(4, 0.05) == any_time_t(1, 0.05) == float("inf")
    assert any_time_p(np.array(9.0), np.array(1)) == 1


def test_the_any_time_p_value_is_a_bayes_factor() -> None:
    """Against the integral over the effect and the scale that it is the closed form of."""
    values, t = 6, 2.5
    effect = np.linspace(-8, 8, 1601)[:, None]
    scale = np.exp(np.linspace(-5, 5, 2001))[None, :]
    mean, square = t / values**0.5, values - 1 + t * t  # of values with a standard deviation of 1

    def likelihood(shift: np.ndarray) -> np.ndarray:
        total = square - 2 * shift * scale * values * mean + values * (shift * scale) ** 2
        density: np.ndarray = scale**-values * np.exp(-total / 2 / scale**2)  # over log(scale): the right Haar prior
        return density

    prior = np.exp(-(effect**2) / 2)
    factor = (likelihood(effect).sum(1) @ prior / prior.sum() / likelihood(np.zeros((1, 1))).sum()).item()
    assert factor > 1
    assert float(any_time_p(np.array(t), np.array(values))) == pytest.approx(1 / factor, rel=1e-3)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_equal_agents_are_declared_different_at_most_one_time_in_twenty_however_often_one_looks(name: str) -> None:
    found = ever_different(SYMMETRIC[name](np.random.default_rng(11), (4000, 300)))
    assert found.mean() <= 0.05


def test_looking_after_every_pair_at_intervals_of_a_plan_would_deceive() -> None:
    """The reason for all this: with Student's limits, 200 looks declare equal agents different every third time."""
    values = SYMMETRIC["normal"](np.random.default_rng(11), (2000, 200))
    count = np.arange(1, 201)
    variance = ((values**2).cumsum(1) - values.cumsum(1) ** 2 / count) / np.maximum(count - 1, 1)
    t = np.abs(values.cumsum(1)) / np.sqrt(count * np.maximum(variance, 1e-9))
    limits = np.array([student_t(0.975, max(1, n - 1)) for n in count.tolist()])
    assert (t > limits)[:, 2:].any(1).mean() > 0.25


@pytest.mark.parametrize("size", [6, 12, 40])
def test_any_time_intervals_hold_the_truth_of_unequal_agents(size: int) -> None:
    """Skewed differences with a mean of 0.1, checked at all sizes up to a given one."""
    chance, held = np.random.default_rng(5), 0
    for _ in range(150):
        values = chance.choice([-0.4, 0.0, 0.6], size, p=[0.2, 0.5, 0.3]).tolist()
        found = [mean_interval(values[:count], -1, 1, any_time=True) for count in range(1, size + 1)]
        held += all(interval is not None and interval.low <= 0.1 <= interval.high for interval in found)
    assert held >= 0.95 * 150


def test_how_many_more_values_are_needed() -> None:
    assert more_needed([0.1] * 500) == 0
    assert more_needed([0.3, -0.3]) is None
    noisy = [0.3, -0.2] * 10  # mean 0.05, sd 0.2565
    needed = more_needed(noisy)
    assert needed is not None
    effect = 0.05 / 0.25649
    for count, enough in ((20 + needed, True), (19 + needed, False)):
        assert (count**0.5 * effect >= any_time_t(count, 0.05) + 0.8416) == enough
    assert more_needed([0.25, 0.25]) == 51  # 1 - (0.05 / n / (n + 1) / 2)^(1/n) < 0.25 / 1.25 from n = 53 on


@given(values=VALUES.filter(lambda values: len(values) > 1))
@examples(50)
def test_more_are_needed_exactly_while_zero_is_not_excluded(values: list[float]) -> None:
    interval, more = mean_interval(values, -1, 1, any_time=True), more_needed(values)
    assert interval is not None
    assert (more == 0) == interval.excludes_zero
