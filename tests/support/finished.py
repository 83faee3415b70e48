"""Finished negotiations of scripts, played in an instant, for tests of what is shown of them."""

from __future__ import annotations

from dataclasses import replace

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run, new_run_id
from negotiation.scenario.model import Scenario, Seat


def finished(scenario: Scenario, a: str = "conceder", b: str = "boulware", seed: int = 1) -> Run:
    """Return a run that two scripts have played."""
    configs: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b)}
    events = list(negotiate(Negotiation("run", scenario, {"a": STRATEGIES[a], "b": STRATEGIES[b]}, seed)))
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    end = events[-1]
    assert isinstance(end, Ended)
    return Run(run_id=new_run_id(), scenario=scenario, agents=configs, seed=seed, turns=turns).end(end)


def two_lanes(scenario: Scenario, first: str = "boulware", second: str = "conceder") -> list[Run]:
    """Return the two runs of a comparison: two scripts in seat a against the same in seat b."""
    comparison = new_run_id()
    return [
        replace(finished(scenario, agent), comparison=comparison, lane=lane)
        for lane, agent in enumerate((first, second), 1)
    ]
