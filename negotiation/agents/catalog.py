"""Which agents there are, and how a name in a form, a file or a stored run becomes one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.base import Agent
from negotiation.agents.llm import ModelAgent
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import UnknownAgent


@dataclass(frozen=True)
class AgentConfig:
    """Who plays a seat: a model's id or a strategy's name."""

    agent: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AgentConfig:
        """From what `to_json` gave."""
        return cls(**data)


@dataclass(frozen=True)
class Choice:
    """An entry of a pick list."""

    agent: str
    label: str
    heading: str  # "Models" or "Scripted strategies"


class Catalog:
    """The models of a manager and the scripted strategies."""

    def __init__(self, manager: LLMManager) -> None:
        self.manager = manager
        if taken := [name for name in STRATEGIES if name in manager.list_models()]:
            raise ConfigError(f"model '{taken[0]}' has the name of a scripted strategy; give it another id")

    def create(self, config: AgentConfig) -> Agent:
        """The agent; raises UnknownAgent."""
        if config.agent in STRATEGIES:
            return STRATEGIES[config.agent]
        if config.agent not in self.manager.list_models():
            known = ", ".join(choice.agent for choice in self.choices())
            raise UnknownAgent(f"'{config.agent}' is neither a model nor a strategy (known: {known})")
        return ModelAgent(self.manager, self.manager.spec(config.agent))

    def choices(self) -> list[Choice]:
        """Everything that can be picked, models first."""
        models = [
            Choice(model_id, about["label"] or model_id, "Models")
            for model_id, about in self.manager.list_models().items()
        ]
        scripted = [Choice(name, f"{name} (scripted)", "Scripted strategies") for name in STRATEGIES]
        return models + scripted
