"""Passes of SmolLM2 135M whose linear layers are packed, and multiplied at once if they have the same input.

`python -m benchmarks.packing` prints a JSON line for each dtype and number of rows: the median of the ratios
(milliseconds of a pass divided by those with layers that are packed one by one, and by those with plain layers), least
and greatest, over passes that take turns.
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
from manager.generation.forward import packed
from manager.generation.forward.processor import on_processor
from manager.machine.process import trim_heaps

ROWS = (1, 2, 4, 16, 64)


def models(folder: Path, dtype: torch.dtype) -> list[torch.nn.Module]:
    """Return the model as the program packs it, with each layer packed by itself, and with plain layers."""
    at_once, one_by_one, plain = (AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval() for _ in range(3))
    packed.pack(at_once, trim_heaps)
    with patch.object(packed, "TOGETHER", ()):
        packed.pack(one_by_one, trim_heaps)
    return [at_once, one_by_one, plain]


def compare(contenders: list[torch.nn.Module], rows: int) -> dict[str, object]:
    """Return the figures for a number of rows."""
    at_once, one_by_one, plain = in_turn([Rows(model, rows) for model in contenders])
    return {
        "rows": rows,
        "to_one_by_one": ratio(at_once, one_by_one),
        "to_plain": ratio(at_once, plain),
        "ms": statistics.median(at_once),
        "one_by_one_ms": statistics.median(one_by_one),
        "plain_ms": statistics.median(plain),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        converted = Bench(Path(folder)).converted
        for dtype in (torch.bfloat16, torch.float32):
            name = str(dtype).removeprefix("torch.")
            if not packed.packs("cpu", dtype):
                print(json.dumps({"dtype": name, "packed": False, "processor": hardware()}), flush=True)
                continue
            contenders = models(converted, dtype)
            for rows in ROWS:
                figures = on_processor(partial(compare, contenders, rows))
                print(json.dumps(rounded({"dtype": name, **figures, "processor": hardware()})), flush=True)


if __name__ == "__main__":
    main()
