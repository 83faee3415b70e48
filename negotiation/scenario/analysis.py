"""Compute the optimal outcomes of a scenario and the distance of a result from them, vectorised over all outcomes.

Points lie in the plane of both undiscounted utilities; gains are measured from the reservation values. See
docs/scenarios.md for formulas and sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from negotiation.scenario.issue import Issue
from negotiation.scenario.model import PLACES, SEATS, Offer, Scenario, Seat

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

NOISE = 12
"""Sums and products of utilities are compared to this many decimal places; the rest is rounding noise."""


def undominated(a: Floats, b: Floats) -> Indices:
    """Return the indices of the points that no other point beats for one side without loss to the other.

    Args:
        a: Utilities to side a, shape [points].
        b: Utilities to side b, shape [points].

    Returns:
        Indices by descending `a`, all tied points included. O(n log n): sorted by descending a, then b, a point is
        undominated if its b exceeds every b before its group of equals (Kung, Luccio & Preparata 1975).
    """
    order = np.lexsort((-b, -a))
    a, b = a[order], b[order]
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], b[:-1])))
    rises = b > best_before
    same = np.concatenate(([False], (a[1:] == a[:-1]) & (b[1:] == b[:-1])))
    group = np.cumsum(~same) - 1  # equal points are adjacent
    listed: Indices = order[rises[np.flatnonzero(~same)][group]]
    return listed


class OutcomeSpace:
    """All outcomes of a scenario, numbered in the order of its issues' options; the last issue varies fastest."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._sizes = tuple(len(issue.choices) for issue in scenario.issues.values())

    def __len__(self) -> int:
        return math.prod(self._sizes)

    def offer(self, index: int) -> dict[str, str | int]:
        """Return the outcome with a number."""
        return self.offers(np.array([index]))[0]

    def offers(self, indices: Indices) -> list[dict[str, str | int]]:
        """Return the outcomes with these numbers."""
        names, choices = list(self.scenario.issues), [issue.choices for issue in self.scenario.issues.values()]
        places = np.unravel_index(indices, self._sizes)
        columns = [
            [options[place] for place in column.tolist()] for options, column in zip(choices, places, strict=True)
        ]
        return [dict(zip(names, picked, strict=True)) for picked in zip(*columns, strict=True)]

    def index(self, offer: Offer) -> int:
        """Return the number of an outcome."""
        places = [issue.choices.index(offer[name]) for name, issue in self.scenario.issues.items()]
        return int(np.ravel_multi_index(places, self._sizes))

    def utilities(self, seat: Seat) -> Floats:
        """Return the utility of every outcome to a seat, shape [outcomes]."""
        return self._utilities[seat]

    def worth(self, seat: Seat, offer: Offer) -> float:
        """Return the utility of an outcome to a seat, as `Scenario.utility` does, and remember it."""
        key = seat, *[offer[name] for name in self.scenario.issues]
        found = self._worth.get(key)
        if found is None:
            found = self._worth[key] = self.scenario.utility(seat, offer)
        return found

    def ranking(self, seat: Seat) -> Indices:
        """Return the numbers of all outcomes by falling utility to a seat, shape [outcomes]."""
        return self._ranking[seat]

    @cached_property
    def _ranking(self) -> dict[Seat, Indices]:
        return {seat: np.argsort(-self._utilities[seat], kind="stable") for seat in SEATS}

    @cached_property
    def _worth(self) -> dict[tuple[Any, ...], float]:
        return {}

    @cached_property
    def _utilities(self) -> dict[Seat, Floats]:
        return {seat: self._sum(seat) for seat in SEATS}

    def _sum(self, seat: Seat) -> Floats:
        role = self.scenario.roles[seat]
        total: Floats = np.zeros(self._sizes)
        for axis, (name, issue) in enumerate(self.scenario.issues.items()):
            shape = [1] * len(self._sizes)
            shape[axis] = -1
            total = total + role.weights[name] * self._values(seat, name, issue).reshape(shape)
        return np.round(total.ravel(), PLACES)

    def _values(self, seat: Seat, name: str, issue: Issue) -> Floats:
        """Return what every option of an issue is worth to a seat, as `Scenario.value` does, shape [options]."""
        given = self.scenario.roles[seat].values[name]
        if issue.range is None:
            return np.array([given[choice] for choice in issue.choices])
        numbers = np.arange(issue.range.min, issue.range.max + 1, issue.range.step)
        points = np.array(sorted(map(int, given)))
        worth = np.array([given[int(point)] for point in points])
        below = np.minimum(np.searchsorted(points, numbers, side="right"), len(points) - 1) - 1
        share = (numbers - points[below]) / (points[below + 1] - points[below])
        values: Floats = worth[below] + share * (worth[below + 1] - worth[below])
        return values


