"""Pairs compare the agents in which the lanes differ, and report the result in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.comparison.comparison import PairTally, difference
from negotiation.comparison.service import ComparisonStatus
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import load_scenario
from ui.arena.pairs import compared, standing_html

SCENARIO = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")
A, B, C = AgentConfig("a"), AgentConfig("b"), AgentConfig("a", {"narrates": "boulware"})


@pytest.mark.parametrize(
    ("lanes", "expected"),
    [
        (((A, B), (C, B)), (A, C, B)),
        (((B, A), (B, C)), (A, C, B)),
        (((A, B), (A, B)), None),
        (((A, B), (B, A)), None),
    ],
)
def test_lanes_are_compared_where_they_differ_in_one_agent(lanes: object, expected: object) -> None:
    assert difference(lanes) == expected  # type: ignore[arg-type]


def test_a_comparison_starts_after_the_watched_seed() -> None:
    asked = compared(SCENARIO, 7, ((A, B), (C, B)), 4, "me")
    assert asked is not None
    assert (asked.seed, asked.pairs, asked.opponent, asked.owner) == (8, 4, B, "me")


def standing(found: Interval | None, running: bool = False) -> str:
    asked = compared(SCENARIO, 1, ((A, B), (C, B)), 4, "me")
    assert asked is not None
    result = PairTally(asked).result()
    object.__setattr__(result, "difference_at_any_time", found)
    object.__setattr__(result, "pairs", 4)
    return standing_html(ComparisonStatus(asked, 6, 16, result, running), {"a": "Agent <A>"})


def test_the_finding_names_who_is_ahead_and_how_certain_that_is() -> None:
    assert "Agent &lt;A&gt; gets 20 points more per negotiation (95 % interval 10 to 30" in standing(
        Interval(0.2, 0.1, 0.3)
    )
    behind = standing(Interval(-0.1, -0.4, 0.2))
    assert "Agent &lt;A&gt; (speaks for boulware) gets 10 points more so far, but that may be chance" in behind
    assert "interval -20 to 40" in behind


def test_progress_is_shown_while_it_runs() -> None:
    assert "6 of 16 negotiations" in standing(None, running=True)
    assert "No pair is complete yet" in standing(None)
