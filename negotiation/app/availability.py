"""Which models can be used here and now, what each still needs, and why the others cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manager.config.model_spec import ModelSpec
from manager.machine.hub_access import HubAccess
from manager.machine.model_files import SHIPPED, whereabouts
from manager.state import State
from negotiation.agents.catalog import Catalog

Group = Literal["ready", "remote", "download", "account"]
"""Its files are on this machine, a remote server has it, it must be downloaded first, or visitors bring an account."""
GROUPS: tuple[Group, ...] = ("ready", "remote", "download", "account")


@dataclass(frozen=True)
class Availability:
    """How a model can be used; `reason` says why it cannot be used now, as the rest of a sentence about it."""

    group: Group
    reason: str = ""


class ModelAvailability:
    """Judges the models of a catalog.

    Args:
        catalog: The models, and which of them do not fit on this machine.
        hub: The way to the Hub.
    """

    def __init__(self, catalog: Catalog, hub: HubAccess) -> None:
        self._catalog = catalog
        self._hub = hub

    def of(self, spec: ModelSpec) -> Availability:
        """Return how a registered model can be used. Quick, and without the network."""
        group = self._group(spec)
        reason = self._catalog.misfit(spec)
        if not reason and group == "download":
            reason = self._hindrance(spec)
        if not reason and group == "account" and spec.base_url != self._catalog.providers.base_url:
            reason = f"runs on each visitor's own account at {spec.base_url}, which this page does not support"
        if not reason and _folder_is_missing(spec):
            reason = f"is missing: there is no folder {spec.model_name}"
        return Availability(group, reason)

    def usable(self) -> list[ModelSpec]:
        """Return the models that anybody can use, those that are ready first."""
        found = [(spec, self.of(spec)) for spec in self.registered() if spec.credentials is None]
        usable = [(GROUPS.index(availability.group), spec) for spec, availability in found if not availability.reason]
        return [spec for _, spec in sorted(usable, key=lambda pair: pair[0])]

    def on_account(self) -> list[ModelSpec]:
        """Return the models that visitors with an account of their own can use: the operator's, then the providers'."""
        providers, listed = self._catalog.providers, self._catalog.providers.specs()
        asks = [spec for spec in self.registered() if spec.credentials is not None and spec.model_id not in listed]
        own = [spec for spec in asks if spec.base_url == providers.base_url]
        return [*own, *listed.values()]

    def trained(self) -> tuple[ModelSpec, ModelSpec] | None:
        """Return a usable model whose adapter comes with Parley, and the usable model that it was made from."""
        usable = self.usable()
        for spec in usable:
            if any(name.startswith(SHIPPED) for name in spec.adapters):
                base = spec.weights._replace(adapters=())
                for other in usable:
                    if other.weights == base:
                        return spec, other
        return None

    def registered(self) -> list[ModelSpec]:
        """Return all models of the registry."""
        manager = self._catalog.manager
        return [manager.spec(model_id) for model_id in manager.list_models()]

    def _group(self, spec: ModelSpec) -> Group:
        if spec.credentials is not None:
            return "account"
        if spec.type == "openai":
            return "remote"
        if spec.type != "huggingface" or self._catalog.zero_gpu:  # placed when the Space started
            return "ready"
        status = self._catalog.manager.snapshot().of(spec.model_id)
        loaded = status is not None and status.state in (State.RESIDENT, State.PARKED, State.WAKING)
        return "ready" if loaded or whereabouts(spec) != "hub" else "download"

    def _hindrance(self, spec: ModelSpec) -> str:
        """Return what stands in the way of a download."""
        if trouble := self._hub.trouble:
            return f"must be downloaded first, and {trouble}"
        if spec.gated and not self._hub.has_token:
            return "is gated: accept its terms on the Hub, and set HF_TOKEN to a token of that account"
        return ""


def _folder_is_missing(spec: ModelSpec) -> bool:
    local = spec.type == "huggingface" and spec.model_name.startswith((".", "/", "~"))
    return local and not Path(spec.model_name).expanduser().is_dir()
