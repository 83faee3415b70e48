"""Results of people in the scenarios of a family, to be read beside those of agents.

Only aggregates are known: there are no games to test or rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from negotiation.figures.statistics import Interval
from negotiation.scenario.issue import Strict

Rate = Annotated[float, Field(ge=0, le=1)]
Surplus = Annotated[float, Field(ge=-1, le=1)]


class People(Strict):
    """What people reached among themselves: mean normalised surplus with its 95 % interval, and shares.

    `pareto` is the share of deals that are Pareto-optimal, `points` the mean number of points out of `points_of` in the
    original game.
    """

    label: Annotated[str, Field(min_length=1, max_length=40)]
    source: Annotated[str, Field(min_length=1, max_length=1000)]
    negotiations: Annotated[int, Field(ge=1)]
    agreement: Rate
    pareto: Rate
    points: Annotated[float, Field(ge=0)]
    points_of: Annotated[int, Field(ge=1)]
    surplus: Surplus
    low: Surplus
    high: Surplus

    @property
    def interval(self) -> Interval:
        """The mean normalised surplus with its interval, were other people to negotiate in the same scenarios."""
        return Interval(self.surplus, self.low, self.high)

    @property
    def measures(self) -> Mapping[str, float]:
        """The measures of a leaderboard that are known."""
        return {"agreement": self.agreement, "pareto": self.pareto}

    @property
    def note(self) -> str:
        """What the figures are, in a sentence for readers of a leaderboard."""
        return (
            f"{self.label}: {self.source}, with {self.points:g} of {self.points_of} points on average. They negotiated "
            "with each other, not with these agents, and only these figures are known, so that they have no rank."
        )

    @model_validator(mode="after")
    def _in_order(self) -> People:
        if not self.low <= self.surplus <= self.high:
            raise ValueError("surplus must lie between low and high")
        return self
