"""The registered models, and which of them share weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from manager.config.model_spec import ModelSpec, WeightsKey, parse_spec
from manager.config.strict_yaml import read_yaml
from manager.errors import ConfigError, ParleyError, UnknownModel


class WeightsSettings(NamedTuple):
    """The settings of weights, combined from all models that share them."""

    pinned: bool
    idle_seconds: float | None
    concurrency: int | None


class Changes(NamedTuple):
    """The ids of the models that a reload changed."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Registry:
    """The registered models, in the order of their registration."""

    def __init__(self, specs: Mapping[str, ModelSpec] | None = None) -> None:
        self._specs: dict[str, ModelSpec] = {}
        self._aliases: dict[WeightsKey, tuple[str, ...]] = {}
        self._pins: dict[str, bool] = {}  # the operator's settings, which override the entries
        for spec in (specs or {}).values():
            self._insert(spec)

    @classmethod
    def from_configs(cls, configs: Mapping[str, Mapping[str, Any]], where: str = "model_configs") -> Registry:
        """Make a registry from {model id: {key: value}}. Raises ConfigError."""
        if not isinstance(configs, Mapping):
            raise ConfigError(f"{where}: expected a mapping of model ids to their settings")
        return cls({str(model_id): parse_spec(str(model_id), config, where) for model_id, config in configs.items()})

    @classmethod
    def from_yaml(cls, path: str | Path) -> Registry:
        """Read a models.yaml: entries by model id, with or without a `models:` around them. Raises ConfigError."""
        data = read_yaml(Path(path))
        if isinstance(data, dict) and set(data) == {"models"}:
            data = data["models"]
        return cls.from_configs(data or {}, str(path))

    def __getitem__(self, model_id: str) -> ModelSpec:
        try:
            return self._specs[model_id]
        except KeyError:
            known = ", ".join(self._specs) or "none"
            raise UnknownModel(f"model '{model_id}' is not registered (registered: {known})") from None

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._specs

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    def add(self, spec: ModelSpec) -> ModelSpec:
        """Register a model and return its entry. Raises ConfigError if its id is taken by other settings."""
        if self._specs.get(spec.model_id, spec) != spec:
            raise ConfigError(f"model '{spec.model_id}' is already registered with other settings; pick another id")
        if spec.model_id not in self._specs:
            self._insert(spec)
        return spec

    def united(self, spec: ModelSpec, device_of: Callable[[ModelSpec], str]) -> ModelSpec:
        """Return `spec` with the device name of an entry for the same weights on the same device.

        Thus `auto` and `cpu` share weights if both mean the CPU. `device_of` is called only if this matters.
        """
        for other in self:
            if spec.device != other.device and spec.weights == other.weights._replace(device=spec.device):
                with suppress(ParleyError):  # the device does not exist
                    if device_of(spec) == device_of(other):
                        return spec.model_copy(update={"device": other.device})
        return spec

    def replace(self, specs: Iterable[ModelSpec]) -> Changes:
        """Replace all models by these. Models that stay keep the operator's pins."""
        before, self._specs, self._aliases = self._specs, {}, {}
        for spec in specs:
            self._insert(spec)
        self._pins = {model_id: pinned for model_id, pinned in self._pins.items() if model_id in self._specs}
        return Changes(
            tuple(model_id for model_id in self._specs if model_id not in before),
            tuple(model_id for model_id, spec in self._specs.items() if before.get(model_id, spec) != spec),
            tuple(model_id for model_id in before if model_id not in self._specs),
        )

    def pin(self, model_id: str, pinned: bool) -> ModelSpec:
        """Pin or unpin a model, overriding its entry. Raises UnknownModel."""
        spec = self[model_id]
        self._pins[model_id] = pinned
        return spec

    def pinned(self, model_id: str) -> bool:
        """Return whether a model is pinned."""
        return self._pins.get(model_id, self[model_id].pinned)

    def settings_of(self, weights: WeightsKey) -> WeightsSettings:
        """Return the combined settings of weights. Weights without a model are not pinned."""
        sharing = [self[model_id] for model_id in self.aliases(weights)]
        idle = [spec.idle_seconds for spec in sharing]
        return WeightsSettings(
            any(self.pinned(spec.model_id) for spec in sharing),
            None if None in idle else max((seconds for seconds in idle if seconds is not None), default=None),
            min((spec.concurrency for spec in sharing if spec.concurrency), default=None),
        )

    def aliases(self, weights: WeightsKey) -> tuple[str, ...]:
        """Return the ids of all models that share these weights."""
        return self._aliases.get(weights, ())

    def _insert(self, spec: ModelSpec) -> None:
        self._specs[spec.model_id] = spec
        self._aliases[spec.weights] = (*self.aliases(spec.weights), spec.model_id)
