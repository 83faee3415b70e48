"""List the available agents, and create one from its name in a form, a file or a stored run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from manager.config.model_spec import ModelSpec
from manager.config.provider_catalog import ProviderCatalog
from manager.config.strict_yaml import validate
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN, OUTSIDE, PROGRAM, HumanAgent
from negotiation.agents.lent_entries import LentEntries
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import HumanOptions, ModelOptions, StrategyOptions
from negotiation.agents.purse import Payer
from negotiation.agents.strategies import STRATEGIES
from negotiation.agents.strategy_options import scripted
from negotiation.errors import DoesNotFit, UnknownAgent
from negotiation.game.agent import Agent
from negotiation.game.events import Event
from negotiation.game.session import Negotiation, negotiate

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class Choice:
    """An entry of a pick list."""

    agent: str
    label: str


class Catalog:
    """The models of a manager, the scripted strategies, and people.

    Args:
        manager: Where the models are registered.
        misfit: Returns why a model does not fit on this machine, or "" if it does.
        providers: The models that are served on the visitor's own account; none by default.
    """

    zero_gpu = False
    """Whether its models stay in place and run on GPU time on ZeroGPU (`negotiation.app.zero_gpu`)."""

    def __init__(
        self,
        manager: LLMManager,
        misfit: Callable[[ModelSpec], str] = lambda spec: "",
        providers: ProviderCatalog | None = None,
    ) -> None:
        self.manager = manager
        self.misfit = misfit
        self.providers = providers or ProviderCatalog(None, {})
        self._lent = LentEntries(manager, self.providers)
        self.check(manager.list_models())

    @staticmethod
    def check(model_ids: Iterable[str]) -> None:
        """Raise ConfigError if a model has the name of a strategy or of a person or program."""
        ids = set(model_ids)
        if taken := [name for name in (*STRATEGIES, *OUTSIDE) if name in ids]:
            other = {HUMAN: "a person", PROGRAM: "a program elsewhere"}.get(taken[0], "a scripted strategy")
            raise ConfigError(f"model '{taken[0]}' has the name of {other}; give it another id")

    def create(self, config: AgentConfig) -> Agent:
        """Create an agent.

        Raises:
            UnknownAgent: Neither a registered model nor a strategy has this name.
            DoesNotFit: The model does not fit on this machine.
            ConfigError: An option is wrong; names it.
        """
        if config.agent in STRATEGIES:
            return scripted(config.agent, self._options(StrategyOptions, config))
        if config.agent in OUTSIDE:
            return HumanAgent(self._options(HumanOptions, config), config.agent)
        spec = self._lent.registered(config.agent)
        if spec is None:
            known = ", ".join(choice.agent for choice in self.choices())
            raise UnknownAgent(f"'{config.agent}' is neither a model nor a strategy (known: {known})")
        if reason := self.misfit(spec):
            raise DoesNotFit(f"'{config.agent}' does not fit: it {reason}; pick a smaller model")
        return ModelAgent(self.manager, spec, self._options(ModelOptions, config))

    def spec(self, agent: str) -> ModelSpec | None:
        """Return the entry of a model that is registered or listed by providers; None for anything else."""
        if agent in self.manager.list_models():
            return self.manager.spec(agent)
        return self.providers.find(agent)

    def check_payer(self, configs: Iterable[AgentConfig], payer: Payer) -> None:
        """Raise CredentialMissing or CredentialExpired if a model needs a visitor's own key and there is none."""
        models = self.manager.list_models()
        for model_id in dict.fromkeys(config.agent for config in configs if config.agent in models):
            self.manager.check_credential(model_id, payer.credential)

    def drive(self, negotiation: Negotiation) -> Generator[Event, Any, None]:
        """Return the events of a negotiation from its turns so far to its end, see `negotiate`."""
        return negotiate(negotiation)

    def complete(self, config: AgentConfig) -> AgentConfig:
        """Return a config with every option filled in, as runs record it; raises like `create`.

        Options that a script leaves to its own way stay out.
        """
        options = getattr(self.create(config), "options", None)
        if config.agent in STRATEGIES:
            return AgentConfig(config.agent, self._options(StrategyOptions, config).model_dump(exclude_defaults=True))
        return AgentConfig(config.agent, options.model_dump() if isinstance(options, BaseModel) else {})

    def models(self) -> list[ModelSpec]:
        """Return the models that fit on this machine."""
        registered = map(self.manager.spec, self.manager.list_models())
        return [spec for spec in registered if not self.misfit(spec)]

    def choices(self) -> list[Choice]:
        """Return everything that can be picked, models first."""
        models = [Choice(spec.model_id, spec.label or spec.model_id) for spec in self.models()]
        scripted = [Choice(name, strategy.label) for name, strategy in STRATEGIES.items()]
        return models + scripted

    @staticmethod
    def _options(kind: type[Options], config: AgentConfig) -> Options:
        return validate(kind, dict(config.options), f"agent '{config.agent}'")
