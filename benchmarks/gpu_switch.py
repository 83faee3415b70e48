"""Cost of switching models on a GPU: loading from files, parking in host memory, waking from there.

`python -m benchmarks.gpu_switch` makes models of about 1 and 3 billion random numbers, has them loaded, parked and
woken by the code that Parley itself uses, and prints a JSON line for each: seconds (the median of the rounds), and
`ratio`, the time to wake over the least it can take: bytes ÷ the bandwidth of a large pinned copy, measured in the same
run. `goal` is the ratio that the design asks for. Without CUDA it says so.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local.devices import DeviceMemory, memory_of
from manager.config.model_spec import parse_spec

GOAL = 1.3
ROUNDS = 5
SHAPES: dict[str, dict[str, int]] = {
    "1B": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "3B": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24},
}
VOCABULARY = 128_256


def pinned_bandwidth(device: str, size: int = 1 << 30, rounds: int = ROUNDS) -> float:
    """Return the bytes per second of one large copy from pinned host memory, the best of the rounds."""
    host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    there = torch.empty(size, dtype=torch.uint8, device=device)
    best = float("inf")
    for _ in range(rounds + 1):  # the first round warms up
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        there.copy_(host, non_blocking=True)
        torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return size / best


def save_model(folder: Path, shape: dict[str, int], vocabulary: int = VOCABULARY) -> None:
    """Save a random bfloat16 model with tied embeddings, and a one-word tokenizer."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    config = LlamaConfig(
        vocab_size=vocabulary, num_key_value_heads=8, tie_word_embeddings=True, dtype="bfloat16", **shape
    )
    with torch.device("meta"):
        model = LlamaForCausalLM._from_config(config)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.02, 0.02)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))).save_pretrained(
        folder
    )


def measure(
    folder: Path, device: str, memory: Callable[[str], DeviceMemory] = memory_of, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Measure bytes and seconds: the first parking, which pins host memory, and medians for the rest.

    Loads read files that are in the page cache; `copy_and_park` copies out, `park` finds its copy there already.
    """
    spec = parse_spec("bench", {"model_name": str(folder), "device": device})
    model = HuggingFaceModelWrapper(spec, folder, memory)
    model.prepare(_silent)
    seconds: dict[str, list[float]] = {"load": [], "copy_and_park": [], "park": [], "wake": []}
    size = 0
    for _ in range(rounds):
        size = _timed(seconds["load"], lambda: model.load(_silent))
        _timed(seconds["copy_and_park"], model.park)
        _timed(seconds["wake"], lambda: model.wake(_silent))
        _timed(seconds["park"], model.park)
        model.unload()
    first = seconds["copy_and_park"].pop(0)
    return {"bytes": size, "first_park": first, **{name: statistics.median(times) for name, times in seconds.items()}}


def _timed(times: list[float], work: Callable[[], int]) -> int:
    started = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - started)
    return result


def _silent(stage: str, done: int, total: int) -> None:
    pass


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing to measure")
        return 0
    device = "cuda:0"
    bandwidth = pinned_bandwidth(device)
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder), shape)
            figures = measure(Path(folder), device)
        bound = figures["bytes"] / bandwidth
        line = {
            "model": name,
            "device": torch.cuda.get_device_name(device),
            "pinned_gb_per_second": bandwidth / 1e9,
            **figures,
            "bound": bound,
            "ratio": figures["wake"] / bound,
            "goal": GOAL,
        }
        print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
