"""The offers that reach a utility, as a small decision diagram that never lists the outcomes.

The issues are visited one by one. All that matters about the options picked so far is the utility that the remaining
issues must still contribute. Two such thresholds are equivalent if no attainable sum lies between them, and share a
node. There are thus at most as many nodes after an issue as there are sums before it or after it, whichever is fewer.
(This is the threshold decision diagram of a linear inequality; see Bryant 1986 on merging equal nodes, and Behle 2007,
"On threshold BDDs and the optimal variable ordering problem".)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import PLACES, Scenario, Seat

Floats = NDArray[np.float64]
_NOISE = 1e-13
"""Sums of weights times values differ by at most this much when added in another order."""


@dataclass(frozen=True)
class Edge:
    """Options of a node's issue that lead to the same node, or to the end (None). Ranges are stored as runs."""

    options: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]  # first and last number of each run
    to: int | None

    @classmethod
    def of_all(cls, issue: Issue) -> Edge:
        """Return the edge with all options of an issue."""
        if issue.range is None:
            return cls(tuple(issue.options or ()), (), None)
        return cls((), ((issue.range.min, issue.range.max),), None)

    def contains(self, value: Value) -> bool:
        """Return whether an option of the issue is one of these."""
        if isinstance(value, str):
            return value in self.options
        return any(first <= value <= last for first, last in self.runs)


@dataclass(frozen=True)
class Diagram:
    """Nodes by number, each with its issue and edges; node 0 is the root. Empty if no offer is worth enough."""

    issues: Mapping[str, Issue]
    nodes: tuple[tuple[str, tuple[Edge, ...]], ...]

    def contains(self, offer: Mapping[str, Value]) -> bool:
        """Return whether a possible offer is worth enough."""
        at: int | None = 0 if self.nodes else None
        while at is not None:
            name, edges = self.nodes[at]
            edge = next((edge for edge in edges if edge.contains(offer[name])), None)
            if edge is None:
                return False
            at = edge.to
        return bool(self.nodes)

    def edges(self, name: str) -> list[Edge]:
        """Return all edges of the nodes of an issue."""
        return [edge for issue, edges in self.nodes if issue == name for edge in edges]

    def sample(self, rng: random.Random) -> dict[str, Value]:
        """Return a random offer."""
        offer: dict[str, Value] = {}
        at: int | None = 0
        while at is not None:
            name, edges = self.nodes[at]
            edge = rng.choice(edges)
            issue = self.issues[name]
            if issue.range is None:
                offer[name] = rng.choice(edge.options)
            else:
                first, last = rng.choice(edge.runs)
                offer[name] = rng.randrange(first, last + 1, issue.range.step)
            at = edge.to
        return offer


def threshold(scenario: Scenario, seat: Seat, turn: int) -> float:
    """Return the undiscounted utility at which a deal in a turn is worth the seat's reservation value.

    Returns:
        The least number with `PLACES` decimals that, discounted, is not below the reservation value; inf if there is
        none up to 1.
    """
    reservation, unit = scenario.roles[seat].reservation, 10**-PLACES
    share = scenario.discount ** (turn // 2)
    if reservation == 0:
        return 0.0
    if (reservation - unit) > share:
        return float("inf")
    steps = max(int((reservation - unit / 2) / share / unit) - 2, 0)
    while scenario.discounted(needed := round(steps * unit, PLACES), turn // 2 + 1) < reservation:
        steps += 1
    return needed if needed <= 1 else float("inf")


def worth_at_least(scenario: Scenario, seat: Seat, needed: float) -> Diagram:
    """Return the diagram of all offers whose undiscounted utility to a seat is at least `needed`."""
    names = list(scenario.issues)
    worth = [_worth(scenario, seat, name) for name in names]
    sums = _sums_from(worth)
    nodes: list[tuple[str, tuple[Edge, ...]]] = []
    numbers: dict[tuple[int, int], int] = {}

    def node(issue: int, place: int) -> int:
        """Return the number of the node before an issue, from which the remaining issues must reach a sum."""
        if (issue, place) in numbers:
            return numbers[issue, place]
        number = numbers[issue, place] = len(nodes)
        nodes.append((names[issue], ()))
        following = sums[issue + 1]
        places = np.searchsorted(following, sums[issue][place] - worth[issue] - _NOISE)
        edges = []
        for after in np.unique(places[places < len(following)]).tolist():
            to = node(issue + 1, after) if issue + 1 < len(names) else None
            edges.append(_edge(scenario.issues[names[issue]], places == after, to))
        nodes[number] = (names[issue], tuple(edges))
        return number

    first = int(np.searchsorted(sums[0], needed - 0.5 * 10**-PLACES)) if needed <= 1 else len(sums[0])
    if first < len(sums[0]):
        node(0, first)
    return Diagram(scenario.issues, tuple(nodes))


def _worth(scenario: Scenario, seat: Seat, name: str) -> Floats:
    """Return what each option of an issue adds to a seat's utility, shape [options]."""
    weight = scenario.roles[seat].weights[name]
    return np.array([weight * scenario.value(seat, name, choice) for choice in scenario.issues[name].choices])


def _sums_from(worth: list[Floats]) -> list[Floats]:
    """Return for each issue, and for the end, all sums that the remaining issues can reach, in ascending order."""
    sums = [np.zeros(1)]
    for added in reversed(worth):
        every = np.add.outer(added, sums[0]).ravel()
        every.sort()
        sums.insert(0, every[np.concatenate(([True], np.diff(every) > _NOISE))])
    return sums


def _edge(issue: Issue, picked: NDArray[np.bool_], to: int | None) -> Edge:
    if issue.options is not None:
        return Edge(tuple(option for option, yes in zip(issue.options, picked.tolist(), strict=True) if yes), (), to)
    return Edge((), tuple(_runs(issue, picked)), to)


def _runs(issue: Issue, picked: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    assert issue.range is not None
    changes = np.flatnonzero(np.diff(np.concatenate(([False], picked, [False])).astype(np.int8))).tolist()
    low, step = issue.range.min, issue.range.step
    for start, end in zip(changes[::2], changes[1::2], strict=True):
        yield low + start * step, low + (end - 1) * step
