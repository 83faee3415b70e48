"""Finished negotiations, played in an instant, for tests of what is shown of them."""

from __future__ import annotations

from dataclasses import replace

from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended, Halted, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.provenance import Provenance
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


def played(run: Run, catalog: Catalog) -> Run:
    """Return a run as it is stored once its agents have played it."""
    agents = {seat: catalog.create(config) for seat, config in run.agents.items()}
    run = replace(run, provenance=Provenance.begun(run.scenario))
    for event in negotiate(Negotiation(run.run_id, run.scenario, agents, run.seed, run.turns)):
        if isinstance(event, TurnTaken):
            run = replace(run.written(event), turns=(*run.turns, event.turn))
        elif isinstance(event, Ended | Halted):
            run = run.end(event)
    return run


def two_lanes(scenario: Scenario, first: str = "boulware", second: str = "conceder") -> list[Run]:
    """Return the two runs of a comparison: two scripts in seat a against the same in seat b."""
    comparison = new_run_id()
    return [
        replace(finished(scenario, agent), comparison=comparison, lane=lane)
        for lane, agent in enumerate((first, second), 1)
    ]
