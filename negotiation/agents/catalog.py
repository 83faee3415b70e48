"""Which agents there are, and how a name in a form, a file or a stored run becomes one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from manager.cancel import CancelToken
from manager.config.registry import ModelSpec
from manager.config.strict_yaml import shown, validate
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.human import HUMAN, HumanAgent
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import HumanOptions, ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import DoesNotFit, UnknownAgent
from negotiation.game.agent import Agent
from negotiation.game.events import Event
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Seat

if TYPE_CHECKING:
    from negotiation.runs.record import Run

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class AgentConfig:
    """Who plays a seat, as plain data: a model's id, a strategy's name or `human`, and options (`options.py`)."""

    agent: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"agent": self.agent, "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: object, where: str = "agent") -> AgentConfig:
        """From what `to_json` gave, or a plain id; raises ConfigError naming `where`."""
        if isinstance(data, str):
            return cls(data)
        if not isinstance(data, Mapping) or not isinstance(data.get("agent"), str):
            raise ConfigError(f"{where}: give an agent's id, or a mapping with the keys agent and options")
        if unknown := [key for key in data if key not in ("agent", "options")]:
            raise ConfigError(f"{where}: key {shown(unknown[0], 60)}: unknown key (known: agent, options)")
        options = data.get("options") or {}
        if not isinstance(options, Mapping):
            raise ConfigError(f"{where}: key 'options': give a mapping, got {shown(options, 60)}")
        return cls(data["agent"], dict(options))

    @classmethod
    def from_arguments(cls, agent: str, options: Iterable[str], where: str) -> AgentConfig:
        """From an id and options written as KEY=VALUE; raises ConfigError naming `where`."""
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
        """The options that are not the defaults."""
        defaults = {**ModelOptions().model_dump(), **HumanOptions().model_dump()}
        return {key: value for key, value in self.options.items() if defaults.get(key) != value}

    @property
    def label(self) -> str:
        """The id with the options that are not the defaults, in a line for people."""
        chosen = ", ".join(f"{key}={value}" for key, value in self.chosen.items())
        return f"{self.agent} ({chosen})" if chosen else self.agent


@dataclass(frozen=True)
class Choice:
    """An entry of a pick list."""

    agent: str
    label: str
    heading: str  # "Models" or "Scripted strategies"


class Catalog:
    """The models of a manager, the scripted strategies, and people.

    `misfit` says why a model cannot be offered on this machine, or nothing if it can.
    """

    lends = False
    """Whether its models were placed once and for all, and play where a GPU is lent (`lent.py`)."""

    def __init__(self, manager: LLMManager, misfit: Callable[[ModelSpec], str] = lambda spec: "") -> None:
        self.manager = manager
        self.misfit = misfit
        self.check(manager.list_models())

    @staticmethod
    def check(model_ids: Iterable[str]) -> None:
        """Raise ConfigError if a model has the name of another kind of agent."""
        ids = set(model_ids)
        if taken := [name for name in (*STRATEGIES, HUMAN) if name in ids]:
            other = "a person" if taken[0] == HUMAN else "a scripted strategy"
            raise ConfigError(f"model '{taken[0]}' has the name of {other}; give it another id")

    def create(self, config: AgentConfig) -> Agent:
        """The agent; raises UnknownAgent, or ConfigError naming the option."""
        if config.agent in STRATEGIES:
            if config.options:
                raise ConfigError(f"'{config.agent}' is a scripted strategy and has no options; leave them out")
            return STRATEGIES[config.agent]
        if config.agent == HUMAN:
            return HumanAgent(self._options(HumanOptions, config))
        if config.agent not in self.manager.list_models():
            known = ", ".join(choice.agent for choice in self.choices())
            raise UnknownAgent(f"'{config.agent}' is neither a model nor a strategy (known: {known})")
        spec = self.manager.spec(config.agent)
        if reason := self.misfit(spec):
            raise DoesNotFit(f"'{config.agent}' does not fit: it {reason}; pick a smaller model")
        return ModelAgent(self.manager, spec, self._options(ModelOptions, config))

    def drive(self, run: Run, agents: Mapping[Seat, Agent], cancel: CancelToken) -> Generator[Event, Any, None]:
        """The events of a run from its turns so far to its end, see `negotiate`; `agents` were made by `create`."""
        return negotiate(Negotiation(run.run_id, run.scenario, agents, run.seed, run.turns, cancel))

    def complete(self, config: AgentConfig) -> AgentConfig:
        """The same with every option written out, as it is recorded with a run; raises as `create` does."""
        options = getattr(self.create(config), "options", None)
        return AgentConfig(config.agent, options.model_dump() if isinstance(options, BaseModel) else {})

    def models(self) -> list[ModelSpec]:
        """The models that are offered: those that fit."""
        registered = map(self.manager.spec, self.manager.list_models())
        return [spec for spec in registered if not self.misfit(spec)]

    def choices(self) -> list[Choice]:
        """Everything that can be picked, models first."""
        models = [Choice(spec.model_id, spec.label or spec.model_id, "Models") for spec in self.models()]
        scripted = [Choice(name, f"{name} (scripted)", "Scripted strategies") for name in STRATEGIES]
        return models + scripted

    @staticmethod
    def _options(kind: type[Options], config: AgentConfig) -> Options:
        return validate(kind, dict(config.options), f"agent '{config.agent}'")
