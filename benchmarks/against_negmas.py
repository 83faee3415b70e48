"""Compares our analysis with that of negmas, which is AGPL and so never installed with Parley.

In an environment of negmas's own, with the folders that `export-genius` and `analyze --json` have filled:

    for s in night_train job_offer; do
        parley export-genius $s check/$s
        parley analyze $s --json check/$s/analysis.json
    done
    python -m venv other && other/bin/pip install negmas && other/bin/python benchmarks/against_negmas.py check

Negmas reads the files and works everything out itself. Its Kalai-Smorodinsky point is the frontier's most even one,
ours the one with the largest smaller share, so these are reported separately, not compared.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from negmas.inout import load_genius_domain
from negmas.preferences.ops import (
    kalai_points,
    ks_points,
    max_welfare_points,
    nash_points,
    opposition_level,
    pareto_frontier_numpy,
)

CLOSE = 1e-6


def near(point: Mapping[str, float], candidates: Iterable[Sequence[float]]) -> bool:
    mine = point["utility_a"], point["utility_b"]
    return any(max(abs(x - y) for x, y in zip(mine, other, strict=True)) < CLOSE for other in candidates)


def compare(folder: Path) -> dict[str, bool]:
    """Return whether both agree on each part of an analysis."""
    ours = json.loads((folder / "analysis.json").read_text())
    scenario = load_genius_domain(folder / "domain.xml", [folder / "a.xml", folder / "b.xml"], ignore_discount=True)
    ufuns, outcomes = scenario.ufuns, list(scenario.outcome_space.enumerate_or_sample())
    # Rounded, since sums that are equal on paper differ in the last bits, and a frontier then loses ties.
    points = np.array([[round(float(ufun(outcome)), 9) for ufun in ufuns] for outcome in outcomes])
    frontier = [tuple(points[index]) for index in pareto_frontier_numpy(points)]
    about = {"outcomes": outcomes}
    solutions = {
        "nash": nash_points(ufuns, frontier, **about),
        "egalitarian": kalai_points(ufuns, frontier, **about),
        "max_welfare": max_welfare_points(ufuns, frontier, **about),
        "kalai_smorodinsky": ks_points(ufuns, frontier, **about),
    }
    listed = [(point["utility_a"], point["utility_b"]) for point in ours["pareto"]]
    worth = {_key(outcome): tuple(pair) for outcome, pair in zip(outcomes, points.tolist(), strict=True)}
    agree = {
        "outcomes": len(outcomes) == ours["outcomes"],
        "utilities": all(near(point, [worth[_key(point["offer"].values())]]) for point in ours["pareto"]),
        "pareto": {(round(a, 9), round(b, 9)) for a, b in listed} == {(float(a), float(b)) for a, b in frontier},
        "opposition": abs(opposition_level(ufuns, 1.0, outcomes=outcomes) - ours["opposition"]) < CLOSE,
    }
    return agree | {name: near(ours[name], [point for point, _ in found]) for name, found in solutions.items()}


def _key(values: Iterable[object]) -> tuple[str, ...]:
    """Return an outcome whose numbers may be numbers or, as in a discrete issue, strings."""
    return tuple(str(value) for value in values)


def main() -> None:
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        agree = compare(folder)
        differ = [name for name, same in agree.items() if not same]
        print(f"{folder.name:20} {'the same' if not differ else 'differs: ' + ', '.join(differ)}", flush=True)


if __name__ == "__main__":
    main()
