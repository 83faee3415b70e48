"""Rate agents by what they gain: means with equal weight for each opponent and scenario, and what separates agents.

The model is Gaussian: within a scenario, a gain is agent + opponent + advantage of the seat + noise. An agent is rated
by the mean over its cells, a cell being an opponent and a scenario, of gains less the advantage of the seat (adjusted
means: Searle, Speed & Milliken 1980). Where both seats are played in every meeting, the seats cancel out. A game
without a deal gains nothing and earns nothing. What separates two agents is the mean of their paired differences.

Figures have two scopes. For `these` scenarios, chance is in the games: cells are fixed, and seeds are resampled. For
scenarios `like_these`, the scenarios themselves are a sample. docs/statistics.md has formulas and simulations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from negotiation.figures.any_time import any_time_p
from negotiation.figures.statistics import EQUAL, Floats, Interval, holm, interval_of, ratio_interval, student_p

Scope = Literal["these", "like_these"]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """Both sides of finished games, numbered from 0, shape [sides] each.

    `by_rule` marks sides of games between two scripts. If these repeat themselves, they count as one game.
    """

    agent: Ints
    opponent: Ints
    scenario: Ints
    seat: Ints  # 0 or 1
    seed: Ints
    by_rule: Flags

    def __len__(self) -> int:
        return len(self.agent)


@dataclass(frozen=True)
class Leads:
    """By how much agents (rows) are ahead of others (columns), and which differences are no chance.

    `separated` is controlled over all pairs: the probability that any two equal agents are separated is at most 5 %.
    """

    mean: Floats
    separated: Flags

    def rank(self, agent: int) -> int:
        """Return 1 + the number of agents that are separated from this one and ahead of it."""
        return 1 + int((self.separated[agent] & (self.mean[agent] < 0)).sum())

    def tied(self, agent: int) -> list[int]:
        """Return the agents that are not separated from this one."""
        return [rival for rival in np.flatnonzero(~self.separated[agent]).tolist() if rival != agent]


class Gains:
    """Means of each agent over its cells, for any measure of the games.

    Args:
        agents: The number of agents.
        scenarios: The number of scenarios.
        seeds: The number of seeds.
        sides: The games.
    """

    def __init__(self, agents: int, scenarios: int, seeds: int, sides: Sides) -> None:
        self.agents, self.scenarios, self.seeds, self.sides = agents, scenarios, seeds, sides
        cell = (sides.agent * agents + sides.opponent) * scenarios + sides.scenario
        found, self._cell = np.unique(cell, return_inverse=True)
        self.cell_agent, self.cell_scenario = found // scenarios // agents, found % scenarios
        self.cell_opponent = found // scenarios % agents
        rounds, self._round = np.unique(self._cell * seeds + sides.seed, return_inverse=True)
        self._round_cell, self._round_seed = rounds // seeds, rounds % seeds
        self._round_size = np.bincount(self._round, minlength=len(rounds))
        self.played = np.bincount(self._round_cell, minlength=len(found))  # seeds in each cell
        self._chance = np.zeros(agents, dtype=np.bool_)
        self._chance[sides.agent[~sides.by_rule]] = True
        self._seeds_of = _table(sides.agent, sides.seed, np.ones(len(sides)), agents, seeds) > 0

    def adjusted(self, gain: Floats) -> Floats:
        """Return gains without the advantage of seats, which is estimated within each scenario, shape [sides].

        The advantage is the coefficient of the seat in a least-squares fit with an effect for each agent and each
        opponent. It is 0 where it cannot be told from these, as with two agents that never change seats. Unchanged if
        every meeting was played in both seats.
        """
        sides = self.sides
        if (np.bincount(self._round, sides.seat - 0.5) == 0).all():
            return gain
        slope = np.zeros(self.scenarios)
        for scenario in range(self.scenarios):
            here = sides.scenario == scenario
            effects = np.zeros((int(here.sum()), 2 * self.agents))
            rows = np.arange(len(effects))
            effects[rows, sides.agent[here]] = effects[rows, self.agents + sides.opponent[here]] = 1
            both = np.column_stack([sides.seat[here] - 0.5, gain[here]])
            root = 1 / np.sqrt(np.bincount(self._cell)[self._cell[here]])[:, None]
            off = root * both - root * effects @ np.linalg.lstsq(root * effects, root * both, rcond=None)[0]
            square = float(off[:, 0] @ off[:, 0])
            slope[scenario] = off[:, 0] @ off[:, 1] / square if square > EQUAL else 0.0
        result: Floats = gain - slope[sides.scenario] * (sides.seat - 0.5)
        return result

    def of(self, value: Floats, counted: Floats | None = None) -> Estimates:
        """Return the mean of each agent.

        Args:
            value: The measure of each side, 0 where it is not counted, shape [sides].
            counted: 1 where it counts and 0 where it does not; None if it counts everywhere.
        """
        return Estimates(self, value, np.ones(len(self.sides)) if counted is None else counted)


class Estimates:
    """The mean of each agent, sum(value) / sum(counted) over its cells, and what its uncertainty is made of."""

    def __init__(self, gains: Gains, value: Floats, counted: Floats) -> None:
        self.gains = gains
        g, agents = gains, gains.agents
        round_value, round_counted = (np.bincount(g._round, each) / g._round_size for each in (value, counted))
        cell_value, cell_counted = (np.bincount(g._round_cell, e) / g.played for e in (round_value, round_counted))
        self._by_scenario = _table(g.cell_agent, g.cell_scenario, cell_value, agents, g.scenarios)
        self._counted = _table(g.cell_agent, g.cell_scenario, cell_counted, agents, g.scenarios)
        weight = self._counted.sum(1)
        safe = np.where(weight > 0, weight, 1.0)
        self.mean: Floats = np.where(weight > 0, self._by_scenario.sum(1) / safe, np.nan)
        # over seeds: deviations from the mean of the cell, enlarged for what the cell's own mean has absorbed
        agent = g.cell_agent[g._round_cell]
        off = round_value - np.nan_to_num(self.mean)[agent] * round_counted
        off = off - (np.bincount(g._round_cell, off) / g.played)[g._round_cell]
        squares = np.bincount(g._round_cell, off * off)
        repeated = g.played > 1
        freedom = np.maximum(g.played - 1, 1)
        enlarged = np.where(repeated, np.sqrt(g.played / freedom), 0.0) / g.played / safe[g.cell_agent]
        self._off = _table(agent, g._round_seed, off * enlarged[g._round_cell], agents, g.seeds)
        pooled_freedom = np.bincount(g.cell_agent, np.where(repeated, freedom, 0), agents)
        pooled = np.bincount(g.cell_agent, squares, agents) / np.maximum(pooled_freedom, 1)
        self._single = np.bincount(g.cell_agent, ~repeated, agents) * pooled / safe**2
        share = np.where(repeated, squares / freedom, 0.0) / g.played**2 / safe[g.cell_agent] ** 2
        self._share = _table(agent, g._round_seed, share[g._round_cell], agents, g.seeds)
        self.replicated: Flags = pooled_freedom > 0
        self.cell_variance: Floats = (squares + pooled[g.cell_agent]) / g.played
        """The variance of a cell's games, pulled towards that of all cells of the agent."""

    def interval(self, agent: int, scope: Scope, low: float, high: float, *, any_time: bool = False) -> Interval | None:
        """Return the mean of an agent, which lies in [low, high], with its interval; None if it has none.

        Over seeds, it can be one that holds at `any_time`. More games of the same scenarios do not make it one over
        scenarios.
        """
        mean = float(self.mean[agent])
        if np.isnan(mean):
            return None
        if scope == "like_these":
            present = self._counted[agent] > 0
            return ratio_interval(self._by_scenario[agent][present], self._counted[agent][present], low, high)
        variance = float((self._off[agent] ** 2).sum() + self._single[agent])
        return interval_of(mean, variance, self._draws(agent, agent, variance), low, high, any_time=any_time)

    def leads(self, scope: Scope, *, any_time: bool = False) -> Leads:
        """Return which agents are apart in a measure that counts everywhere.

        Args:
            scope: Over seeds, or over scenarios, paired by scenario.
            any_time: Whether anyone may look at any time, and stop when two agents are apart.
        """
        agents = self.gains.agents
        mean, p = np.zeros((agents, agents)), np.ones((agents, agents))
        for first in range(agents):
            for second in range(first + 1, agents):
                lead, error, size = self._pair(first, second, scope)
                mean[first, second], mean[second, first] = lead, -lead
                p[first, second] = p[second, first] = _p_value(lead, error, size, any_time=any_time)
        upper = np.triu_indices(agents, 1)
        separated = np.zeros((agents, agents), dtype=np.bool_)
        separated[upper] = holm(p[upper])
        return Leads(mean, separated | separated.T)

    def lead(self, first: int, second: int, *, any_time: bool = False) -> Interval:
        """Return by how much the first agent is ahead of the second in `these` scenarios."""
        lead, error, size = self._pair(first, second, "these")
        return interval_of(lead, error * error, size, -2.0, 2.0, any_time=any_time)

    def _pair(self, first: int, second: int, scope: Scope) -> tuple[float, float, float]:
        """Return the lead of an agent over another, its standard error, and the number of independent pairs."""
        if scope == "like_these":
            both = (self._counted[first] > 0) & (self._counted[second] > 0)
            values, counted = self._by_scenario[:, both], self._counted[:, both]
            difference = values[first] / counted[first] - values[second] / counted[second]
            size = len(difference)
            error = float(difference.std(ddof=1)) / size**0.5 if size > 1 else 0.0
            return (float(difference.mean()) if size else 0.0), error, size
        lead = float(self.mean[first] - self.mean[second])
        if np.isnan(lead):
            return 0.0, 0.0, 0
        variance = float(((self._off[first] - self._off[second]) ** 2).sum() + self._single[[first, second]].sum())
        return lead, variance**0.5, self._draws(first, second, variance)

    def _draws(self, first: int, second: int, variance: float) -> float:
        """Return the number of independent draws behind a figure of one or two agents.

        That is the number of seeds; where these share unequally in the variance, (sum of shares)^2 / sum of squares, as
        Satterthwaite (1946) does it. Scripts that repeat themselves are one draw.
        """
        pair = [first, second]
        if variance <= EQUAL**2:
            seeds = int(self.gains._seeds_of[pair].any(0).sum())
            return seeds if self.gains._chance[pair].any() and self.replicated[pair].any() else min(seeds, 1)
        share = self._share[pair].sum(0)
        squares = float((share * share).sum())
        return round(float(share.sum()) ** 2 / squares, 3) if squares > 0 else 1.0


def _p_value(lead: float, error: float, size: float, *, any_time: bool) -> float:
    """Return the two-sided p-value of a lead over independent pairs."""
    if size <= 1 or abs(lead) <= EQUAL:
        return 1.0
    if error <= EQUAL:  # all equal: as likely as a coin that shows the same side each time
        return min(1.0, math.pow(2, 1 - size) * (size * (size + 1) if any_time else 1))
    t = abs(lead) / error
    if any_time:
        return float(any_time_p(np.array(t), np.array(size)))
    return student_p(t, size - 1)


def _table(rows: Ints, columns: Ints, values: Floats, height: int, width: int) -> Floats:
    """Return the sums of values by row and column, shape [height, width]."""
    return np.bincount(rows * width + columns, values, height * width).reshape(height, width).astype(np.float64)


def numbered(labels: Sequence[str], known: Sequence[str]) -> Ints:
    """Return the place of each label among the known ones."""
    places = {label: place for place, label in enumerate(known)}
    return np.array([places[label] for label in labels], dtype=np.intp)
