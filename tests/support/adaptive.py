"""Adaptive tournaments whose games are drawn and whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from negotiation.agents.config import AgentConfig
from negotiation.game.events import Measures, SeatMeasures
from negotiation.scenario.model import Scenario, Seat, parse_scenario
from negotiation.tournament.adaptive import next_meetings
from negotiation.tournament.leaderboard import Leaderboard
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


def simulated(number: int, *, agents: int, scenarios: int, seeds: int, first: int, spread: float = 0.0) -> Simulated:
    """Return tournament `number`, whose agents differ by up to `spread` in skill."""
    names = [f"x{place}" for place in range(agents)]
    asked = Tournament(
        title="Cup",
        agents={name: AgentConfig(name) for name in names},
        scenarios={f"cake_{place}": _cake(f"cake_{place}") for place in range(scenarios)},
        seeds=tuple(range(1, seeds + 1)),
        adaptive=Adaptive(first_pairs=first),
    )
    skill = {name: spread * (place / (agents - 1) - 0.5) for place, name in enumerate(names)}
    return Simulated(asked, skill, np.random.default_rng(number))


def _cake(name: str) -> Scenario:
    """Two sides want all of one thing, so that utility is gain."""
    roles = {
        seat: {
            "name": f"Side {seat}",
            "briefing": "None.",
            "reservation": 0.0,
            "weights": {"deal": 1.0},
            "values": {"deal": {"o0": float(seat == "a"), "o1": float(seat == "b")}},
        }
        for seat in ("a", "b")
    }
    issues = {"deal": {"options": ["o0", "o1"]}}
    return parse_scenario(name, {"title": "Cake", "story": "A cake.", "issues": issues, "roles": roles}, name)
