"""Passes of SmolLM2 135M in bfloat16 with keys and values in float32, compared with those in bfloat16, on this CPU.

`python -m benchmarks.cache_dtype` prints a JSON line for each number of rows: the median of the ratios (milliseconds of
a pass with float32, divided by those with bfloat16), least and greatest, over passes that take turns.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from transformers import AutoModelForCausalLM

from benchmarks.generation import Bench
from benchmarks.support.passes import Rows, in_turn, ratio
from benchmarks.support.report import hardware, rounded
from manager.generation.forward import flat, packed
from manager.generation.forward.cache_dtype import cache_dtype
from manager.generation.forward.processor import on_processor
from manager.machine.process import trim_heaps

ROWS = (1, 2, 16, 64)


def compare(model: torch.nn.Module, rows: int) -> dict[str, object]:
    """Return the figures for a number of rows."""
    contenders = []
    for kept in (torch.float32, torch.bfloat16):
        with patch.object(flat, "cache_dtype", lambda *_, kept=kept: kept):
            contenders.append(Rows(model, rows))
    wide, narrow = in_turn(contenders)
    return {
        "rows": rows,
        **ratio(wide, narrow),
        "float32_ms": statistics.median(wide),
        "bfloat16_ms": statistics.median(narrow),
        "reading_ratio": contenders[0].read_seconds / contenders[1].read_seconds,
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
