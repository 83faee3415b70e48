"""Simulated differences of two equal agents, and a look at them after every pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from negotiation.figures.any_time import any_time_t
from negotiation.figures.statistics import mean_interval

SYMMETRIC: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda chance, shape: np.clip(chance.normal(0, 0.2, shape), -1, 1),
    "all or nothing": lambda chance, shape: chance.choice([-1.0, 1.0], shape),
    "mostly equal": lambda chance, shape: chance.choice([-0.6, 0.0, 0.6], shape, p=[0.1, 0.8, 0.1]),
    "two seats": lambda chance, shape: chance.choice([-1.0, 0.0, 1.0], (2, *shape)).mean(0),
    "four values": lambda chance, shape: chance.choice([-0.9, -0.3, 0.3, 0.9], shape),
}
"""Differences of two equal agents: swapping their names changes nothing, so they are symmetric."""


def ever_different(values: np.ndarray) -> np.ndarray:
    """Whether the any-time interval ever excludes zero while values come in, shape [repetitions]."""
    count = np.arange(1, values.shape[1] + 1)
    mean, square = values.cumsum(1) / count, (values**2).cumsum(1)
    variance = (square - count * mean**2) / np.maximum(count - 1, 1)
    limits = np.array([any_time_t(n, 0.05) for n in count])
    varied = variance > 1e-12
    t = np.abs(mean) * np.sqrt(count) / np.sqrt(np.where(varied, variance, 1))
    most = [mean_interval([1.0] * n, -1, 1, any_time=True) for n in count]
    sure = np.array([interval is not None and interval.low > 0 for interval in most])  # after that many ones
    found: np.ndarray = ((varied & (t > limits)) | (~varied & (np.abs(mean) > 1 - 1e-9) & sure)).any(1)
    return found
