"""Where the scheduler helps and where it cannot: other workloads, other load times, and the optimal order.

`python -m benchmarks.manager_cases` prints one JSON line. `evenings`: for each case and load time, ours divided by
the baseline (medians over the seeds), and the longest bypass. `optimum`: for cases small enough to search exactly,
turns of exactly 1 s, the makespan of the baseline, ours and the best possible order under the same rules.
"""

from __future__ import annotations

import itertools
import json
import statistics

from benchmarks.manager import PAIRS
from benchmarks.support.optimum import best
from benchmarks.support.simulation import Baseline, Figures, Ours, Turns, turns_of

Pairs = list[tuple[int, int]]

EVENINGS: dict[str, tuple[Pairs, int]] = {
    "8 sessions over 4 models, 2 places": (PAIRS, 2),
    "8 sessions over 4 models, 1 place": (PAIRS, 1),
    "8 sessions over 4 models, 3 places": (PAIRS, 3),
    "16 sessions over 6 models, 2 places": ([*itertools.combinations(range(6), 2), (0, 1)], 2),
    "8 sessions of the same 2 models, 2 places": ([(0, 1)] * 8, 2),
    "2 sessions, 4 models, 2 places": ([(0, 1), (2, 3)], 2),
    "3 sessions, a chain of 4 models, 2 places": ([(0, 1), (1, 2), (2, 3)], 2),
    "3 sessions, 6 models, 2 places": ([(0, 1), (2, 3), (4, 5)], 2),
    "2 sessions, one of a model with itself, 2 places": ([(0, 1), (2, 2)], 2),
}
LOADS = (0.5, 2.0, 10.0)
SEEDS = range(5)

SMALL: list[tuple[Pairs, int]] = [
    ([(0, 1), (2, 3)], 12),
    ([(0, 1), (1, 2), (2, 3)], 6),
    ([(0, 1), (2, 3), (0, 2)], 6),
    ([(0, 1), (2, 2)], 12),
]
SMALL_LOADS = (1, 2, 5)


def against_baseline(pairs: Pairs, places: int, load_seconds: float) -> dict[str, float]:
    """Return ours divided by the baseline for each figure."""

    def ratio(figure: str) -> float:
        return round(statistics.median(ours[figure] / (common[figure] or 1) for common, ours in runs), 2)

    def summaries(turns: list[Turns]) -> tuple[dict[str, float], dict[str, float]]:
        common: Figures = Baseline(places, load_seconds).run(turns)
        return common.summary(), Ours(places, load_seconds).run(turns).summary()

    runs = [summaries(turns_of(pairs, seed)) for seed in SEEDS]
    ratios = {figure: ratio(figure) for figure in ("swaps_per_turn", "makespan", "wait_mean", "wait_p95")}
    return {**ratios, "longest_bypass": max(ours["longest_bypass"] for _, ours in runs)}


def against_optimum(pairs: Pairs, turns: int, load: int) -> dict[str, object]:
    """Return three makespans with two slots and turns of exactly 1 s."""
    sessions: list[Turns] = [[(pair[turn % 2], 1.0) for turn in range(turns)] for pair in pairs]
    least = best([[model for model, _ in session] for session in sessions], 2, load, "makespan")
    ours = Ours(2, load).run(sessions).makespan
    return {
        "pairs": pairs,
        "turns": turns,
        "load": load,
        "baseline": Baseline(2, load).run(sessions).makespan,
        "ours": ours,
        "best": least,
        "ours_to_best": round(ours / least, 2),
    }


def measure() -> dict[str, object]:
    """Return both tables."""
    return {
        "evenings": {
            name: {f"loads of {load} s": against_baseline(pairs, places, load) for load in LOADS}
            for name, (pairs, places) in EVENINGS.items()
        },
        "optimum": [against_optimum(pairs, turns, load) for pairs, turns in SMALL for load in SMALL_LOADS],
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
