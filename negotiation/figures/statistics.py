"""Confidence intervals and tests for means, rates and differences, as pure functions over numbers.

Intervals are two-sided at 95 %. The caller chooses what is independent of what, and whether the number of values was
fixed beforehand or anyone may look at any time (any_time.py). docs/statistics.md has the formulas and simulations.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from negotiation.figures.any_time import any_time_error, any_time_t

Floats = NDArray[np.float64]

LEVEL = 0.95
ERROR = 1 - LEVEL
POWER = 0.8
EQUAL = 1e-8
"""Deviations up to this one are rounding noise."""
MOST_NEEDED = 10**9
_NORMAL = NormalDist()
_STEPS = 20_000


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def mean_interval(
    values: Sequence[float],
    low: float,
    high: float,
    clusters: Sequence[Hashable] | None = None,
    *,
    any_time: bool = False,
) -> Interval | None:
    """Return the mean of values in [low, high] with its interval; None without values.

    Args:
        values: The sample.
        low: The least possible value.
        high: The largest possible value.
        clusters: A label for each value; values with equal labels count as one. None if all are independent.
        any_time: Whether the interval must hold at all numbers of values together, rather than at a planned one.
    """
    if not len(values):
        return None
    sums, sizes = _clustered(values, clusters)
    return ratio_interval(sums, sizes, low, high, any_time=any_time)


def ratio_interval(sums: Floats, sizes: Floats, low: float, high: float, *, any_time: bool = False) -> Interval:
    """Return sum(sums) / sum(sizes) over independent clusters with its interval, cut at `low` and `high`.

    Student's t with the variance of a ratio (Cochran 1977, section 6.3), see `interval_of`. Shapes: [clusters].
    """
    mean = float(sums.sum() / sizes.sum())
    deviations: Floats = (sums - mean * sizes) / sizes.sum()
    clusters = len(sums)
    spread = clusters / (clusters - 1) * float(deviations @ deviations) if clusters > 1 else 0.0
    return interval_of(mean, spread, clusters, low, high, any_time=any_time)


def interval_of(
    mean: float, variance: float, clusters: float, low: float, high: float, *, any_time: bool = False
) -> Interval:
    """Return the interval of a mean whose variance was estimated from a number of clusters.

    A variance of zero would give an interval of zero width, which is overconfident: after n equal values, one that has
    not occurred may still have a probability of up to 1 - (error / 2)^(1/n), and lie anywhere in [low, high].

    Args:
        mean: The estimate.
        variance: The estimated variance of `mean`.
        clusters: The number of independent clusters, not necessarily an integer.
        low: The least possible value.
        high: The largest possible value.
        any_time: Whether the interval must hold at all numbers of clusters together.
    """
    if clusters <= 1 or variance <= EQUAL**2:
        count = max(1, math.floor(clusters))
        error = any_time_error(count, ERROR) if any_time else ERROR
        unseen = 1 - (error / 2) ** (1 / count)
        return Interval(mean, mean - unseen * (mean - low), mean + unseen * (high - mean))
    width = any_time_t(clusters, ERROR) if any_time else student_t(1 - ERROR / 2, clusters - 1)
    reach = width * math.sqrt(variance)
    return Interval(mean, max(low, mean - reach), min(high, mean + reach))


def _clustered(values: Sequence[float], clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sum and the size of every cluster, shape [clusters] each."""
    given = np.asarray(values, dtype=np.float64)
    if clusters is None:
        return given, np.ones(len(given))
    numbers = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    places = np.array([numbers[label] for label in clusters])
    ones = np.ones(len(given))
    return np.bincount(places, given).astype(np.float64), np.bincount(places, ones).astype(np.float64)


def holm(p: Floats, error: float = ERROR) -> NDArray[np.bool_]:
    """Return which hypotheses to reject so that any false rejection has a probability of at most `error` (Holm 1979).

    Works under any dependence. Shapes: [hypotheses].
    """
    order = np.argsort(p)
    passed = p[order] <= error / np.arange(len(p), 0, -1)
    rejected = np.zeros(len(p), dtype=np.bool_)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def rate_interval(successes: int, tries: int) -> Interval | None:
    """Return a rate with Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001); None without trials."""
    if not tries:
        return None
    z = _NORMAL.inv_cdf(0.5 + LEVEL / 2)
    rate, spread = successes / tries, z * z / tries
    centre = (rate + spread / 2) / (1 + spread)
    reach = math.sqrt(rate * (1 - rate) * spread + spread * spread / 4) / (1 + spread)
    return Interval(rate, max(0.0, centre - reach), min(1.0, centre + reach))


def sign_test(values: Sequence[float], tie: float = 1e-9) -> float:
    """Return the two-sided p-value of the exact sign test (Dixon & Mood 1946).

    That is the probability of a split of signs at least this uneven by chance. Values within `tie` of zero are ignored.
    """
    above = sum(value > tie for value in values)
    below = sum(value < -tie for value in values)
    tosses, fewer = above + below, min(above, below)
    splits = sum(math.comb(tosses, count) for count in range(fewer + 1))
    return min(1.0, 2 * splits / (1 << tosses))


def more_needed(values: Sequence[float]) -> int | None:
    """Return how many more values in [-1, 1] like these are needed for their any-time interval to exclude zero.

    Planned with 80 % power: the least n with sqrt(n) |mean| / sd >= any_time_t(n) + z_0.8. For equal values, n is the
    least number at which their interval excludes zero.

    Returns:
        0 if zero is excluded already; None if it cannot be estimated, with fewer than two values or a mean of zero.
    """
    interval = mean_interval(values, -1.0, 1.0, any_time=True)
    if interval is None or len(values) < 2:
        return None
    if interval.excludes_zero:
        return 0
    spread, size = float(np.std(values, ddof=1)), abs(interval.mean)
    if size <= EQUAL:
        return None
    margin = _NORMAL.inv_cdf(POWER) if spread > EQUAL else 0.0

    def enough(count: int) -> bool:
        if spread <= EQUAL:
            return interval_of(size, 0.0, count, -1.0, 1.0, any_time=True).excludes_zero
        return math.sqrt(count) * size / spread >= any_time_t(count, ERROR) + margin

    most = 2 * len(values)
    while not enough(most) and most < MOST_NEEDED:
        most *= 2
    least = len(values)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most - len(values)


@lru_cache(maxsize=1000)
def student_t(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t distribution, to about four digits.

    With t = sqrt(freedom) * tan(angle), the density is proportional to cos(angle)^(freedom - 1), which is summed
    numerically.
    """
    angles, below = _angles(freedom)
    return math.sqrt(freedom) * math.tan(float(np.interp(probability, below, angles)))


def student_p(t: float, freedom: float) -> float:
    """Return the two-sided p-value of a t statistic."""
    angles, below = _angles(freedom)
    return 2 * float(np.interp(-math.atan(abs(t) / math.sqrt(freedom)), angles, below))


@lru_cache(maxsize=100)
def _angles(freedom: float) -> tuple[Floats, Floats]:
    """Return angles and the distribution function at each of them."""
    angles = np.linspace(-math.pi / 2, math.pi / 2, _STEPS + 1)
    middles = (angles[1:] + angles[:-1]) / 2
    below = np.concatenate(([0.0], np.cumsum(np.cos(middles) ** (freedom - 1))))
    return angles, below / below[-1]
