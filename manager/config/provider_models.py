"""Models that others serve on the visitor's own account, as the router of Inference Providers lists them.

Reads the router's answer liberally: an entry that is odd, hostile or no chat model is skipped, and never keeps the
others from being read. Knows nothing of the network; `provider_catalog` asks the router.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from manager.config.model_spec import HUB_ID, MODEL_ID, GenerationConfig, ModelSpec, Price
from manager.config.strict_yaml import read_yaml, validate
from manager.errors import ConfigError

PREFIX = "hf/"
"""Begins the ids of these models; the rest is the model's name on the Hub."""
MOST = 2000
"""The most models that are listed."""
CONCURRENCY = 8
"""Requests at a time for one model."""
DEAREST = 10_000.0
"""US dollars per million tokens. A listing that states more is not believed."""
_CHAT = {"", "chat", "conversational", "text-generation", "image-text-to-text", "chat-completion"}
_OUT_OF_SERVICE = {"error", "offline", "staging", "disabled", "unavailable"}


class ShippedModel(BaseModel):
    """One entry of providers.yaml, which explains the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    label: str = ""
    generation_config: GenerationConfig = GenerationConfig()


@dataclass(frozen=True)
class ProviderModel:
    """A model, and how the provider that was chosen for it serves it.

    Args:
        name: Its name on the Hub, owner/name.
        label: Its name for people.
        provider: Who serves it; None leaves the choice to the router.
        price: What that provider states; None if it states nothing.
        context: The most tokens of a prompt and its reply; None if unknown.
        structured: Whether the provider says that replies can be held to a schema.
    """

    name: str
    label: str
    provider: str | None = None
    price: Price | None = None
    context: int | None = None
    structured: bool = False
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    @property
    def model_id(self) -> str:
        """The id by which agents, files and stored runs name it."""
        return PREFIX + self.name

    def spec(self, base_url: str) -> ModelSpec:
        """Return its registry entry. Its server is the router, whatever a listing says."""
        return ModelSpec(
            model_id=self.model_id,
            type="openai",
            model_name=f"{self.name}:{self.provider}" if self.provider else self.name,
            label=self.label,
            base_url=base_url,
            credentials="visitor",
            price=self.price,
            concurrency=CONCURRENCY,
            generation_config=self.generation,
        )


def read_listing(listing: object, shipped: Mapping[str, ShippedModel]) -> dict[str, ProviderModel]:
    """Return the chat models in the router's answer, by id, those of the shipped list first.

    Args:
        listing: The answer of `/v1/models`, as plain data.
        shipped: Models with settings of their own, by their names on the Hub.
    """
    entries = listing.get("data") if isinstance(listing, Mapping) else listing
    found: dict[str, ProviderModel] = {}
    for entry in entries if isinstance(entries, list) else []:
        model = _read(entry, shipped)
        if model is not None:
            found.setdefault(model.model_id, model)
        if len(found) >= MOST:
            break
    ranks = {name: rank for rank, name in enumerate(shipped)}
    return dict(sorted(found.items(), key=lambda pair: ranks.get(pair[1].name, len(ranks))))


def shipped_models(shipped: Mapping[str, ShippedModel]) -> dict[str, ProviderModel]:
    """Return the models of the shipped list, by id, for when there is no listing."""
    models = (ProviderModel(name, _label(name, own), generation=own.generation_config) for name, own in shipped.items())
    return {model.model_id: model for model in models}


def read_shipped(path: Path) -> dict[str, ShippedModel]:
    """Read a providers.yaml: entries by the model's name on the Hub. Raises ConfigError."""
    data = read_yaml(path) or {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected models by their names on the Hub (owner/name)")
    if wrong := next((name for name in data if not _is_name(name)), None):
        raise ConfigError(f"{path}: model '{str(wrong)[:80]}': write its name on the Hub (owner/name)")
    return {name: validate(ShippedModel, own or {}, str(path), f"model '{name}'") for name, own in data.items()}


def _read(entry: object, shipped: Mapping[str, ShippedModel]) -> ProviderModel | None:
    if not isinstance(entry, Mapping) or not _chats(entry):
        return None
    name = entry.get("id")
    if not isinstance(name, str) or not _is_name(name):
        return None
    own = shipped.get(name, ShippedModel())
    plain = ProviderModel(name, _label(name, own), generation=own.generation_config)
    if "providers" not in entry:
        return _served(plain, entry)
    serving = [one for one in _mappings(entry["providers"]) if _serves(one)]
    if not serving:
        return None
    offers = [_served(plain, one) for one in serving]
    return min(offers, key=lambda offer: (not offer.structured, _cost(offer), offer.provider or ""))


def _served(model: ProviderModel, stated: Mapping[str, Any]) -> ProviderModel:
    provider = stated.get("provider")
    named = isinstance(provider, str) and provider.isascii() and provider.replace("-", "").replace("_", "").isalnum()
    return ProviderModel(
        model.name,
        model.label,
        provider if named and len(str(provider)) <= 40 else None,
        _price(stated.get("pricing")),
        _whole(stated.get("context_length")),
        stated.get("supports_structured_output") is True,
        model.generation,
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(HUB_ID.fullmatch(name) and MODEL_ID.fullmatch(PREFIX + name))


def _chats(entry: Mapping[str, Any]) -> bool:
    """Return whether a model writes text in a chat, as far as its entry says so."""
    kinds = [entry.get(key) for key in ("task", "pipeline_tag", "type")]
    if any(isinstance(kind, str) and kind.lower() not in _CHAT | {"model"} for kind in kinds):
        return False
    architecture = entry.get("architecture")
    writes = architecture.get("output_modalities") if isinstance(architecture, Mapping) else None
    return "text" in writes if isinstance(writes, list) and writes else True


def _serves(provider: Mapping[str, Any]) -> bool:
    status, task = provider.get("status"), provider.get("task")
    out = isinstance(status, str) and status.lower() in _OUT_OF_SERVICE
    return not out and not (isinstance(task, str) and task.lower() not in _CHAT)


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    values: Iterable[object] = value if isinstance(value, list) else ()
    return (one for one in values if isinstance(one, Mapping))


def _price(pricing: object) -> Price | None:
    if not isinstance(pricing, Mapping):
        return None
    asked = [_number(pricing.get(key)) for key in ("input", "output")]
    known = [number for number in asked if number is not None and 0 <= number <= DEAREST]
    return Price(input=known[0], output=known[1]) if len(known) == 2 else None


def _cost(offer: ProviderModel) -> float:
    """Return what a turn costs about: a prompt of eight tokens for each token of its reply; unknown prices are last."""
    return math.inf if offer.price is None else 8 * offer.price.input + offer.price.output


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 1 <= number <= 1e9 else None


def _number(value: object) -> float | None:
    """Return a number, which some servers send as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _label(name: str, own: ShippedModel) -> str:
    return own.label or name.partition("/")[2]
