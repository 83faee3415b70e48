"""Estimate of the time that a tournament still takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable


class TimeEstimate:
    """Extrapolates from the games so far, separately for games with no, one and two models."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._seconds: defaultdict[int, float] = defaultdict(float)  # by the number of models in a game
        self._count: Counter[int] = Counter()

    def add(self, models: int, seconds: float) -> None:
        """Count a game with `models` models whose turns took `seconds`."""
        self._seconds[models] += seconds
        self._count[models] += 1

    def left(self, remaining: Counter[int]) -> float | None:
        """Return the seconds for the remaining games, counted by their models; None before the first game ended."""
        if not self._count:
            return None
        worked = sum(self._seconds.values())
        mean = worked / self._count.total()
        each = {models: self._seconds[models] / self._count[models] for models in self._count}
        rest = sum(count * each.get(models, mean) for models, count in remaining.items())
        return rest * (self._clock() - self._began) / worked if worked else 0.0
