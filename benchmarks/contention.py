"""How fast text is written while other processes compute, with SmolLM2 135M on the CPU.

`python -m benchmarks.contention` prints a JSON line for each case: the median ratio over the rounds and its spread
(least and greatest), the bar, and the tokens per second behind them. `--rounds N` sets how many (default 3), `--seconds
S` how long each measurement lasts (default 8).

- `idle_1`, `idle_8`: tokens per second of 1 and 8 streams on a quiet machine, against the same with a fixed number of
  threads, which is what the engine did before it adapted. Both take turns within one process, because two processes
  that do the same can differ by more than the bar.
- `neighbour_1`, ..., `two_neighbours_8`: beside one or two processes that compute without a pause, against the quiet
  machine. `fixed` is the same ratio with a fixed number of threads.
- `two_programs_1`, `two_programs_8`: two programs that write at the same time; the slower one against one alone.

Measurements begin as soon as the neighbours do, so the time that the engine needs to notice them counts. A token counts
when its text is read; several that are read at once count as one, which makes busy machines look slower, not faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from benchmarks.support.neighbours import neighbours
from manager.config.model_spec import GenerationConfig
from manager.config.registry import Registry
from manager.generation.forward import processor
from manager.generation.forward.team import Team
from manager.generation.request import GenerationRequest, as_messages
from manager.manager import LLMManager

ROOT = Path(__file__).parents[1]
MODEL = "smollm2-steady"
PROMPT = "Tell a long story about a train that is late. " * 8
WARM_TOKENS = 8
"""Tokens that every stream writes before a measurement begins."""
BARS = {"idle": 0.97, "neighbour": 0.45, "two_neighbours": 0.3, "two_programs": 0.4}
STREAMS = (1, 8)
TURN_SECONDS, TURNS = 2.0, (True, False, False, True) * 4
"""How long, and in which order, the engine adapts or not when both take turns."""


class Alternating(Team):
    """A team that can be told not to adapt. The passes that it then computes do not exist for the adaptive one."""

    def __init__(self) -> None:
        self.adapts = True
        self._fixed_seconds = 0.0
        super().__init__(
            torch.get_num_threads(), torch.set_num_threads, lambda: time.perf_counter() - self._fixed_seconds
        )

    def begin(self, rows: int, tokens: int, model: int = 0) -> None:
        self._adapting = self.adapts
        if self._adapting:
            super().begin(rows, tokens, model)
        else:
            self._fixed_since = time.perf_counter()
            self._use(self._most)

    def look(self) -> None:
        if self._adapting:
            super().look()

    def end(self) -> None:
        if self._adapting:
            super().end()
        else:
            self._fixed_seconds += time.perf_counter() - self._fixed_since

    def abandon(self) -> None:
        if self._adapting:
            super().abandon()


class Program:
    """A process with the model loaded, which writes when it is asked to."""

    def __init__(self, cache: Path, *, fixed: bool = False) -> None:
        how = ["--fixed"] if fixed else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contention", "--worker", str(cache), *how],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, streams: int) -> None:
        """Start writing, and return when all streams are under way."""
        self._ask(f"begin {streams}")

    def measured(self, seconds: float) -> float:
        """Return the tokens per second over the next `seconds`."""
        return float(self._ask(f"measure {seconds}"))

    def alternating(self) -> float:
        """Return the ratio of the tokens per second with adapting to those without, which take turns."""
        return float(self._ask("alternate"))

    def end(self) -> None:
        """Stop writing."""
        self._ask("end")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _ask(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the program that writes has ended; see its output above")
        return answer


def work(cache: Path, fixed: bool) -> None:
    """Be the process behind `Program`: read commands, write answers."""
    processor._team = team = Alternating()
    team.adapts = not fixed
    with LLMManager(Registry.from_yaml(ROOT / "configs" / "models.yaml"), 1, cache_dir=cache) as manager:
        manager.load_model(MODEL)
        writers: list[threading.Thread] = []
        stop, counts = threading.Event(), [0]
        for line in sys.stdin:
            command, _, value = line.strip().partition(" ")
            answer: float | str = "ready"
            if command == "begin":
                stop, counts = threading.Event(), [0] * int(value)
                writers = [
                    threading.Thread(target=_write, args=(manager, number, counts, stop), daemon=True)
                    for number in range(int(value))
                ]
                for writer in writers:
                    writer.start()
                while min(counts) < WARM_TOKENS:
                    if not all(writer.is_alive() for writer in writers):
                        raise SystemExit("a stream ended before the measurement")
                    time.sleep(0.02)
            elif command == "measure":
                answer = _rate(counts, float(value))
            elif command == "alternate":
                rates: dict[bool, list[float]] = {True: [], False: []}
                for team.adapts in TURNS:
                    rates[team.adapts].append(_rate(counts, TURN_SECONDS))
                answer = statistics.mean(rates[True]) / statistics.mean(rates[False])
            else:
                stop.set()
                for writer in writers:
                    writer.join()
            print(answer, flush=True)


def _rate(counts: list[int], seconds: float) -> float:
    before, begun = sum(counts), time.perf_counter()
    time.sleep(seconds)
    return (sum(counts) - before) / (time.perf_counter() - begun)


def _write(manager: LLMManager, number: int, counts: list[int], stop: threading.Event) -> None:
    config = GenerationConfig(max_new_tokens=400, temperature=0.7)
    seed = number
    with manager.lease(MODEL) as lease:
        while not stop.is_set():
            stream = lease.generate(GenerationRequest(as_messages(PROMPT), config, seed, None))
            while not stop.is_set() and stream.read() is not None:
                counts[number] += 1
            stream.close()
            seed += 100


def rate(program: Program, streams: int, seconds: float, busy: int = 0) -> float:
    """Return the tokens per second of a program beside `busy` neighbours, from the moment they start."""
    program.begin(streams)
    with neighbours(busy):
        found = program.measured(seconds)
    program.end()
    return found


def alternating(program: Program, streams: int) -> float:
    """Return how fast a program writes that adapts, as a ratio to the same without."""
    program.begin(streams)
    found = program.alternating()
    program.end()
    return found


def both(programs: list[Program], streams: int, seconds: float) -> float:
    """Return the tokens per second of the slower of two programs that write at the same time."""
    for program in programs:
        program.begin(streams)
    with ThreadPoolExecutor(len(programs)) as pool:
        found: list[float] = list(pool.map(lambda program: program.measured(seconds), programs))
    for program in programs:
        program.end()
    return min(found)


def measure(cache: Path, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the figures of each case."""
    with ExitStack() as stack:
        first, second, fixed = Program(cache), Program(cache), Program(cache, fixed=True)
        for program in (first, second, fixed):
            stack.callback(program.close)
            program.begin(1)
            program.end()
        for streams in STREAMS:
            rows = []
            for _ in range(rounds):
                row = {"idle": rate(first, streams, seconds), "fixed_idle": rate(fixed, streams, seconds)}
                row["adapts"] = alternating(first, streams)
                for busy, name in ((1, "neighbour"), (2, "two_neighbours")):
                    row[name] = rate(first, streams, seconds, busy)
                    row[f"fixed_{name}"] = rate(fixed, streams, seconds, busy)
                row["two_programs"] = both([first, second], streams, seconds)
                rows.append(row)
            for case, bar in BARS.items():
                ratios = [row["adapts"] if case == "idle" else row[case] / row["idle"] for row in rows]
                line: dict[str, Any] = {
                    "case": f"{case}_{streams}",
                    "ratio": round(statistics.median(ratios), 3),
                    "spread": [round(min(ratios), 3), round(max(ratios), 3)],
                    "bar": bar,
                    "tokens_per_second": round(statistics.median(row[case] for row in rows), 1),
                }
                if f"fixed_{case}" in rows[0] and case != "idle":
                    fixed_ratios = [row[f"fixed_{case}"] / row["fixed_idle"] for row in rows]
                    line["fixed"] = round(statistics.median(fixed_ratios), 3)
                yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fixed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.fixed)
        return
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), options.rounds, options.seconds):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
