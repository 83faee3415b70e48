"""Published results of people in the scenarios of a family, to be read beside those of agents.

Only aggregates are known: there are no games to test or rate.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from negotiation.scenario.issue import Strict

Rate = Annotated[float, Field(ge=0, le=1)]
Surplus = Annotated[float, Field(ge=-1, le=1)]


class People(Strict):
    """What people reached among themselves: mean normalised surplus with its 95 % interval, and shares.

    `pareto` is the share of deals that are Pareto-optimal, `points` the mean number of points in the original game.
    """

    label: Annotated[str, Field(min_length=1, max_length=40)]
    source: Annotated[str, Field(min_length=1, max_length=1000)]
    negotiations: Annotated[int, Field(ge=1)]
    agreement: Rate
    pareto: Rate
    points: Annotated[float, Field(ge=0)]
    surplus: Surplus
    low: Surplus
    high: Surplus

    @model_validator(mode="after")
    def _in_order(self) -> People:
        if not self.low <= self.surplus <= self.high:
            raise ValueError("surplus must lie between low and high")
        return self
