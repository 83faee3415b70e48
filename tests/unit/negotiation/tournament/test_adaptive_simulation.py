"""Adaptive tournaments in simulation: looking all the time and stopping early deceives nobody."""

from __future__ import annotations

from statistics import fmean

import pytest

from negotiation.tournament.leaderboard import SURPLUS
from tests.support.adaptive import simulated


def test_equal_agents_are_hardly_ever_separated_however_often_one_looks() -> None:
    ends = [simulated(number, agents=3, scenarios=2, seeds=12, first=2).end(0, 4) for number in range(30)]
    assert sum(separated for _, separated in ends) <= 0.05 * 30


@pytest.mark.parametrize("first", [1, 2])
def test_intervals_of_unequal_agents_hold_the_truth_where_play_stops_early(first: int) -> None:
    held, sizes = list[bool](), list[int]()
    for number in range(20):
        cup = simulated(number, agents=3, scenarios=2, seeds=24, first=first, spread=0.6)
        board, _ = cup.end(10, 8)
        sizes.append(len(board.games))
        for place, agent in enumerate(cup.skill):
            interval = board.surplus.interval(place, "these", *SURPLUS, any_time=True)
            assert {row.agent: row.these.surplus for row in board.standings}[agent] == interval
            held.append(interval is not None and interval.low <= cup.truth(agent) <= interval.high)
    assert fmean(held) >= 0.92
    assert fmean(sizes) < 0.9 * cup.tournament.size


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_nine_equal_agents_are_separated_in_at_most_one_adaptive_tournament_in_twenty() -> None:
    ends = [simulated(number, agents=9, scenarios=2, seeds=8, first=2).end(0, 16) for number in range(100)]
    assert sum(separated for _, separated in ends) <= 5
