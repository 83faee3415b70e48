"""What might have been."""

from __future__ import annotations

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.hindsight import baselines, references
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario, Seat


@pytest.fixture
def played(bike: Scenario) -> Run:
    agents: dict[Seat, Agent] = {"a": STRATEGIES["conceder"], "b": STRATEGIES["linear"]}
    events = list(negotiate(Negotiation("run", bike, agents, 1)))
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    configs: dict[Seat, AgentConfig] = {"a": AgentConfig("conceder"), "b": AgentConfig("linear")}
    end = events[-1]
    assert isinstance(end, Ended)
    return Run(run_id="run", scenario=bike, agents=configs, seed=1, status="done", turns=turns, measures=end.measures)


def test_every_strategy_is_played_against_the_same_opponent(played: Run) -> None:
    found = baselines(played, "a")
    assert {baseline.strategy for baseline in found} == set(STRATEGIES)
    assert [baseline.utility for baseline in found] == sorted((it.utility for it in found), reverse=True)
    same = next(baseline for baseline in found if baseline.strategy == "conceder")
    assert played.measures is not None
    assert (same.utility, same.utility_other) == (played.measures.utility_a, played.measures.utility_b)


def test_an_opponent_that_is_no_script_is_not_played_again(played: Run) -> None:
    with_model = Run(
        run_id="run",
        scenario=played.scenario,
        agents={"a": AgentConfig("human"), "b": AgentConfig("some-model")},
        seed=1,
    )
    assert baselines(with_model, "a") == []


def test_references_are_the_points_of_theory_seen_from_a_seat(bike: Scenario) -> None:
    analyser = Analyser(bike)
    found = {point.name: point for point in references(bike, "b", analyser)}
    assert analyser.nash is not None
    nash = analyser.point(analyser.nash)
    assert (found["nash"].utility, found["nash"].utility_other) == (nash.utility_b, nash.utility_a)
    assert found["max_welfare"].agreement == analyser.point(analyser.max_welfare).offer
