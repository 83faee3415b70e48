"""Tests and intervals that stay valid however often one looks at the data, and whenever one stops.

The test martingale of the t-test: for a mean of zero, a normal prior with variance 1 on the standardised effect, and
the right Haar prior on the scale, the Bayes factor of n values with t statistic t and v = n - 1 is

    E = (1 + n)^(-1/2) * [(1 + t^2 / v) / (1 + t^2 / (v (1 + n)))]^((v + 1) / 2).

By Ville's inequality it exceeds 1 / error with a probability of at most `error` over all n together (Lai 1976;
Hendriksen, de Heide & Grünwald 2021; Wang & Ramdas 2025, "Anytime-valid t-tests and confidence sequences for Gaussian
means with unknown variance"). This is exact for normal values; docs/statistics.md has simulations for others.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def any_time_t(values: float, error: float) -> float:
    """Return the t statistic that must be exceeded at `values` values (need not be an integer) to reject at `error`.

    Infinite while there are too few values to reject at all.
    """
    if values <= 1:
        return math.inf
    freedom = values - 1
    root = (math.sqrt(1 + values) / error) ** (2 / (freedom + 1))
    rest = 1 - root / (1 + values)
    return math.sqrt(freedom * (root - 1) / rest) if rest > 0 else math.inf


def any_time_p(t: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values that are valid at any time: 1 / E, at most 1."""
    freedom = np.maximum(values - 1, 1e-9)
    square = t * t / freedom
    growth = (freedom + 1) / 2 * (np.log1p(square) - np.log1p(square / (1 + values))) - np.log1p(values) / 2
    p: NDArray[np.float64] = np.where(values > 1, np.exp(-np.maximum(growth, 0.0)), 1.0)
    return p


def any_time_error(values: int, error: float) -> float:
    """Return the share of `error` to spend at the n-th value, where nothing but counting is possible: error / n(n+1).

    The shares of all n add up to `error`.
    """
    return error / (values * (values + 1))
