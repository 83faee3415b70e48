"""What a run is likely to cost, before it starts: at most, and as it was the last time. For models with a price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from manager.config.model_spec import ModelSpec
from manager.config.strict_yaml import validate
from negotiation.agents import prompts
from negotiation.agents.config import AgentConfig
from negotiation.agents.options import ModelOptions
from negotiation.agents.purse import BYTES_PER_TOKEN, prompt_tokens
from negotiation.game.agent import View
from negotiation.game.protocol import GameState
from negotiation.runs.store import RunFilter, Store
from negotiation.scenario.analysers import analyser_of
from negotiation.scenario.model import SEATS, Scenario, Seat

LONG_REPLY = 300
"""Tokens of a long reply, with its message and thought: twice a usual one."""
SEARCHED = 50
"""How many runs are searched for the last one with the same agents."""


@dataclass(frozen=True)
class CostEstimate:
    """What one run is likely to cost.

    Attributes:
        most: US dollars if every round is played with long replies; None if no model has a price.
        unpriced: The models whose price nobody knows, and which `most` leaves out.
    """

    most: float | None
    unpriced: tuple[str, ...] = ()


def expected_cost(
    scenario: Scenario, agents: Mapping[Seat, AgentConfig], models: Mapping[str, ModelSpec]
) -> CostEstimate:
    """Estimate what a run costs at most, unless replies have to be asked for again.

    Args:
        scenario: The scenario.
        agents: The agents by seat.
        models: The entries of the models among them, by id.
    """
    most: float | None = None
    unpriced: list[str] = []
    for seat in SEATS:
        spec = models.get(agents[seat].agent)
        if spec is None:
            continue
        if spec.price is None:
            if spec.needs_own_key and spec.model_id not in unpriced:
                unpriced.append(spec.model_id)
            continue
        options = validate(ModelOptions, dict(agents[seat].options), f"agent '{agents[seat].agent}'")
        prompt, reply = _tokens(scenario, seat, options)
        most = (most or 0.0) + spec.price.of(prompt, reply)
    return CostEstimate(most, tuple(unpriced))


def last_cost(store: Store, scenario_id: str, agents: Mapping[Seat, AgentConfig], viewer: str | None) -> float | None:
    """Return what the last finished run of a scenario with these agents cost, among those that a visitor may see.

    Args:
        store: Where runs are stored.
        scenario_id: The scenario.
        agents: The agents by seat; their options do not count.
        viewer: The visitor; None for the operator.
    """
    wanted = RunFilter(visible_to=viewer, scenario_id=scenario_id, agent=agents["a"].agent, status="done")
    for summary in store.summaries(wanted, SEARCHED):
        if (summary.agent_a, summary.agent_b) == (agents["a"].agent, agents["b"].agent):
            run = store.run(summary.run_id)
            known = [turn.cost for turn in run.turns if turn.cost is not None]
            return sum(known) if known else None
    return None


def _tokens(scenario: Scenario, seat: Seat, options: ModelOptions) -> tuple[int, int]:
    """Return the tokens that a seat reads and writes in a whole run, whose conversation grows turn by turn."""
    state = GameState(scenario)
    view = View("", scenario, analyser_of(scenario).space, state, seat, (), (), 1)
    opening = prompts.new_messages(view, options)
    reply, turns = LONG_REPLY + math.ceil(options.thinking / BYTES_PER_TOKEN), scenario.rounds
    told = 2 * LONG_REPLY + prompt_tokens(opening[-1:])  # its own last reply, the other side's, and the state
    return turns * prompt_tokens(opening) + told * turns * (turns - 1) // 2, turns * reply
