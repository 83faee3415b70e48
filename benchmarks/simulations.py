"""Simulate what docs/statistics.md promises, with more repetitions than the tests, and print its tables."""

from __future__ import annotations

import itertools
import sys
from statistics import fmean

import numpy as np

from negotiation.figures.gains import Scope
from negotiation.tournament.leaderboard import SURPLUS
from tests.support.adaptive import simulated
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


def adaptive() -> None:
    """Print how adaptive tournaments do that stop when their ranking is settled, or when all has been played."""
    head = "agents", "first seeds", "games played", "intervals that hold the truth", "any two separated"
    print(f"\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for agents, first, spread, close in ((3, 1, 0.6, 10), (3, 2, 0.6, 10), (3, 2, 0.0, 0), (9, 2, 0.0, 0)):
        held, played, separated = list[bool](), list[float](), list[bool]()
        for number in range(COUNT // 10 if agents < 9 else COUNT // 20):
            seeds = 24 if agents < 9 else 8
            cup = simulated(number, agents=agents, scenarios=2, seeds=seeds, first=first, spread=spread)
            board, ever = cup.end(close, 8 if agents < 9 else 16)
            played.append(len(board.games) / cup.tournament.size)
            separated.append(ever)
            for place, agent in enumerate(cup.skill):
                interval = board.surplus.interval(place, "these", *SURPLUS, any_time=True)
                held.append(interval is not None and interval.low <= cup.truth(agent) <= interval.high)
        who = f"{agents}, {100 * spread:.0f} points apart" if spread else f"{agents}, equal"
        print(f"| {who} | {first} | {fmean(played):.0%} | {fmean(held):.1%} | {fmean(separated):.1%} |", flush=True)


def main() -> int:
    """Print all tables."""
    coverage()
    separations()
    looks()
    adaptive()
    return 0


if __name__ == "__main__":
    sys.exit(main())
