"""Adaptive tournaments in simulation: looking all the time and stopping early deceives nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pytest

from negotiation.agents.config import AgentConfig
from negotiation.game.events import Measures, SeatMeasures
from negotiation.scenario.model import Scenario, Seat
from negotiation.tournament.adaptive import next_meetings
from negotiation.tournament.leaderboard import SURPLUS, Leaderboard
from negotiation.tournament.plan import Adaptive, Meeting, Tournament
from negotiation.tournament.store import PlayedGame

SEATS_MEASURES: dict[Seat, SeatMeasures] = {"a": SeatMeasures(), "b": SeatMeasures()}
DEALS = 0.65
SPREAD = 0.25
NOISE = np.random.default_rng(0).normal(0, SPREAD, 4000)


@dataclass
class Simulated:
    """A tournament whose games are drawn: an agent of skill s gains 0.5 + s, with noise, if there is a deal."""

    tournament: Tournament
    skill: dict[str, float]
    chance: np.random.Generator

    def play(self, meeting: Meeting) -> list[PlayedGame]:
        played = []
        for game in self.tournament.games_of(meeting):
            deal = self.chance.random() < DEALS
            gains = [0.5 + self.skill[agent] + self.chance.normal(0, SPREAD) for agent in (game.a, game.b)]
            a, b = (float(np.clip(gain, 0, 1)) if deal else 0.0 for gain in gains)
            measures = Measures(a, b, 1, 0, 0, rational_a=True, rational_b=True, seats=SEATS_MEASURES)
            played.append(
                PlayedGame(
                    game=game,
                    status="done",
                    attempts=1,
                    moves=f"{self.chance.random()}",
                    run_id=f"{game}",
                    reason="",
                    agreement={"deal": "o0"} if deal else None,
                    measures=measures,
                )
            )
        return played

    def truth(self, agent: str) -> float:
        return DEALS * float(np.clip(0.5 + self.skill[agent] + NOISE, 0, 1).mean())

    def end(self, close_points: float, batch: int) -> tuple[Leaderboard, bool]:
        """Play to the end; return the leaderboard, and whether any two agents were ever separated on the way."""
        first = self.tournament.seeds[: self.tournament.adaptive.first_pairs] if self.tournament.adaptive else ()
        meetings = sorted({game.meeting for game in self.tournament.games() if game.seed in first})
        games, separated = list[PlayedGame](), False
        while meetings:
            for meeting in meetings:
                games += self.play(meeting)
            board = Leaderboard(self.tournament, games)
            separated |= bool(board.surplus.leads("these", any_time=True).separated.any())
            meetings = next_meetings(board, close_points, batch)
        return board, separated


Simulate = Callable[..., Simulated]


@pytest.fixture
def simulate(of_points: Callable[..., Scenario]) -> Simulate:
    def make(number: int, *, agents: int, scenarios: int, seeds: int, first: int, spread: float = 0.0) -> Simulated:
        names = [f"x{place}" for place in range(agents)]
        scenario = of_points((1.0, 0.0), (0.0, 1.0))
        asked = Tournament(
            title="Cup",
            agents={name: AgentConfig(name) for name in names},
            scenarios={f"points_{place}": scenario for place in range(scenarios)},
            seeds=tuple(range(1, seeds + 1)),
            adaptive=Adaptive(first_pairs=first),
        )
        skill = {name: spread * (place / (agents - 1) - 0.5) for place, name in enumerate(names)}
        return Simulated(asked, skill, np.random.default_rng(number))

    return make


def test_equal_agents_are_hardly_ever_separated_however_often_one_looks(simulate: Simulate) -> None:
    ends = [simulate(number, agents=3, scenarios=2, seeds=12, first=2).end(0, 4) for number in range(30)]
    assert sum(separated for _, separated in ends) <= 0.05 * 30


@pytest.mark.parametrize("first", [1, 2])
def test_intervals_of_unequal_agents_hold_the_truth_where_play_stops_early(simulate: Simulate, first: int) -> None:
    held, sizes = list[bool](), list[int]()
    for number in range(20):
        simulated = simulate(number, agents=3, scenarios=2, seeds=24, first=first, spread=0.6)
        board, _ = simulated.end(10, 8)
        sizes.append(len(board.games))
        for place, agent in enumerate(simulated.skill):
            interval = board.surplus.interval(place, "these", *SURPLUS, any_time=True)
            assert {row.agent: row.these.surplus for row in board.standings}[agent] == interval
            held.append(interval is not None and interval.low <= simulated.truth(agent) <= interval.high)
    assert fmean(held) >= 0.92
    assert fmean(sizes) < 0.9 * simulated.tournament.size


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_nine_equal_agents_are_separated_in_at_most_one_adaptive_tournament_in_twenty(simulate: Simulate) -> None:
    count = int(os.environ.get("PARLEY_SIMULATIONS", "100"))
    ends = [simulate(number, agents=9, scenarios=2, seeds=8, first=2).end(0, 16) for number in range(count)]
    assert sum(separated for _, separated in ends) <= 0.05 * count
