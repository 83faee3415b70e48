"""Scripted strategies with options, and opponents of a known type whose parameters are hidden.

Hidden parameters are drawn from the scenario's id and the run's seed alone. Whoever meets the opponent in either seat
meets the same one, so that comparisons and mirrored seats stay paired.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from manager.errors import ConfigError
from negotiation.agents.options import StrategyOptions
from negotiation.agents.strategies import STRATEGIES, Strategy
from negotiation.families.draws import Draws
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent

EXPONENTS: Mapping[str, tuple[float, float]] = {"boulware": (0.05, 0.5), "linear": (0.8, 1.25), "conceder": (2.0, 8.0)}
"""The least and the greatest exponent of each type, drawn evenly on a logarithmic scale."""
MOST_MARGIN = 0.3
_GRID = 1000


def scripted(name: str, options: StrategyOptions) -> Agent:
    """Return a strategy with options; raises ConfigError if it has no exponent to be set."""
    strategy = STRATEGIES[name]
    if options == StrategyOptions():
        return strategy
    if options.exponent is not None and strategy.exponent is None:
        raise ConfigError(f"agent '{name}': key 'exponent': only {', '.join(EXPONENTS)} have one; remove it")
    known = strategy.variant(**options.model_dump(exclude={"hidden"}))
    left = options.margin is None or (options.exponent is None and name in EXPONENTS)
    return HiddenStrategy(known, options) if options.hidden and left else known


def settled(name: str, options: StrategyOptions, scenario_id: str, seed: int) -> StrategyOptions:
    """Return the options of a strategy in a negotiation, with hidden parameters drawn unless they are given."""
    if not options.hidden:
        return options
    draws, drawn = Draws("hidden", name, scenario_id, seed), dict[str, float]()
    if name in EXPONENTS:
        low, high = EXPONENTS[name]
        drawn["exponent"] = round(low * (high / low) ** (draws.between(0, _GRID) / _GRID), 3)
    drawn["margin"] = round(MOST_MARGIN * draws.between(0, _GRID) / _GRID, 3)
    return options.model_copy(update={key: value for key, value in drawn.items() if getattr(options, key) is None})


class HiddenStrategy:
    """A strategy whose parameters are drawn when it learns which negotiation it is in."""

    def __init__(self, strategy: Strategy, options: StrategyOptions) -> None:
        self.name = strategy.name
        self._strategy = strategy
        self._options = options

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        drawn = settled(self.name, self._options, view.scenario.scenario_id, view.seed)
        return self._strategy.variant(**drawn.model_dump(exclude={"hidden"})).act(view)
