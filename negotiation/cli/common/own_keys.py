"""The user's own keys for models that say `credentials: visitor`: from the environment or a prompt, kept in memory.

They are never arguments: every user of a machine can list those of all processes, and shells write them down.
"""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from manager.config.model_spec import ModelSpec
from manager.config.provider_models import PREFIX
from manager.errors import ConfigError
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.purse import Payer, dollars
from negotiation.agents.strategies import STRATEGIES
from negotiation.cli.common.base import say

OPTION, ASK_OPTION, COST_OPTION = "--api-key", "--ask-api-key", "--cost-limit"
HOLDER = "the command line"
LISTING_SECONDS = 20.0
"""How long to wait for a router to say which models it has, and at what price."""
KEY_HELP = (
    "Environment variable that holds your own key for models that need one; HOST=VARIABLE if they are on several "
    "servers. Repeatable."
)
ASK_HELP = "Ask for your own key, without showing what you type."
COST_HELP = "US dollars that a negotiation with your own key may cost; several share the sum."

KeyVariables = Annotated[list[str] | None, typer.Option(OPTION, metavar="VARIABLE", help=KEY_HELP)]
AskKey = Annotated[bool, typer.Option(ASK_OPTION, help=ASK_HELP)]
CostLimit = Annotated[float, typer.Option(COST_OPTION, metavar="DOLLARS", min=0, help=COST_HELP)]


@dataclass(frozen=True)
class OwnKeys:
    """What the options say about keys and costs.

    Attributes:
        variables: `VARIABLE` or `HOST=VARIABLE`, as given.
        ask: Whether to ask for keys.
        limit: US dollars for each negotiation.
    """

    variables: Sequence[str]
    ask: bool
    limit: float

    def payer(self, catalog: Catalog, agents: Iterable[AgentConfig], negotiations: int = 1) -> Payer:
        """Return who pays for these agents, and keep the keys for their servers in the manager.

        Nothing is read and nobody is asked if no agent needs a key.

        Raises:
            ConfigError: A key is needed and not given, or an option is wrong; never repeats what may be a key.
            CredentialRejected: What was given cannot be a key.
            UnknownAgent: An agent is neither a registered model nor a strategy.
        """
        if self.variables and self.ask:
            raise ConfigError(f"{ASK_OPTION}: the key is given by {OPTION} already; use only one of them")
        needing = [spec for spec in _specs(catalog, agents) if spec.needs_own_key]
        if not needing:
            if self.variables:
                say(f"{OPTION}: not used, because no model here needs a key of yours")
            return Payer()
        servers = {_host(spec): str(spec.base_url) for spec in needing}
        keys = self._asked(servers) if self.ask else self._read(servers, needing[0].model_id)
        credentials = catalog.manager.credentials
        (handle, *_) = [credentials.keep(HOLDER, key, server=servers[host]) for host, key in keys.items()]
        for spec in needing:
            if spec.price is None:
                say(f"{spec.model_id}: its price is not known, so what it costs you cannot be limited")
        return Payer(handle, self.limit * negotiations)

    def _read(self, servers: Mapping[str, str], model_id: str) -> dict[str, str]:
        """Return the keys in variables, by host."""
        named = [entry.rpartition("=")[::2] for entry in self.variables]
        if not named:
            raise ConfigError(
                f"'{model_id}' needs a key of your own: name the environment variable that holds it ({OPTION} "
                f"VARIABLE), or let Parley ask for it ({ASK_OPTION})"
            )
        found: dict[str, str] = {}
        for host in servers:
            variables = [variable for given, variable in named if given == host or (not given and len(servers) == 1)]
            if len(variables) != 1:
                raise ConfigError(
                    f"{OPTION}: give one variable for each of {', '.join(servers)}, such as {OPTION} {host}=VARIABLE"
                )
            key = os.environ.get(variables[0], "").strip()
            if not key:
                raise ConfigError(
                    f"{OPTION}: no environment variable has that name, or it is empty; give the name of a variable, "
                    "such as HF_TOKEN, and not the key itself, which others on this machine could read"
                )
            found[host] = key
        return found

    def _asked(self, servers: Mapping[str, str]) -> dict[str, str]:
        """Ask for the key of each server on the terminal, which shows nothing of it."""
        return {host: _prompt(host) for host in servers}


def _prompt(host: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # otherwise it goes on and shows what is typed
            return getpass.getpass(f"Your key for {host} (not shown): ")
    except (getpass.GetPassWarning, EOFError, OSError):
        raise ConfigError(f"{ASK_OPTION}: there is no terminal to ask on; use {OPTION} VARIABLE instead") from None


def _specs(catalog: Catalog, agents: Iterable[AgentConfig]) -> list[ModelSpec]:
    """Return the entries of the models among agents, as they are registered from now on."""
    names = list(dict.fromkeys(config.agent for config in agents if config.agent not in STRATEGIES))
    wait_for_listing(catalog, names)
    for name in names:
        catalog.create(AgentConfig(name))
    return [spec for name in names if (spec := catalog.spec(name)) is not None]


def wait_for_listing(catalog: Catalog, names: Iterable[str]) -> None:
    """Wait until the router has said what it offers, if one of these models can only be its."""
    known = {*catalog.manager.list_models(), *STRATEGIES}
    if any(name.startswith(PREFIX) and name not in known for name in names):
        catalog.providers.wait(LISTING_SECONDS)


def _host(spec: ModelSpec) -> str:
    return urlsplit(str(spec.base_url)).netloc


def spent(payer: Payer, amount: float) -> None:
    """Say what was spent on the user's own key."""
    if payer.credential is not None:
        say(f"cost on your own key: {dollars(amount)}, limit {dollars(payer.limit or 0.0)}")
