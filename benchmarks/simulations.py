"""Simulate what docs/statistics.md promises, with more repetitions than the tests, and print its tables."""

from __future__ import annotations

import itertools
import sys
from statistics import fmean

import numpy as np

from negotiation.figures.gains import Scope
from tests.support.leagues import AGENTS, simulated_tournaments
from tests.support.looking import SYMMETRIC, ever_different

COUNT = 2000
LOOKS = 300
SCOPES: tuple[Scope, Scope] = ("these", "like_these")


def coverage() -> None:
    """Print how often intervals hold the truth."""
    print("\n| seeds | seats | these scenarios | scenarios like these |\n|---|---|---|---|")
    for seeds, mirrored in itertools.product((2, 3, 5, 10), (True, False)):
        held: dict[Scope, list[bool]] = {scope: [] for scope in SCOPES}
        for found, *truth in simulated_tournaments(COUNT // 5, seeds, equal=False, mirrored=mirrored):
            for scope, means in zip(SCOPES, truth, strict=True):
                intervals = [found.interval(agent, scope, -9, 9) for agent in range(AGENTS)]
                held[scope] += [
                    each is not None and each.low <= m <= each.high for each, m in zip(intervals, means, strict=True)
                ]
        seats = "both" if mirrored else "one"
        print(f"| {seeds} | {seats} | {fmean(held['these']):.1%} | {fmean(held['like_these']):.1%} |", flush=True)


def separations() -> None:
    """Print how often any two of nine equal agents are separated."""
    print("\n| seeds | these scenarios | at any time | scenarios like these |\n|---|---|---|---|")
    for seeds in (2, 3, 5, 10):
        found = [
            (
                estimates.leads("these").separated.any(),
                estimates.leads("these", any_time=True).separated.any(),
                estimates.leads("like_these").separated.any(),
            )
            for estimates, *_ in simulated_tournaments(COUNT, seeds, equal=True)
        ]
        print(
            f"| {seeds} | " + " | ".join(f"{fmean(column):.1%}" for column in zip(*found, strict=True)) + " |",
            flush=True,
        )


def looks() -> None:
    """Print how often a look after every pair declares equal agents different."""
    print(f"\n| differences | declared different within {LOOKS} pairs |\n|---|---|")
    for name, draw in SYMMETRIC.items():
        found = ever_different(draw(np.random.default_rng(23), (20 * COUNT, LOOKS)))
        print(f"| {name} | {found.mean():.1%} |", flush=True)


def main() -> int:
    """Print all tables."""
    coverage()
    separations()
    looks()
    return 0


if __name__ == "__main__":
    sys.exit(main())
