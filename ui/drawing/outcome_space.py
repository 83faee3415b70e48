"""A scenario's outcome space as plots need it, analysed once per scenario."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache

import numpy as np

from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario

MOST_DOTS = 400
Pair = tuple[float, float]


class Space:
    """The analysis of a scenario, and the points that plots draw, as utilities to a and b."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.analyser = Analyser(scenario)

    def sample(self, most: int = MOST_DOTS) -> list[Pair]:
        """Return at most `most` outcomes, spread evenly."""
        count = len(self.analyser.space)
        return self._points(np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)))

    @cached_property
    def outcomes(self) -> list[Pair]:
        """A sample for a large plot."""
        return self.sample()

    @cached_property
    def frontier(self) -> list[Pair]:
        """The Pareto frontier by falling utility to a, each point once."""
        return list(dict.fromkeys(self._points(self.analyser.frontier)))

    @cached_property
    def nash(self) -> Pair | None:
        """The Nash point, if there is one."""
        index = self.analyser.nash
        return None if index is None else self._points(np.array([index]))[0]

    def _points(self, indices: np.ndarray) -> list[Pair]:
        a, b = self.analyser.space.utilities("a"), self.analyser.space.utilities("b")
        return list(zip(a[indices].tolist(), b[indices].tolist(), strict=True))


def space_of(scenario: Scenario) -> Space:
    """Return the space of a scenario.

    The first call can take a second for millions of outcomes: do not make it on the event loop.
    """
    return _space(scenario.scenario_id, scenario.model_dump_json(exclude={"scenario_id"}))


@lru_cache(maxsize=24)
def _space(scenario_id: str, data: str) -> Space:
    return Space(Scenario.model_validate({**json.loads(data), "scenario_id": scenario_id}))
