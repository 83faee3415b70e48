"""Passes of SmolLM2 135M in bfloat16 with keys and values in float32, compared with those in bfloat16, on this CPU.

`python -m benchmarks.cache_dtype` prints a JSON line for each number of rows: the median of the ratios (milliseconds of
a pass with float32, divided by those with bfloat16), least and greatest, over passes that take turns.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from transformers import AutoModelForCausalLM

from benchmarks.generation import Bench
from benchmarks.support.report import hardware, rounded
from manager.generation.forward import flat, packed
from manager.generation.forward.cache_dtype import cache_dtype
from manager.generation.forward.flat import FlatRunner
from manager.generation.forward.kv import Memo
from manager.generation.forward.processor import on_processor
from manager.machine.process import trim_heaps

CONTEXT, ROUNDS = 300, 20
ROWS = (1, 2, 16, 64)


class Contender:
    """Rows whose keys and values have one dtype."""

    def __init__(self, model: torch.nn.Module, kept: torch.dtype, rows: int) -> None:
        with patch.object(flat, "cache_dtype", lambda *_: kept):
            self._runner = FlatRunner(model)
        self._memos: list[Memo] = [self._runner.new() for _ in range(rows)]
        self.read_seconds = self.step(list(range(100, 100 + CONTEXT)))

    def step(self, tokens: list[int]) -> float:
        """Feed tokens to all rows, and return the seconds that it took."""
        began = time.perf_counter()
        self._runner.run([(memo, tokens) for memo in self._memos])
        return time.perf_counter() - began


def compare(model: torch.nn.Module, rows: int) -> dict[str, object]:
    """Return the figures for a number of rows."""
    wide, narrow = (Contender(model, kept, rows) for kept in (torch.float32, torch.bfloat16))
    pairs = [(wide.step([5]), narrow.step([5])) for _ in range(ROUNDS)]
    ratios = sorted(one / other for one, other in pairs)
    return {
        "rows": rows,
        "ratio": statistics.median(ratios),
        "spread": [ratios[0], ratios[-1]],
        "float32_ms": 1000 * statistics.median(one for one, _ in pairs),
        "bfloat16_ms": 1000 * statistics.median(other for _, other in pairs),
        "reading_ratio": wide.read_seconds / narrow.read_seconds,
        "chosen": str(cache_dtype("cpu", torch.bfloat16)).removeprefix("torch."),
        "processor": hardware(),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = AutoModelForCausalLM.from_pretrained(Bench(Path(folder)).converted, dtype=torch.bfloat16).eval()
        packed.pack(model, trim_heaps)
        for rows in ROWS:
            print(json.dumps(rounded(on_processor(partial(compare, model, rows)))), flush=True)


if __name__ == "__main__":
    main()
