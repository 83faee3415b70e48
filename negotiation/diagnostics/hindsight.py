"""Compare a finished run with what scripted strategies and optimal outcomes would have given a seat.

This uses the preferences of both sides, so it may be shown only after the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended
from negotiation.game.protocol import Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Offer, Scenario, Seat, other


@dataclass(frozen=True)
class Baseline:
    """The result of a scripted strategy in a seat, against the same opponent with the same seed."""

    strategy: str
    ending: Ending
    agreement: Offer | None
    utility: float
    utility_other: float


@dataclass(frozen=True)
class Reference:
    """An optimal outcome to compare with: `nash`, `kalai_smorodinsky`, `egalitarian` or `max_welfare`."""

    name: str
    agreement: Offer
    utility: float
    utility_other: float


def baselines(run: Run, seat: Seat) -> list[Baseline]:
    """Return the result of every scripted strategy in a seat of a run, best first.

    Empty if the opponent is not a scripted strategy. Plays the negotiations, which takes a moment in large scenarios.
    """
    opponent = run.agents[other(seat)].script
    if opponent is None:
        return []
    found = []
    for name, strategy in STRATEGIES.items():
        agents = {seat: strategy, other(seat): opponent}
        *_, end = negotiate(Negotiation(f"{name} in hindsight", run.scenario, agents, run.seed))
        if isinstance(end, Ended):
            worth = {"a": end.measures.utility_a, "b": end.measures.utility_b}
            found.append(Baseline(name, end.ending, end.agreement, worth[seat], worth[other(seat)]))
    return sorted(found, key=lambda baseline: -baseline.utility)


def references(scenario: Scenario, seat: Seat, analyser: Analyser) -> list[Reference]:
    """Return the optimal outcomes (docs/scenarios.md) that exist in a scenario."""
    indices = {
        "nash": analyser.nash,
        "kalai_smorodinsky": analyser.kalai_smorodinsky,
        "egalitarian": analyser.egalitarian,
        "max_welfare": analyser.max_welfare,
    }
    found = []
    for name, index in indices.items():
        if index is not None:
            point = analyser.point(index)
            worth = {"a": point.utility_a, "b": point.utility_b}
            found.append(Reference(name, point.offer, worth[seat], worth[other(seat)]))
    return found
