"""Benefit of the scheduler: two-agent negotiations with few slots, compared with a common model manager.

`python -m benchmarks.manager` runs eight negotiations of 20 turns over four models with two places (turns of 1 s
± 30 %, loads of 2 s, turns on resident weights overlap) on a simulated clock, under a baseline and under the real
scheduler (support/simulation.py), and prints one JSON line: the medians over the seeds.
"""

from __future__ import annotations

import itertools
import json

from benchmarks.support.simulation import Baseline, Ours, medians, turns_of

PAIRS = [*itertools.combinations(range(4), 2), (0, 1), (2, 3)]
PLACES = 2
LOAD_SECONDS = 2.0
SEEDS = range(20)


def compare(
    pairs: list[tuple[int, int]] = PAIRS,
    places: int = PLACES,
    load_seconds: float = LOAD_SECONDS,
    seeds: range = SEEDS,
) -> dict[str, dict[str, float]]:
    """Return the medians over the seeds for each figure and contender."""
    evenings = [turns_of(pairs, seed) for seed in seeds]
    baseline = medians([Baseline(places, load_seconds).run(turns) for turns in evenings])
    ours = medians([Ours(places, load_seconds).run(turns) for turns in evenings])
    return {name: {"baseline": baseline[name], "ours": ours[name]} for name in ours}


if __name__ == "__main__":
    print(json.dumps(compare()))
