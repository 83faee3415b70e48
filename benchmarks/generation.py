"""Generation speed on this machine's CPU with SmolLM2 135M, compared with the alternatives.

`python -m benchmarks.generation [CASE ...]` prints a JSON line for each case: the median ratio over the rounds, its
spread (least and greatest), the processor, and the raw figures. In every round all contenders of a case run in turn.
`--rounds N` sets how many (default 3; a case without a bar has one), `--write` puts the table into docs/performance.md.

Lengths: a negotiation's prompt has 250 to 400 tokens, its reply (texts of 60 and 80 characters, under the grammar of
legal replies) about 60. Single streams go on for 64 tokens after 32, `generate` and the loop at temperature 0 as ours.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.support.report import hardware, rounded, write_table
from benchmarks.support.writing import Generate, LlamaCpp, Loop, Negotiator, Ours, Wrote, negotiators
from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import gguf
from manager.config.registry import Registry
from manager.generation.forward import packed
from manager.generation.forward.processor import on_processor
from manager.generation.request import Grammar
from manager.machine.process import trim_heaps

ROOT = Path(__file__).parents[1]
STREAMS, TOKENS, PROMPT = 16, 64, 32
TURNS = 4
"""Turns of each of the 16 negotiations."""
APART = 5
"""In each round, `generate` is timed on one of the 16 negotiations, this many after that of the round before."""
_TEXTS = {key: {"type": "string", "minLength": 1000, "maxLength": 2000} for key in ("thought", "message")}
ENDLESS = Grammar(schema={"type": "object", "properties": _TEXTS, "required": ["thought", "message"]})
"""Replies that run to any token limit."""
Figures = dict[str, Any]


class Bench:
    """The contenders, created on first use, and the cases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._timed = cycle(range(0, STREAMS, APART))
        self._spec = Registry.from_yaml(ROOT / "configs" / "models.yaml")["smollm2-steady"]

    @cached_property
    def converted(self) -> Path:
        """Return the folder of SmolLM2's converted copy."""
        self._load(self.folder / "cache")
        return next(path.parent for path in (self.folder / "cache").rglob("complete.json"))

    @cached_property
    def tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(self.converted)

    @cached_property
    def plain(self) -> Any:
        """Return the model as transformers loads it."""
        return on_processor(self._model)

    @cached_property
    def ours(self) -> Ours:
        return on_processor(self._ours_made)

    @cached_property
    def generate(self) -> Generate:
        return Generate(self.plain, self.tokenizer, self.ours)

    @cached_property
    def loop(self) -> Loop:
        return Loop(self.plain)

    @cached_property
    def llama(self) -> LlamaCpp:
        folder = self.folder / "llama.cpp"
        folder.mkdir(exist_ok=True)
        assert self._spec.gguf_file is not None
        file = gguf.in_package(self._spec.gguf_file)
        assert file is not None
        return LlamaCpp(folder, file.path)

    # -- cases -------------------------------------------------------------------------------------------------

    def concurrent_16(self) -> Figures:
        """Compare tokens per second, forced ones included, in 16 concurrent negotiations and in one after another.

        Turns of the negotiation on which `generate` is timed may be shorter or longer than those of all.
        """
        self.ours.forget()
        sides = negotiators(STREAMS)
        ours = self._turns(sides, self.ours.write, at_once=STREAMS)
        theirs = self._turns([sides[next(self._timed)]], self.generate.write, at_once=1)
        return {"ratio": ours["tokens_per_second"] / theirs["tokens_per_second"], "ours": ours, "generate": theirs}

    def _turns(self, sides: list[Negotiator], write: Callable[..., Wrote], at_once: int) -> Figures:
        def negotiate(side: Negotiator) -> list[Wrote]:
            wrote: list[Wrote] = []
            for _ in range(TURNS):
                said = side.after([one.texts[0] for one in wrote])
                wrote.append(write([said], 400, [side.grammar], names=[str(id(side))]))
            return wrote

        begun = time.perf_counter()
        with ThreadPoolExecutor(at_once) as negotiations:
            wrote = [one for turns in negotiations.map(negotiate, sides) for one in turns]
        seconds, tokens = time.perf_counter() - begun, sum(one.tokens for one in wrote)
        return {
            "tokens_per_second": tokens / seconds,
            "turns_per_second": len(wrote) / seconds,
            "turns": len(wrote),
            "tokens": tokens,
            "forced_tokens": sum(one.forced for one in wrote),
        }

    def many_rows(self) -> Figures:
        """Compare tokens per second of 64 streams with those of 32."""
        rates = {f"ours_{streams}": self._ours(streams) for streams in (32, 64)}
        return {"ratio": rates["ours_64"] / rates["ours_32"], **rates}

    def two_lanes(self) -> Figures:
        """Compare turns of equal length in two concurrent negotiations with one alone."""
        asked = [side.after([]) for side in negotiators(2)]
        took = []
        for count in (1, 2):
            self.ours.forget()
            took.append(self.ours.write(asked[:count], TOKENS, [ENDLESS] * count).seconds)
        return {"ratio": took[1] / took[0], "one_seconds": took[0], "two_seconds": took[1]}

    def first_token_growth(self) -> Figures:
        """Compare the time to the first token at turn 20 with turn 2, with the transcript cached."""
        self.ours.forget()
        (side,) = negotiators(1)
        replies: list[str] = []
        firsts, sizes = [], []
        for _ in range(20):
            asked = side.after(replies)
            wrote = self.ours.write([asked], 24, names=["long"])
            firsts.append(wrote.first)
            sizes.append(len(self.ours.engine.template.encode(asked)))
            replies.append(wrote.texts[0])
        return {
            "ratio": firsts[19] / firsts[1],
            "turn_2": {"seconds": firsts[1], "prompt_tokens": sizes[1]},
            "turn_20": {"seconds": firsts[19], "prompt_tokens": sizes[19]},
        }

    def constraint_cost(self) -> Figures:
        """Compare chosen tokens per second at batch 16 with the reply grammar and without a grammar."""
        sides = negotiators(STREAMS)
        asked = [side.after([]) for side in sides]
        rates = {}
        for name, grammars in (("free", []), ("constrained", [ENDLESS] * STREAMS)):
            self.ours.write(asked, 1, grammars)  # reads the prompts, once
            ends, self.ours.engine.end_tokens = self.ours.engine.end_tokens, frozenset()
            wrote = self.ours.write(asked, TOKENS, grammars)
            self.ours.engine.end_tokens = ends
            rates[name] = {"tokens_per_second": wrote.rate, "tokens": wrote.tokens, "forced_tokens": wrote.forced}
        ratio = rates["constrained"]["tokens_per_second"] / rates["free"]["tokens_per_second"]
        return {"ratio": ratio, **rates}

    def single_stream(self) -> Figures:
        """Compare tokens per second of one stream with the faster of `generate` and a plain loop."""
        rates = {
            "ours": self._ours(1),
            "generate": self.generate.write([_words(PROMPT)], TOKENS, temperature=0, stop=False).rate,
            "loop": self.loop.write([self._prompt()], TOKENS).rate,
        }
        return {"ratio": rates["ours"] / max(rates["generate"], rates["loop"]), **rates}

    def llama_cpp(self) -> Figures:
        """Compare 16 streams (and one) with llama.cpp on the same GGUF file (4-bit; ours is bfloat16 or float32)."""
        prompt = len(self._prompt())
        rates = {f"{name}_{streams}": rate for streams in (1, STREAMS) for name, rate in self._against(streams, prompt)}
        ratios = {f"ratio_{n}": rates[f"ours_{n}"] / rates[f"llama_cpp_{n}"] for n in (1, STREAMS)}
        return {"ratio": ratios[f"ratio_{STREAMS}"], **ratios, **rates}

    def _against(self, streams: int, prompt: int) -> list[tuple[str, float]]:
        return [("ours", self._ours(streams)), ("llama_cpp", self.llama.write(streams, TOKENS, prompt).rate)]

    def second_load(self) -> Figures:
        """Compare the second load of the embedded model with the first, which converts it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as cache:
            first, second = self._load(Path(cache)), self._load(Path(cache))
        return {"ratio": first / second, "first_seconds": first, "second_seconds": second}

    def limit(self) -> Figures:
        """Compare one stream with the bound of reading every weight once per token at the measured memory bandwidth."""
        bandwidth = on_processor(self._bandwidth)
        size = packed.packed_bytes(self.ours.engine.model) or sum(p.nbytes for p in self.plain.parameters())
        rate = self._ours(1)
        return {
            "ratio": rate / (bandwidth / size),
            "tokens_per_second": rate,
            "bytes_per_token": size,
            "bandwidth_bytes_per_second": bandwidth,
        }

    def _bandwidth(self) -> float:
        """Return the memory bandwidth in bytes per second, the best of several readings."""
        numbers = torch.ones(1 << 27, dtype=torch.float32)
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            numbers.sum()
            took.append(time.perf_counter() - begun)
        return int(numbers.nbytes) / min(took)

    # -- helpers -----------------------------------------------------------------------------------------------

    def _model(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.converted, dtype="auto").eval()

    def _ours_made(self) -> Ours:
        model = self._model()
        packed.pack(model, trim_heaps)
        return Ours(model, self.tokenizer)

    def _load(self, cache: Path) -> float:
        model = HuggingFaceModelWrapper(self._spec, cache)
        begun = time.perf_counter()
        model.prepare(lambda *_: None)
        model.load(lambda *_: None)
        took = time.perf_counter() - begun
        model.unload()
        return took

    def warm_up(self) -> None:
        """Create everything that the first call creates."""
        side = negotiators(1)[0]
        self.ours.write([side.after([])], 2, [side.grammar])
        self.generate.write([side.after([])], 2, [side.grammar])

    def _prompt(self) -> list[int]:
        return self.ours.engine.template.encode(_words(PROMPT))

    def _ours(self, streams: int) -> float:
        """Return tokens per second without the time to read the prompts."""
        self.ours.forget()
        ends, self.ours.engine.end_tokens = self.ours.engine.end_tokens, frozenset()
        wrote = self.ours.write([_words(PROMPT, n) for n in range(streams)], TOKENS, temperature=0)
        self.ours.engine.end_tokens = ends
        return wrote.rate


def _words(count: int, number: int = 0) -> Any:
    """Return a conversation whose prompt has about this many tokens."""
    return ({"role": "user", "content": f"{number % 10} " + "Tell me a story about a car. " * ((count - 10) // 7)},)


CASES = (
    "concurrent_16",
    "many_rows",
    "two_lanes",
    "first_token_growth",
    "constraint_cost",
    "single_stream",
    "llama_cpp",
    "second_load",
    "limit",
)
BARS = {
    "concurrent_16": "≥ 8",
    "many_rows": "≥ 1",
    "two_lanes": "≤ 1.2",
    "first_token_growth": "≤ 1.35",
    "constraint_cost": "≥ 0.95",
    "single_stream": "≥ 1.25",
    "limit": "≥ 0.35",
}


def measured(bench: Bench, case: str, rounds: int) -> Figures:
    """Return the line of one case; the raw figures come from the round with the median ratio."""
    run: Callable[[], Figures] = getattr(bench, case)
    on = {"processor": hardware()}
    try:
        bench.warm_up()
        done = sorted((run() for _ in range(rounds if case in BARS else 1)), key=_ratio)
    except RuntimeError as error:
        return {"case": case, "ratio": None, "spread": None, "error": str(error), **on}
    gc.collect()
    ratios = [_ratio(one) for one in done]
    middle = done[len(done) // 2]
    line = {"case": case, "ratio": statistics.median(ratios), "spread": [ratios[0], ratios[-1]], "rounds": len(done)}
    return {**line, **on, **{key: value for key, value in middle.items() if key != "ratio"}}


def _ratio(figures: Figures) -> float:
    return float(figures["ratio"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"unknown case: {', '.join(sorted(unknown))}; choose from: {', '.join(CASES)}")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for case in arguments.cases or CASES:
            lines.append(rounded(measured(bench, case, arguments.rounds)))
            print(json.dumps(lines[-1]), flush=True)
    if arguments.write:
        write_table(ROOT / "docs" / "performance.md", "generation", lines, BARS)


if __name__ == "__main__":
    main()