@dataclass(frozen=True)
class Point:
    """An outcome and its utility to both sides."""

    offer: dict[str, str | int]
    utility_a: float
    utility_b: float


@dataclass(frozen=True)
class Analysis:
    """The optimal outcomes of a scenario. A point is None where no outcome qualifies."""

    outcomes: int
    pareto: tuple[Point, ...]
    nash: Point | None
    kalai_smorodinsky: Point | None
    egalitarian: Point | None
    max_welfare: Point
    opposition: float
    zone: float


class Analyser:
    """Analyses one scenario; each result is computed once, on first use."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.space = OutcomeSpace(scenario)
        self._a, self._b = self.space.utilities("a"), self.space.utilities("b")
        self._gain_a = self._a - scenario.roles["a"].reservation
        self._gain_b = self._b - scenario.roles["b"].reservation

    @cached_property
    def frontier(self) -> Indices:
        """The outcomes that no other beats for one side without loss to the other, by descending utility to a.

        An outcome u is on the frontier if there is no v with v_a >= u_a and v_b >= u_b, one of them strictly greater.
        All tied outcomes are included.
        """
        return undominated(self._a, self._b)

    @cached_property
    def rational(self) -> Indices:
        """The outcomes that reach the reservation values of both sides."""
        return np.flatnonzero((self._gain_a >= 0) & (self._gain_b >= 0))

    @cached_property
    def nash(self) -> int | None:
        """The outcome with the largest product of gains, if any gives both a gain: argmax (u_a - r_a)(u_b - r_b).

        r is the reservation value. Nash (1950), The bargaining problem. Econometrica 18(2).
        """
        product = self._product
        largest = float(product.max())
        return int(np.argmax(product >= largest * (1 - 10.0**-NOISE))) if largest > 0 else None

    @cached_property
    def nash_ties(self) -> Indices:
        """All outcomes whose product of gains is the largest, up to the rounding of utilities; `nash` is one of them.

        Not empty only if some outcome gives both sides a gain.
        """
        largest = float(self._product.max())
        return np.flatnonzero(self._product >= largest - 10.0**-PLACES) if largest > 0 else np.array([], dtype=np.intp)

    @cached_property
    def _product(self) -> Floats:
        """The product of the gains of every outcome, -1 unless both sides gain, shape [outcomes]."""
        return np.where((self._gain_a > 0) & (self._gain_b > 0), self._gain_a * self._gain_b, -1.0)

    @cached_property
    def kalai_smorodinsky(self) -> int | None:
        """The rational outcome with the largest minimum relative gain; None if a side cannot gain.

        That is argmax min over the sides of (u - r) / (max u - r), with the maximum over the rational outcomes. Kalai &
        Smorodinsky (1975), Other solutions to Nash's bargaining problem. Econometrica 43(3). With discrete outcomes,
        none may lie on their line from no deal to the ideal point; this is the usual form for that case.
        """
        if not len(self.rational):
            return None
        top_a, top_b = self._gain_a[self.rational].max(), self._gain_b[self.rational].max()
        if top_a <= 0 or top_b <= 0:
            return None
        return self._fairest(self._gain_a / top_a, self._gain_b / top_b)

    @cached_property
    def egalitarian(self) -> int | None:
        """The rational outcome with the largest minimum gain: argmax min(u_a - r_a, u_b - r_b).

        Kalai (1977), Proportional solutions to bargaining situations. Econometrica 45(7).
        """
        return self._fairest(self._gain_a, self._gain_b) if len(self.rational) else None

    @cached_property
    def max_welfare(self) -> int:
        """The outcome with the largest sum of utilities: argmax u_a + u_b; among equals the most even one."""
        total = np.round(self._a + self._b, PLACES)
        ties = np.flatnonzero(total == total.max())
        return int(ties[np.argmax(np.minimum(self._a[ties], self._b[ties]))])

    @cached_property
    def opposition(self) -> float:
        """The distance from the ideal point (1, 1) to the nearest outcome: min sqrt((1 - u_a)^2 + (1 - u_b)^2).

        0 if one outcome is perfect for both. Baarslag et al. (2013), Evaluating practical negotiating agents:
        results and analysis of the 2011 international competition. Artificial Intelligence 198.
        """
        return float(np.hypot(1 - self._a, 1 - self._b).min())

    @property
    def zone(self) -> float:
        """The zone of agreement: the share of outcomes that reach the reservation values of both sides."""
        return len(self.rational) / len(self.space)

    def analysis(self) -> Analysis:
        """Return all results."""
        return Analysis(
            outcomes=len(self.space),
            pareto=tuple(self._points(self.frontier)),
            nash=self._maybe(self.nash),
            kalai_smorodinsky=self._maybe(self.kalai_smorodinsky),
            egalitarian=self._maybe(self.egalitarian),
            max_welfare=self.point(self.max_welfare),
            opposition=self.opposition,
            zone=self.zone,
        )

    def point(self, index: int) -> Point:
        """Return an outcome with its utilities."""
        return self._points(np.array([index]))[0]

    def _points(self, indices: Indices) -> list[Point]:
        a, b = self._a[indices].tolist(), self._b[indices].tolist()
        return [Point(*entry) for entry in zip(self.space.offers(indices), a, b, strict=True)]

    def pareto_distance(self, utility_a: float, utility_b: float) -> float:
        """Return the Euclidean distance from a pair of utilities to the nearest outcome on the frontier."""
        a, b = self._a[self.frontier], self._b[self.frontier]
        return float(np.hypot(a - utility_a, b - utility_b).min())

    def improvement(self, utility_a: float, utility_b: float) -> Point | None:
        """Return the outcome on the frontier that is better for one side and no worse for the other, if there is one.

        Of several, return the one with the largest minimum gain.
        """
        gain_a, gain_b = self._a[self.frontier] - utility_a, self._b[self.frontier] - utility_b
        better = np.flatnonzero((gain_a >= -1e-9) & (gain_b >= -1e-9) & (gain_a + gain_b > 1e-6))
        if not len(better):
            return None
        least, total = np.minimum(gain_a, gain_b)[better], (gain_a + gain_b)[better]
        return self.point(int(self.frontier[better[np.lexsort((total, least))[-1]]]))

    def nash_distance(self, utility_a: float, utility_b: float) -> float | None:
        """Return the Euclidean distance from a pair of utilities to the nearest Nash outcome, if there is one."""
        if not len(self.nash_ties):
            return None
        a, b = self._a[self.nash_ties], self._b[self.nash_ties]
        return float(np.hypot(a - utility_a, b - utility_b).min())

    def welfare_share(self, utility_a: float, utility_b: float) -> float:
        """Return the joint utility as a share of the largest possible one; 1 if no outcome is worth anything."""
        possible = (self._a + self._b)[self.max_welfare]
        return float((utility_a + utility_b) / possible) if possible else 1.0

    def best_given(self, seat: Seat) -> float:
        """Return the best own utility among outcomes that reach the other's reservation value; 0 if there are none."""
        own, gain_other = (self._a, self._gain_b) if seat == "a" else (self._b, self._gain_a)
        possible = own[gain_other >= 0]
        return float(possible.max()) if len(possible) else 0.0

    def _fairest(self, a: Floats, b: Floats) -> int:
        """Return the rational outcome with the largest minimum; among equals, the one with the largest sum."""
        worst, total = (np.round(worth[self.rational], NOISE) for worth in (np.minimum(a, b), a + b))
        return int(self.rational[np.argmax(np.where(worst == worst.max(), total, -np.inf))])

    def _maybe(self, index: int | None) -> Point | None:
        return None if index is None else self.point(index)
