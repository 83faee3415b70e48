"""The profile of each agent over many negotiations: every measure of behaviour with its intervals.

As on leaderboards, every opponent and scenario has the same weight, and there are two intervals (figures/gains.py): for
these scenarios, where chance is in the seeds, and for scenarios like these. A share is the mean number of hits in a
negotiation, divided by the mean number of chances.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from negotiation.behaviour.sides import Observed
from negotiation.behaviour.traits import TRAITS, Trait, shown_traits
from negotiation.figures.gains import Estimates, Gains, Scope, Sides, numbered
from negotiation.figures.statistics import Floats, Interval
from negotiation.scenario.model import SEATS

LEAST_SPREAD = 1e-4
"""The least variance of first offers received that anchoring can be told from: they must differ by a few points."""


@dataclass(frozen=True)
class TraitFigure:
    """A measure of an agent: for these scenarios and for scenarios like these, and the number of chances behind it."""

    these: Interval
    like_these: Interval | None
    chances: int


@dataclass(frozen=True)
class AgentProfile:
    """How an agent bargains. A measure is None where there was no chance for it.

    `only_bounded` is the number of negotiations against scripts in which only bounds of the best response are known.
    """

    agent: str
    games: int
    figures: dict[str, TraitFigure | None]
    only_bounded: int


class Profiles:
    """The profiles of all agents of some negotiations, computed on first access."""

    def __init__(self, sides: Sequence[Observed]) -> None:
        self.sides = sides
        self.agents = sorted({side.agent for side in sides})
        self.scenarios = sorted({side.scenario for side in sides})

    @property
    def hidden(self) -> list[Trait]:
        """The measures that may not be shown, as they are not reliable enough."""
        shown = shown_traits()
        return [trait for name, trait in TRAITS.items() if name not in shown]

    def of(self, agent: str) -> AgentProfile:
        """Return the profile of an agent."""
        own = [side for side in self.sides if side.agent == agent]
        return AgentProfile(
            agent=agent,
            games=len(own),
            figures={name: self._figure(agent, trait) for name, trait in shown_traits().items()},
            only_bounded=sum(side.best is not None and not side.best.exact for side in own),
        )

    def _figure(self, agent: str, trait: Trait) -> TraitFigure | None:
        value, counted = self._anchoring if trait.name == "anchoring" else self._sums(trait.name)
        own = np.array([side.agent == agent for side in self.sides])
        least = LEAST_SPREAD * own.sum() if trait.name == "anchoring" else 0.0
        if not own.any() or counted[own].sum() <= least:
            return None
        place = self.agents.index(agent)
        estimates = self._gains.of(value, counted)
        these = _interval(estimates, place, trait, like_these=False)
        several = len({self.sides[at].scenario for at in np.flatnonzero(own & (counted > 0)).tolist()}) > 1
        like_these = _interval(estimates, place, trait, like_these=True) if several else None
        chances = int((counted[own] > 0).sum()) if trait.name == "anchoring" else int(counted[own].sum())
        return TraitFigure(these, like_these, chances)

    def _sums(self, name: str) -> tuple[Floats, Floats]:
        """Return a measure's sum and number of chances of every side, shape [sides] each."""
        found = [side.sums.get(name, (0.0, 0)) for side in self.sides]
        return np.array([total for total, _ in found], dtype=np.float64), np.array([float(count) for _, count in found])

    @cached_property
    def _anchoring(self) -> tuple[Floats, Floats]:
        """Return the products whose ratio is the slope of own on received first offers, within agent and scenario.

        With x and y what the other side's first offer and one's own are worth, less their means over an agent's games
        in a scenario: x y and x x. Every opponent has the same weight in these means.
        """
        value, counted = np.zeros(len(self.sides)), np.zeros(len(self.sides))
        groups: defaultdict[tuple[str, tuple[str, str]], list[int]] = defaultdict(list)
        for place, side in enumerate(self.sides):
            if side.anchor is not None:
                groups[side.agent, side.scenario].append(place)
        for places in groups.values():
            opponents = [self.sides[place].opponent for place in places]
            weights = np.array([1 / opponents.count(opponent) for opponent in opponents])
            points = np.array([self.sides[place].anchor for place in places])
            off = points - np.average(points, axis=0, weights=weights)
            value[places], counted[places] = off[:, 0] * off[:, 1], off[:, 0] ** 2
        return value, counted

    @cached_property
    def _gains(self) -> Gains:
        seeds = sorted({side.seed for side in self.sides})
        scenarios = {scenario: place for place, scenario in enumerate(self.scenarios)}
        sides = Sides(
            agent=numbered([side.agent for side in self.sides], self.agents),
            opponent=numbered([side.opponent for side in self.sides], self.agents),
            scenario=np.array([scenarios[side.scenario] for side in self.sides], dtype=np.intp),
            seat=numbered([side.seat for side in self.sides], SEATS),
            seed=np.array([seeds.index(side.seed) for side in self.sides], dtype=np.intp),
            by_rule=np.array([side.by_rule for side in self.sides], dtype=np.bool_),
        )
        return Gains(len(self.agents), len(self.scenarios), len(seeds), sides)


def _interval(estimates: Estimates, place: int, trait: Trait, *, like_these: bool) -> Interval:
    scope: Scope = "like_these" if like_these else "these"
    found = estimates.interval(place, scope, trait.low, trait.high)
    assert found is not None
    return Interval(*(min(trait.high, max(trait.low, value)) for value in (found.mean, found.low, found.high)))
