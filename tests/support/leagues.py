"""Leagues in which every two agents meet, and simulated tournaments whose truth is known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from negotiation.figures.gains import Estimates, Gains, Sides

AGENTS, SCENARIOS = 9, 14
Rows = list[tuple[int, int, int, int, int]]
"""Agent, opponent, scenario, seat and seed of each side."""


def league(agents: int, scenarios: int, seeds: int, *, mirrored: bool = True) -> Rows:
    """Both sides of all games, one game after the other."""
    rows: Rows = []
    for scenario, (x, y), seed in itertools.product(
        range(scenarios), itertools.combinations(range(agents), 2), range(seeds)
    ):
        rows += [(x, y, scenario, 0, seed), (y, x, scenario, 1, seed)]
        if mirrored:
            rows += [(y, x, scenario, 0, seed), (x, y, scenario, 1, seed)]
    return rows


def gains_of(rows: Rows, by_rule: bool = False) -> Gains:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    sizes = [int(column.max()) + 1 for column in columns]
    agent, opponent, scenario, seat, seed = columns
    sides = Sides(agent, opponent, scenario, seat, seed, np.full(len(rows), by_rule))
    return Gains(sizes[0], sizes[2], sizes[4], sides)


def estimated(rows: Rows, gain: np.ndarray, by_rule: bool = False) -> Estimates:
    gains = gains_of(rows, by_rule)
    return gains.of(gains.adjusted(gain))


def simulated_tournaments(
    count: int, seeds: int, *, equal: bool, mirrored: bool = True
) -> Iterator[tuple[Estimates, np.ndarray, np.ndarray]]:
    """Simulate tournaments in which every third negotiation ends without a deal and chance has a part at each level.

    Yields:
        The estimates, the true means in these scenarios, and the true means in scenarios like these, shape [agents].
    """
    chance = np.random.default_rng(17)
    rows = league(AGENTS, SCENARIOS, seeds, mirrored=mirrored)
    gains = gains_of(rows)
    x, y, scenario, seat, seed = (np.array(column) for column in zip(*rows, strict=True))
    others = (np.ones((AGENTS, AGENTS)) - np.eye(AGENTS)) / (AGENTS - 1)
    spread = 0.0 if equal else 0.1
    for _ in range(count):
        skill = np.linspace(-spread, spread, AGENTS)
        generous = chance.normal(0, spread, AGENTS)
        ease = chance.normal(0, 0.1, SCENARIOS)
        suits = chance.normal(0, spread, (AGENTS, SCENARIOS))
        luck = chance.normal(0, 0.1, (AGENTS, SCENARIOS, seeds))
        advantage = chance.normal(0, 0.1, SCENARIOS)
        deal = np.repeat(chance.random(len(rows) // 2) < 2 / 3, 2)
        mean = 0.4 + skill[x] + generous[y] + ease[scenario] + suits[x, scenario] + advantage[scenario] * (seat - 0.5)
        gain = np.where(deal, (mean + luck[x, scenario, seed]) * 1.5 + chance.normal(0, 0.2, len(rows)), 0.0)
        like_these = 0.4 + skill + others @ generous
        these = like_these + ease.mean() + suits.mean(1)
        yield gains.of(gains.adjusted(gain)), these, like_these
