"""Single passes of a model, timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from manager.generation.forward.flat import FlatRunner
from manager.generation.forward.kv import Memo

CONTEXT, ROUNDS = 300, 20


class Rows:
    """Rows of CONTEXT tokens, to which passes add one token each."""

    def __init__(self, model: torch.nn.Module, count: int) -> None:
        self._runner = FlatRunner(model)
        self._memos: list[Memo] = [self._runner.new() for _ in range(count)]
        self.read_seconds = self._step(list(range(100, 100 + CONTEXT)))

    def step(self) -> float:
        """Run a pass, and return the seconds that it took."""
        return self._step([5])

    def _step(self, tokens: list[int]) -> float:
        began = time.perf_counter()
        self._runner.run([(memo, tokens) for memo in self._memos])
        return time.perf_counter() - began


def in_turn(contenders: Sequence[Rows]) -> list[list[float]]:
    """Return the milliseconds of each contender's passes, which take turns."""
    rounds = [[1000 * contender.step() for contender in contenders] for _ in range(ROUNDS)]
    return [list(times) for times in zip(*rounds, strict=True)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, object]:
    """Return the median of the ratios of passes that followed each other, and the least and greatest."""
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    return {"ratio": statistics.median(ratios), "spread": [ratios[0], ratios[-1]]}
