"""Limits on the size of scenarios, texts and replies. Each check raises LimitReached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negotiation.admission.limits import LimitReached, Limits
from negotiation.agents.config import AgentConfig
from negotiation.agents.model import REPLY_TOKENS
from negotiation.scenario.model import Scenario


def check_sizes(limits: Limits, scenario: Scenario, agents: Mapping[Any, AgentConfig]) -> None:
    """Check a scenario and the agents that negotiate it."""
    check_scenario(limits, scenario)
    for seat, config in agents.items():
        check_agent(limits, config, f"agent {seat}")


def check_scenario_text(limits: Limits, text: str) -> None:
    """Check a scenario that a visitor wrote or uploaded, before it is parsed."""
    if len(text) > limits.scenario_characters:
        raise LimitReached(
            f"the scenario has {len(text):,} characters; the limit here is {limits.scenario_characters:,}; shorten it"
        )


def check_scenario(limits: Limits, scenario: Scenario) -> None:
    """Check the rounds and outcomes of a scenario."""
    for key, value, limit in (
        ("rounds", scenario.rounds, limits.rounds),
        ("outcomes", scenario.outcomes, limits.outcomes),
    ):
        if value > limit:
            raise LimitReached(f"scenario '{scenario.scenario_id}': {value:,} {key}; the limit here is {limit:,}")


def check_agent(limits: Limits, config: AgentConfig, where: str) -> None:
    """Check the texts in an agent's options and the length of its replies; messages begin with `where`."""
    for key, value in config.options.items():
        if isinstance(value, str) and len(value) > limits.text_characters:
            raise LimitReached(
                f"{where}: option '{key}' has {len(value):,} characters; the limit here is {limits.text_characters:,}"
            )
    thinking = config.options.get("thinking", 0)
    most = limits.reply_tokens - REPLY_TOKENS
    if isinstance(thinking, int | float) and thinking > most:
        raise LimitReached(f"{where}: option 'thinking' is {thinking:,}; the limit here is {most:,}")


def check_message(limits: Limits, message: str) -> None:
    """Check a message that a person wrote."""
    if len(message) > limits.text_characters:
        raise LimitReached(
            f"the message has {len(message):,} characters; the limit here is {limits.text_characters:,}; shorten it"
        )
