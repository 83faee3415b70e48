"""How large what a visitor asks for may be: scenarios, words, replies. Each check raises LimitReached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negotiation.admission.limits import LimitReached, Limits
from negotiation.agents.config import AgentConfig
from negotiation.agents.model import REPLY_TOKENS
from negotiation.scenario.model import Scenario


def check_sizes(limits: Limits, scenario: Scenario, agents: Mapping[Any, AgentConfig]) -> None:
    """What is negotiated, and what agents are told."""
    check_scenario(limits, scenario)
    for seat, config in agents.items():
        check_agent(limits, config, f"agent {seat}")


def check_scenario_text(limits: Limits, text: str) -> None:
    """A scenario that is written or uploaded, before it is read."""
    if len(text) > limits.scenario_characters:
        raise LimitReached(
            f"a scenario of {len(text):,} characters: {limits.scenario_characters:,} is the limit here; shorten it"
        )


def check_scenario(limits: Limits, scenario: Scenario) -> None:
    """Rounds and outcomes of a scenario."""
    for key, value, limit in (
        ("rounds", scenario.rounds, limits.rounds),
        ("outcomes", scenario.outcomes, limits.outcomes),
    ):
        if value > limit:
            raise LimitReached(f"scenario '{scenario.scenario_id}': {value:,} {key}; {limit:,} is the limit here")


def check_agent(limits: Limits, config: AgentConfig, where: str) -> None:
    """The words that an agent is set up with, and the length of its replies."""
    for key, value in config.options.items():
        if isinstance(value, str) and len(value) > limits.text_characters:
            raise LimitReached(
                f"{where}: option '{key}' has {len(value):,} characters; {limits.text_characters:,} is the limit here"
            )
    thinking = config.options.get("thinking", 0)
    most = limits.reply_tokens - REPLY_TOKENS
    if isinstance(thinking, int | float) and thinking > most:
        raise LimitReached(f"{where}: option 'thinking' is {thinking:,}; {most:,} is the limit here")


def check_message(limits: Limits, message: str) -> None:
    """What a person says, or has an agent have said."""
    if len(message) > limits.text_characters:
        raise LimitReached(
            f"a message of {len(message):,} characters: {limits.text_characters:,} is the limit here; say it in fewer"
        )
