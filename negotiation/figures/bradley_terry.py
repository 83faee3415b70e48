"""Bradley-Terry ratings: estimate the strength of agents from contests between two.

The probability that x beats y is 1 / (1 + exp(s_y - s_x)). Strengths s are maximum-likelihood estimates (Bradley &
Terry 1952; Hunter 2004), and a draw counts as half a win for each. Ratings use the scale of chess: 400 points are odds
of ten to one, and the mean is 1000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from negotiation.figures.statistics import LEVEL, Floats, Interval

POINTS = 400 / math.log(10)
MIDDLE = 1000.0
PRIOR = 0.5
"""Weight of a virtual draw of each agent against an average one, which keeps the ratings of unbeaten agents finite."""
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class Contest:
    """A contest of two agents: `score` is 1 if the first got more, 0 if the second did, and 0.5 for a draw."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Ratings:
    """Strengths of agents (mean zero) with two estimates of their covariance.

    `robust` is the sandwich estimate, `model` the inverse information, shape [agents, agents]. The sandwich estimate
    alone is overconfident where one side won everything, so the larger variance of the two is used.
    """

    agents: tuple[str, ...]
    strengths: Floats
    robust: Floats
    model: Floats

    def rating(self, agent: str) -> Interval:
        """Return an agent's rating in points with its 95 % interval."""
        place = self.agents.index(agent)
        return _in_points(float(self.strengths[place]), self.error(self._against_all(place)), MIDDLE)

    def lead(self, first: str, second: str) -> Interval:
        """Return the first agent's lead over the second in points with its 95 % interval."""
        contrast = self.contrast(first, second)
        return _in_points(float(contrast @ self.strengths), self.error(contrast), 0.0)

    def contrast(self, first: str, second: str) -> Floats:
        """Return +1 for the first agent and -1 for the second, shape [agents]."""
        contrast = np.zeros(len(self.agents))
        contrast[self.agents.index(first)] += 1
        contrast[self.agents.index(second)] -= 1
        return contrast

    def error(self, contrast: Floats) -> float:
        """Return the standard error of a weighted sum of strengths."""
        return math.sqrt(max(float(contrast @ self.robust @ contrast), float(contrast @ self.model @ contrast), 0.0))

    def _against_all(self, place: int) -> Floats:
        contrast = np.full(len(self.agents), -1 / len(self.agents))
        contrast[place] += 1
        return contrast


@dataclass(frozen=True)
class Place:
    """Where an agent stands: its rating, how many agents lie wholly above it, plus one, and whom it is tied with."""

    rank: int
    tied: tuple[str, ...]
    rating: Interval


def places(ratings: Ratings) -> dict[str, Place]:
    """Return the place of each agent; agents with overlapping intervals share a rank."""
    intervals = {agent: ratings.rating(agent) for agent in ratings.agents}

    def place(agent: str) -> Place:
        own = intervals[agent]
        rank = 1 + sum(rival.low > own.high for rival in intervals.values())
        rivals = {name: rival for name, rival in intervals.items() if name != agent}
        tied = tuple(name for name, rival in rivals.items() if rival.low <= own.high and own.low <= rival.high)
        return Place(rank, tied, own)

    return {agent: place(agent) for agent in ratings.agents}


@dataclass
class Tally:
    """The number of contests that an agent won, drew and lost."""

    wins: int = 0
    draws: int = 0
    losses: int = 0

    def add(self, score: float) -> None:
        """Count one more contest with this score."""
        if score > 0.5:
            self.wins += 1
        elif score < 0.5:
            self.losses += 1
        else:
            self.draws += 1


def tallies(agents: Iterable[str], contests: Iterable[Contest]) -> dict[str, Tally]:
    """Return the tally of each agent."""
    found = {agent: Tally() for agent in agents}
    for contest in contests:
        found[contest.first].add(contest.score)
        found[contest.second].add(1 - contest.score)
    return found


def bradley_terry(agents: Sequence[str], contests: Iterable[Contest], prior: float = PRIOR) -> Ratings:
    """Return the ratings of agents from independent contests.

    Args:
        agents: The agents to rate.
        contests: Contests between them.
        prior: The weight of a virtual draw of each agent against an average one. With 0, strengths may be infinite, and
            agents that never met cannot be compared.
    """
    places = {agent: place for place, agent in enumerate(agents)}
    met = [(places[c.first], places[c.second], c.score) for c in contests]
    first, second = (np.array([row[side] for row in met], dtype=np.intp) for side in (0, 1))
    score = np.array([row[2] for row in met], dtype=np.float64)
    strengths = np.zeros(len(agents))
    for _ in range(100):  # Newton's method; the likelihood is concave
        slope, _, information = _likelihood(strengths, first, second, score, prior)
        step = np.linalg.pinv(information) @ slope
        step *= min(1.0, 2.0 / max(float(np.abs(step).max(initial=0.0)), 1e-300))  # bounds the step
        strengths = strengths + step
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    slope, each, information = _likelihood(strengths, first, second, score, prior)
    inverse: Floats = np.linalg.pinv(information).astype(np.float64)
    spread = np.zeros_like(information)
    for a, b, off in zip(first, second, each, strict=True):
        spread[a, a] += off * off
        spread[b, b] += off * off
        spread[a, b] -= off * off
        spread[b, a] -= off * off
    small = len(met) / (len(met) - 1) if len(met) > 1 else 1.0
    robust: Floats = inverse @ spread @ inverse * small
    return Ratings(tuple(agents), strengths - strengths.mean(), robust, inverse)


def _likelihood(
    strengths: Floats, first: np.ndarray, second: np.ndarray, score: Floats, prior: float
) -> tuple[Floats, Floats, Floats]:
    """Return the slope of the log-likelihood, each contest's share of its first agent's slope, and the information."""
    chance = _chance(strengths[first] - strengths[second])
    off, weight = score - chance, chance * (1 - chance)
    agents = len(strengths)
    slope = np.bincount(first, off, agents) - np.bincount(second, off, agents)
    information = np.diag(np.bincount(first, weight, agents) + np.bincount(second, weight, agents))
    np.subtract.at(information, (first, second), weight)
    np.subtract.at(information, (second, first), weight)
    average = _chance(strengths)
    return slope + prior * (0.5 - average), off, information + np.diag(prior * average * (1 - average))


def _chance(difference: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-difference))
    return chance


def _in_points(strength: float, error: float, middle: float) -> Interval:
    mean = middle + POINTS * strength
    reach = POINTS * _Z * error
    return Interval(mean, mean - reach, mean + reach)
