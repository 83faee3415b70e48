"""Agent configurations as plain data, shared by forms, files and stored runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from manager.config.strict_yaml import shown
from manager.errors import ConfigError
from negotiation.agents.options import HumanOptions, ModelOptions, StrategyOptions
from negotiation.agents.strategies import STRATEGIES, Strategy
from negotiation.agents.strategy_options import settled


@dataclass(frozen=True)
class AgentConfig:
    """The agent of a seat: a model's id, a strategy's name or `human`, and its options (see `options`)."""

    agent: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the config as plain data."""
        return {"agent": self.agent, "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: object, where: str = "agent") -> AgentConfig:
        """Create a config from the result of `to_json` or a plain id; raise ConfigError naming `where`."""
        if isinstance(data, str):
            return cls(data)
        if not isinstance(data, Mapping) or not isinstance(data.get("agent"), str):
            raise ConfigError(f"{where}: give an agent id, or a mapping with the keys agent and options")
        if unknown := [key for key in data if key not in ("agent", "options")]:
            raise ConfigError(f"{where}: key {shown(unknown[0], 60)}: unknown key (known: agent, options)")
        options = data.get("options") or {}
        if not isinstance(options, Mapping):
            raise ConfigError(f"{where}: key 'options': give a mapping, got {shown(options, 60)}")
        return cls(data["agent"], dict(options))

    @classmethod
    def from_arguments(cls, agent: str, options: Iterable[str], where: str) -> AgentConfig:
        """Create a config from an id and options of the form KEY=VALUE; raise ConfigError naming `where`."""
        given: dict[str, str] = {}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise ConfigError(f"{where}: {shown(option, 60)} is not of the form KEY=VALUE")
            if key in given:
                raise ConfigError(f"{where}: key '{key}' is given twice; keep one")
            given[key] = value
        return cls(agent, given)

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that differ from the defaults."""
        defaults = {**ModelOptions().model_dump(), **HumanOptions().model_dump(), **StrategyOptions().model_dump()}
        return {key: value for key, value in self.options.items() if defaults.get(key) != value}

    @property
    def script(self) -> Strategy | None:
        """The strategy with its options; None for a model, a person, or options of another version."""
        try:
            options = StrategyOptions.model_validate(dict(self.options))
        except ValidationError:
            return None
        strategy = STRATEGIES.get(self.agent)
        return None if strategy is None else strategy.variant(**options.model_dump(exclude={"hidden"}))

    @property
    def by_rule(self) -> bool:
        """Whether it moves by a rule: a script that draws nothing by chance but equals, or a model that narrates one.

        Two such agents may repeat the same moves whatever the seed is.
        """
        script = STRATEGIES.get(str(self.options.get("narrates") or self.agent))
        return script is not None and not script.draws and not self.options.get("hidden")

    def settled(self, scenario_id: str, seed: int) -> AgentConfig:
        """Return the config for a negotiation, with the hidden parameters of a strategy drawn, as runs record it."""
        if self.agent not in STRATEGIES:
            return self
        options = settled(self.agent, StrategyOptions.model_validate(dict(self.options)), scenario_id, seed)
        return AgentConfig(self.agent, options.model_dump(exclude_defaults=True))

    def unsettled(self, scenario_id: str, seed: int) -> AgentConfig:
        """Return the config that `settled` made this of: without the parameters that were drawn."""
        if not self.options.get("hidden"):
            return self
        kept = {key: value for key, value in self.options.items() if key not in ("exponent", "margin")}
        drawn = AgentConfig(self.agent, kept).settled(scenario_id, seed).options
        chosen = {key: value for key, value in self.options.items() if key in kept or drawn.get(key) != value}
        return AgentConfig(self.agent, chosen)

    @property
    def label(self) -> str:
        """The id and the options that differ from the defaults, on one line for people."""
        chosen = ", ".join(f"{key}={value}" for key, value in self.chosen.items())
        return f"{self.agent} ({chosen})" if chosen else self.agent
