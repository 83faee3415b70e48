"""Generation speed on a CUDA device, with random weights of common shapes.

`python -m benchmarks.gpu_generation` prints a JSON line for each shape and number of streams: tokens per second of
our engine, of `generate` with all streams in one batch, and of transformers' own `generate_batch` (continuous
batching), each also as a share of what the memory's measured bandwidth allows (all weights read once per token of
each stream in a pass, keys and values once). Prompts have 128 tokens, replies 128. Without CUDA it says so and exits
with 0; `--device cpu --shapes tiny --streams 1 4` tries the benchmark itself.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig as HubGenerationConfig
from transformers import LlamaConfig, LlamaForCausalLM

from manager.config.model_spec import GenerationConfig
from manager.generation.batch import Batch
from manager.generation.forward.flat import flat_runner
from manager.generation.forward.kv import Shelf
from manager.generation.request import GenerationRequest
from manager.generation.row import Arrival, Row
from manager.generation.stream import TokenStream

PROMPT, REPLY = 128, 128
VOCABULARY = 128_000
SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "heads": 4, "kv": 2},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "heads": 14, "kv": 2},
    "3B": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "heads": 24, "kv": 8},
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "heads": 32, "kv": 8},
}


def random_model(shape: str, device: str) -> Any:
    """Create a random bfloat16 Llama on the device."""
    given = dict(SHAPES[shape])
    heads, kv = given.pop("heads"), given.pop("kv")
    config = LlamaConfig(
        vocab_size=VOCABULARY if shape != "tiny" else 1000,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=shape in ("tiny", "0.5B"),
        **given,
    )
    with torch.device(device):
        return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def ours(model: Any, prompts: list[list[int]]) -> float:
    """Return the seconds for one batch of ours."""
    runner = flat_runner(model)
    assert runner is not None
    batch = Batch(runner, Shelf(0), 1 << 40)
    config = GenerationConfig(max_new_tokens=REPLY, temperature=0)
    silent: Any = _Silent()
    request = GenerationRequest((), config)
    begun = time.perf_counter()
    with torch.inference_mode():
        for prompt in prompts:
            arrival = Arrival(request, TokenStream(), begun)
            batch.add(
                Row(
                    arrival,
                    prompt=prompt,
                    room=4096 - len(prompt),
                    matcher=None,
                    tokenizer=silent,
                    template=silent,
                    end_tokens=frozenset(),
                )
            )
        while len(batch):
            batch.step()
    return time.perf_counter() - begun


class _Silent:
    """Stands in for a tokenizer and a template: text costs nothing here."""

    stops: tuple[str, ...] = ()

    def decode(self, *_: object, **__: object) -> str:
        return ""


def generate(model: Any, prompts: list[list[int]]) -> float:
    """Return the seconds of `generate` for all prompts as one batch."""
    ids = torch.tensor(prompts, device=model.device)
    begun = time.perf_counter()
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=REPLY,
        min_new_tokens=REPLY,
        pad_token_id=0,
    )
    return time.perf_counter() - begun


def generate_batch(model: Any, prompts: list[list[int]]) -> float:
    """Return the seconds of transformers' continuous batching."""
    config = HubGenerationConfig(max_new_tokens=REPLY, do_sample=False, eos_token_id=-1, pad_token_id=0)
    begun = time.perf_counter()
    model.generate_batch(inputs=prompts, generation_config=config, progress_bar=False)
    return time.perf_counter() - begun


CONTENDERS: dict[str, Callable[[Any, list[list[int]]], float]] = {
    "ours": ours,
    "generate": generate,
    "generate_batch": generate_batch,
}


def bandwidth(device: str) -> float:
    """Return the device's memory bandwidth in bytes per second: the best of several sums over a gibibyte."""
    numbers = torch.ones(1 << 28, dtype=torch.float32, device=device)
    took = []
    for _ in range(5):
        _wait(device)
        begun = time.perf_counter()
        numbers.sum()
        _wait(device)
        took.append(time.perf_counter() - begun)
    return float(numbers.nbytes / min(took))


def case(shape: str, model: Any, streams: int, rounds: int, speed: float) -> dict[str, Any]:
    """Return one line: medians over rounds in which the contenders take turns."""
    chance = torch.Generator().manual_seed(0)
    prompts = torch.randint(1, model.config.vocab_size, (streams, PROMPT), generator=chance).tolist()
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    failed: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, write in CONTENDERS.items():
            if name in failed:
                continue
            try:
                took = write(model, prompts)
            except Exception as error:  # noqa: BLE001 (a contender that cannot is part of the result)
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
                continue
            if number:  # the first round warms up
                rates[name].append(streams * REPLY / took)
    config = model.config
    token_kv = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    weights = sum(parameter.nbytes for parameter in model.parameters())
    limit = streams * speed / (weights + streams * token_kv * (PROMPT + REPLY / 2))
    line: dict[str, Any] = {"case": f"{shape}_{streams}", "limit_tokens_per_second": round(limit)}
    medians = {name: sorted(found)[len(found) // 2] for name, found in rates.items() if found}
    for name, rate in medians.items():
        line[name] = {"tokens_per_second": round(rate, 1), "of_limit": round(rate / limit, 3)}
    others = [rate for name, rate in medians.items() if name != "ours"]
    ratios = sorted(rate / max(others) for rate in rates["ours"]) if others else []
    line["ratio"] = round(ratios[len(ratios) // 2], 3) if ratios else None
    line["spread"] = [round(ratios[0], 3), round(ratios[-1], 3)] if ratios else None
    return {**line, **({"failed": failed} if failed else {})}


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["0.5B", "3B", "8B"])
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print(json.dumps({"case": "gpu_generation", "skipped": "there is no CUDA device on this machine"}))
        return
    speed = bandwidth(arguments.device)
    for shape in arguments.shapes:
        model = random_model(shape, arguments.device)
        for streams in arguments.streams:
            print(json.dumps(case(shape, model, streams, arguments.rounds, speed)), flush=True)
        del model
        gc.collect()


if __name__ == "__main__":
    main()
