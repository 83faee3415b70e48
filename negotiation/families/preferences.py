"""Draw what the issues of a scenario are worth to both roles, and what no deal is worth.

Weights and values are whole percentages, and whether a scenario keeps to its family's opposition and zone is decided in
whole numbers, so that no rounding error of a machine can decide what is drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negotiation.families.draws import Draws
from negotiation.families.family import FamilyIssue, Points
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import PLACES, SEATS, Seat
from negotiation.scenario.model import other as opposite

UNIT: int = 10**PLACES
"""Utilities are whole multiples of 1 / UNIT."""
LEAST_WEIGHT = 5
RESERVATIONS = 5, 60
"""The least and the greatest reservation value, in percent. The one that is drawn first is at least MARGIN away."""
MARGIN = 10
Utilities = NDArray[np.int64]


@dataclass(frozen=True)
class Preferences:
    """One role's weights by issue, values by issue and option, and worth of no deal."""

    weights: dict[str, float]
    values: dict[str, dict[Value, float]]
    no_deal: float = 0.0


def drawn_preferences(
    draws: Draws, issues: Mapping[str, Issue], parts: Mapping[str, FamilyIssue]
) -> dict[Seat, Preferences]:
    """Draw the weights and values of both roles; what no deal is worth comes later (`drawn_reservations`)."""
    return {
        seat: Preferences(
            _weights(draws, list(issues)),
            {name: _values(draws, issue, up=parts[name].wants[seat] == "more") for name, issue in issues.items()},
        )
        for seat in SEATS
    }


def ranked_preferences(
    points: Points, family: str, seed: int, index: int, issues: Mapping[str, Issue]
) -> dict[Seat, Preferences]:
    """Return the preferences of roles that rank the issues: each ordered pair of rankings once, in an order by seed."""
    rankings = sorted(set(itertools.permutations(points.ranked)))
    pairs = Draws(family, seed, "rankings").shuffled(list(itertools.product(rankings, repeat=2)))
    pair = dict(zip(SEATS, pairs[(index - 1) % len(pairs)], strict=True))
    return {seat: _of_points(pair[seat], points.no_deal, issues, up=seat == "a") for seat in SEATS}


def whole(space: OutcomeSpace) -> dict[Seat, Utilities]:
    """Return all utilities as whole multiples of 1 / UNIT, shape [outcomes]."""
    return {seat: np.rint(space.utilities(seat) * UNIT).astype(np.int64) for seat in SEATS}


def opposed(utilities: Mapping[Seat, Utilities], bounds: tuple[float, float]) -> bool:
    """Return whether the opposition, the least distance of an outcome from (1, 1), lies within bounds."""
    gaps = [UNIT - utilities[seat] for seat in SEATS]
    nearest = int((gaps[0] * gaps[0] + gaps[1] * gaps[1]).min())
    least, most = (round(bound * UNIT) for bound in bounds)
    return least * least <= nearest <= most * most


def agreeable(utilities: Mapping[Seat, Utilities], no_deal: Mapping[Seat, float], bounds: tuple[float, float]) -> bool:
    """Return whether the zone of agreement, the share of outcomes that reach both reservations, lies within bounds."""
    reached = [utilities[seat] >= round(no_deal[seat] * UNIT) for seat in SEATS]
    return _within(len(reached[0]), int(np.logical_and(*reached).sum()), bounds)


def drawn_reservations(
    draws: Draws, utilities: Mapping[Seat, Utilities], bounds: tuple[float, float]
) -> dict[Seat, float] | None:
    """Draw reservation values that leave a zone of agreement within bounds; None if there are none.

    One role's value is drawn, then the other's so that the zone comes closest to a size that is drawn as well.
    """
    first: Seat = draws.pick(SEATS)
    second = opposite(first)
    percent, outcomes = UNIT // 100, len(utilities["a"])
    own = draws.between(RESERVATIONS[0] + MARGIN, RESERVATIONS[1] - MARGIN)
    wanted = draws.between(*(round(bound * UNIT) for bound in bounds)) * outcomes
    left = np.sort(utilities[second][utilities[first] >= own * percent])
    others = range(RESERVATIONS[0], RESERVATIONS[1] + 1)
    reaching = [len(left) - int(np.searchsorted(left, other * percent)) for other in others]
    found, other = min(zip(reaching, others, strict=True), key=lambda each: abs(each[0] * UNIT - wanted))
    return {first: own / 100, second: other / 100} if _within(outcomes, found, bounds) else None


def _within(outcomes: int, found: int, bounds: tuple[float, float]) -> bool:
    """Return whether a number of outcomes is a share of all of them within bounds."""
    least, most = (round(bound * UNIT) for bound in bounds)
    return least * outcomes <= found * UNIT <= most * outcomes


def _weights(draws: Draws, names: list[str]) -> dict[str, float]:
    """Draw weights in whole percent that add up to 100."""
    raw = [draws.between(2, 9) ** 2 for _ in names]
    spare = 100 - LEAST_WEIGHT * len(names)
    shares = [LEAST_WEIGHT + spare * each // sum(raw) for each in raw]
    shares[shares.index(max(shares))] += 100 - sum(shares)
    return {name: share / 100 for name, share in zip(names, shares, strict=True)}


def _values(draws: Draws, issue: Issue, *, up: bool) -> dict[Value, float]:
    """Draw what the options of an issue are worth: they rise from 0 to 1, or fall if not `up`.

    Numbers may have a bend halfway, where the first steps count more than the later ones, or less.
    """
    if issue.options is not None:
        steps = [draws.between(1, 4) for _ in issue.options[1:]]
        rising = [100 * sum(steps[:place]) // sum(steps) for place in range(len(steps) + 1)]
        worth = dict(zip(issue.options if up else reversed(issue.options), rising, strict=True))
        return {option: worth[option] / 100 for option in issue.options}
    assert issue.range is not None
    low, high, step = issue.range.min, issue.range.max, issue.range.step
    bend = draws.pick([0, 0, 10, 15, 20, 25, -10, -15, -20])
    middle = low + (high - low) // step // 2 * step
    ends: dict[Value, float] = {low: 0.0 if up else 1.0, high: 1.0 if up else 0.0}
    if not bend or middle in ends:
        return ends
    there = 100 * (middle - low) // (high - low) if up else 100 * (high - middle) // (high - low)
    return {low: ends[low], middle: min(95, max(5, there + bend)) / 100, high: ends[high]}


def _of_points(ranking: tuple[int, ...], no_deal: int, issues: Mapping[str, Issue], *, up: bool) -> Preferences:
    """Return the preferences of a role to which each item of an issue, and no deal, are worth so many points."""
    amounts = [issue.range.max for issue in issues.values() if issue.range is not None]
    total = sum(points * amount for points, amount in zip(ranking, amounts, strict=True))
    shares = [round(points * amount / total, 10) for points, amount in zip(ranking, amounts, strict=True)]
    shares[-1] = round(1 - sum(shares[:-1]), 10)
    values: dict[str, dict[Value, float]] = {
        name: {0: 0.0 if up else 1.0, amount: 1.0 if up else 0.0} for name, amount in zip(issues, amounts, strict=True)
    }
    return Preferences(dict(zip(issues, shares, strict=True)), values, round(no_deal / total, PLACES))
