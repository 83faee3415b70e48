"""Confidence intervals for means, rates and differences, as pure functions over numbers.

Intervals are two-sided at 95 %. The caller chooses what to resample over.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 4000
FEW = 10
"""Below this number of clusters, intervals use Student's t instead of the bootstrap."""
POWER = 0.8
_NORMAL = NormalDist()
_BLOCK = 2_000_000  # resampled values in memory at a time


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
    values: Sequence[float], low: float, high: float, clusters: Sequence[Hashable] | None = None
) -> Interval | None:
    """Return the mean of values in [low, high] with its interval; None without values.

    - From ten clusters on: the percentile bootstrap, expanded for small samples (Hesterberg 2015, "What Teachers
      Should Know About the Bootstrap", section 4.2): it uses the quantiles of a normal variable at
      t(n-1) * sqrt(n / (n-1)). The resamples are the same each time, so equal values give equal intervals.
    - Below ten: Student's t, with the variance of a ratio (Cochran 1977, section 6.3) where clusters differ in size.
    - A single cluster, or clusters that are all equal, would give an interval of zero width, which is overconfident: an
      event that did not occur in n trials may still have a probability of up to 1 - 0.05^(1/n), with a value anywhere
      in [low, high].

    Args:
        values: The sample.
        low: The least possible value.
        high: The largest possible value.
        clusters: A label for each value; values with equal labels are resampled together. None if all are independent.
    """
    if not len(values):
        return None
    sums, sizes = _clustered(values, clusters)
    n, mean = len(sums), float(sums.sum() / sizes.sum())
    off = sums - mean * sizes
    if n == 1 or np.abs(off).max() <= 1e-12:
        unseen = 1 - (1 - LEVEL) ** (1 / n)
        return Interval(mean, mean - unseen * (mean - low), mean + unseen * (high - mean))
    wide = student_t(0.5 + LEVEL / 2, n - 1)
    if n < FEW:
        reach = wide * math.sqrt(n / (n - 1) * float(off @ off)) / float(sizes.sum())
        return Interval(mean, max(low, mean - reach), min(high, mean + reach))
    tail = _NORMAL.cdf(-wide * math.sqrt(n / (n - 1)))
    ends = np.quantile(_resampled_means(sums, sizes), [tail, 1 - tail])
    return Interval(mean, float(ends[0]), float(ends[1]))


def _clustered(values: Sequence[float], clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sum and the size of every cluster, shape [clusters] each."""
    given = np.asarray(values, dtype=np.float64)
    if clusters is None:
        return given, np.ones(len(given))
    numbers = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    places = np.array([numbers[label] for label in clusters])
    ones = np.ones(len(given))
    return np.bincount(places, given).astype(np.float64), np.bincount(places, ones).astype(np.float64)


def _resampled_means(sums: Floats, sizes: Floats) -> Floats:
    chance = np.random.default_rng(0)
    rows = max(1, _BLOCK // len(sums))
    means = []
    for begun in range(0, RESAMPLES, rows):
        picked = chance.integers(len(sums), size=(min(rows, RESAMPLES - begun), len(sums)))
        means.append(sums[picked].sum(1) / sizes[picked].sum(1))
    return np.concatenate(means)


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
    """Return how many more values in [-1, 1] like these are needed for `mean_interval` to exclude zero.

    Planned with 80 % power: n = ((z_0.975 + z_0.8) * sd / mean)^2. For equal values, n is the least number at which
    their interval excludes zero.

    Returns:
        0 if zero is excluded already; None if it cannot be estimated, with fewer than two values or a mean of zero.
    """
    interval = mean_interval(values, -1.0, 1.0)
    if interval is None or len(values) < 2:
        return None
    if interval.excludes_zero:
        return 0
    spread, size = float(np.std(values, ddof=1)), abs(interval.mean)
    if size <= 1e-9:
        return None
    if spread <= 1e-12:
        planned = math.log(1 - LEVEL) / math.log(1 - size / (1 + size))
    else:
        planned = ((_NORMAL.inv_cdf(0.5 + LEVEL / 2) + _NORMAL.inv_cdf(POWER)) * spread / size) ** 2
    return max(1, math.ceil(planned) - len(values))


def student_t(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution, to about four digits.

    With t = sqrt(freedom) * tan(angle), the density is proportional to cos(angle)^(freedom - 1), which is summed
    numerically.
    """
    angles = np.linspace(-math.pi / 2, math.pi / 2, 20001)
    middles = (angles[1:] + angles[:-1]) / 2
    below = np.concatenate(([0.0], np.cumsum(np.cos(middles) ** (freedom - 1))))
    angle = float(np.interp(probability, below / below[-1], angles))
    return math.sqrt(freedom) * math.tan(angle)
