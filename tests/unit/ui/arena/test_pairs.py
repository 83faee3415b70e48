"""Pairs compare the agents in which the lanes differ, and report the result in words."""

from __future__ import annotations

from dataclasses import replace
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


def standing(found: Interval | None, running: bool = False, *, scripts: bool = False, pairs: int = 4) -> str:
    asked = compared(SCENARIO, 1, ((A, B), (C, B)), 4, "me")
    assert asked is not None
    result = replace(PairTally(asked).result(), difference_at_any_time=found, pairs=pairs)
    result = replace(result, counted_once=scripts, identical="repeats" if scripts and pairs > 1 else None)
    return standing_html(ComparisonStatus(asked, 6, 16, result, running), {"a": "Agent <A>"})


def test_the_finding_names_who_is_ahead_and_how_certain_that_is() -> None:
    assert "Agent &lt;A&gt; gets 20 points more per negotiation (95 % interval 10 to 30" in standing(
        Interval(0.2, 0.1, 0.3)
    )
    behind = standing(Interval(-0.1, -0.4, 0.2))
    assert "Agent &lt;A&gt; (speaks for boulware) gets 10 points more so far, but that may be chance" in behind
    assert "interval -20 to 40" in behind


def test_a_difference_of_scripts_is_never_called_chance() -> None:
    fixed = standing(Interval(0.2, 0.2, 0.2), scripts=True)
    assert "Agent &lt;A&gt; gets 20 points more per negotiation, every time" in fixed
    assert "more pairs would add nothing" in fixed
    assert "Both agents get the same, every time" in standing(Interval(0.0, 0.0, 0.0), scripts=True)
    once = standing(Interval(0.2, -0.9, 0.9), scripts=True, pairs=1)
    assert "20 points more in this pair" in once
    for words in (fixed, once):
        assert "may be chance" not in words
        assert "interval" not in words


def test_progress_is_shown_while_it_runs() -> None:
    assert "6 of 16 negotiations" in standing(None, running=True)
    assert "No pair is complete yet" in standing(None)
