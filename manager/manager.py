"""LLMManager: the public methods, over the scheduler, the lock and the loader in `core.py`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from manager.backends.base import check_type, device_of
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec, WeightsKey, parse_spec
from manager.config.registry import Changes, Registry
from manager.core import Core
from manager.credentials import Bearer, Credentials, Handle
from manager.errors import Cancelled, ConfigError, CredentialMissing
from manager.lease import Lease, LeaseRequest
from manager.scheduling import messages as msg
from manager.scheduling.tables import SchedulerLimits
from manager.session import LoadedModel, Prompt, Session
from manager.state import WaitStatus
from manager.status.reader import describe
from manager.status.snapshot import Snapshot, Subscription


class LLMManager:
    """Keeps at most `max_loaded_models` weights loaded per device and shares them among sessions.

    Nothing is loaded before it is requested. The manager itself acts as the default session; `session(owner)` makes
    others. Its methods may be called from any thread.

    Args:
        model_configs: Settings by model id, with the keys of configs/models.yaml; or a Registry.
        max_loaded_models: How many weights a device may hold, loads in flight included.
        budgets: Memory limits in bytes by device. Default: most of what is free when its first model is requested.
        parking: Bytes of host memory for weights evicted from a GPU. Default: part of what is free then.
        max_loaded_on: Devices that may hold more or fewer weights than `max_loaded_models`.
        max_queue: How many requests may wait; further ones raise QueueFull.
        max_wait: Seconds that a request may wait, besides the loading of its own weights, before WaitTimeout.
        cache_dir: Folder for converted GGUF files. Default: a folder in the system's temporary folder.
        clock: Source of the time in seconds.
        heartbeat_seconds: Interval between the Heartbeats sent to subscribers.

    Raises:
        ConfigError: An entry of `model_configs` is wrong; names the model and the key.
    """

    def __init__(
        self,
        model_configs: Mapping[str, Mapping[str, Any]] | Registry,
        max_loaded_models: int = 2,
        *,
        budgets: Mapping[str, int] | None = None,
        parking: int | None = None,
        max_loaded_on: Mapping[str, int] | None = None,
        max_queue: int = 256,
        max_wait: float = 600.0,
        cache_dir: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_seconds: float = 10.0,
    ) -> None:
        configured = model_configs if isinstance(model_configs, Registry) else Registry.from_configs(model_configs)
        for spec in configured:
            check_type(spec)
        limits = SchedulerLimits(
            max_loaded=max_loaded_models,
            budgets=budgets or {},
            max_queue=max_queue,
            max_wait=max_wait,
            parking=parking,
            max_loaded_on=max_loaded_on or {},
        )
        folder = Path(cache_dir) if cache_dir else Path(tempfile.gettempdir()) / "parley-cache"
        self._core = Core(limits, folder, clock, heartbeat_seconds)
        self._default = Session(self, None)
        self.credentials = Credentials()
        """The keys of visitors, for models that say `credentials: visitor`."""
        self._configured = {spec.model_id for spec in configured}  # the others were registered by a call
        with self._core.lock:
            for spec in configured:
                self._core.register(self._add(spec))

    @classmethod
    def from_yaml(cls, path: str | Path, max_loaded_models: int = 2, **options: Any) -> LLMManager:
        """Make a manager of the models in a models.yaml; `options` are those of the constructor.

        Raises:
            ConfigError: The file is wrong; names file, model and key.
        """
        return cls(Registry.from_yaml(path), max_loaded_models, **options)

    # -- models ------------------------------------------------------------------------------------------------

    def register_model(self, model_id: str, config: Mapping[str, Any], *, trusted: bool = True) -> None:
        """Add a model. One from the Hub is downloaded when it is first requested.

        Args:
            model_id: Its id.
            config: Its settings, with the keys of configs/models.yaml.
            trusted: False for settings from strangers: a server that they name must be on the public internet, and is
                sent no key.

        Raises:
            ConfigError: A setting is wrong, or the id is taken by other settings.
        """
        self.register(parse_spec(model_id, config if trusted else {**config, "public_only": True}))

    def register(self, spec: ModelSpec) -> None:
        """Add a model from a parsed entry. Raises ConfigError if its id is taken by other settings."""
        check_type(spec)
        with self._core.lock:
            key = self._add(spec)
            self._core.register(key)
            self._core.board.publish("registered", key)

    def unregister(self, model_id: str) -> None:
        """Forget a model. Negotiations that use it finish first; then its weights are unloaded. Raises UnknownModel."""
        rest = Registry()
        with self._core.lock:
            removed = self._core.registry[model_id]
            for spec in self._core.registry:
                if spec is not removed:
                    rest.add(spec)
            self._core.replace_models(rest)

    def reload(self, path: str | Path) -> Changes:
        """Apply an edited models.yaml without a restart, and return the ids of the models that changed.

        Removed models, and the old settings of changed ones, can no longer be requested. Negotiations that use them
        finish first; then their weights are unloaded. Models added by `register_model` stay.

        Raises:
            ConfigError: The file is wrong; nothing was changed.
        """
        read = Registry.from_yaml(path)
        if not len(read):
            raise ConfigError(f"{path}: lists no models, so nothing was changed; add at least one")
        for spec in read:
            check_type(spec)
        named = {spec.model_id for spec in read}
        fresh = Registry()
        with self._core.lock:
            added = [spec for spec in self._core.registry if spec.model_id not in self._configured | named]
            for spec in [*read, *added]:
                fresh.add(fresh.united(spec, device_of))
            self._configured = named
            return self._core.replace_models(fresh)

    def pin(self, model_id: str, pinned: bool = True) -> None:
        """Pin or unpin a model, overriding its entry. Pinned weights stay once they are loaded."""
        with self._core.lock:
            key = self._core.registry.pin(model_id, pinned).weights
            self._core.register(key)
            self._core.board.publish("pinned", key)

    def spec(self, model_id: str) -> ModelSpec:
        """Return the registry entry of a model. Raises UnknownModel (a ValueError)."""
        with self._core.lock:
            return self._core.registry[model_id]

    def list_models(self) -> dict[str, dict[str, Any]]:
        """Describe the registered models; see `Session.list_models`."""
        return describe(self.snapshot(), self._core.registry)

    def unload(self, spec: ModelSpec) -> None:
        """Unload the weights of `spec` as soon as no lease holds them."""
        with self._core.lock:
            self._core.send(msg.Unload(spec.weights))

    # -- sessions ----------------------------------------------------------------------------------------------

    def session(self, owner: str, credential: Handle | None = None) -> Session:
        """Make a session: the same methods with an active model of its own.

        `owner` names it in the queue and in the status; `credential` pays for models that say `credentials: visitor`.
        """
        return Session(self, owner, credential)

    @property
    def active_model(self) -> str | None:
        """The default session's active model."""
        return self._default.active_model

    def load_model(self, model_id: str) -> LoadedModel:
        """Load a model; see `Session.load_model`."""
        return self._default.load_model(model_id)

    def switch_model(self, model_id: str) -> LoadedModel:
        """Load a model and make it the active one; see `Session.switch_model`."""
        return self._default.switch_model(model_id)

    def get_response(self, prompt: Prompt, model_id: str | None = None, **generation: Any) -> str:
        """Return the whole answer to a prompt; see `Session.get_response`."""
        return self._default.get_response(prompt, model_id, **generation)

    def generate_response(self, model_id: str, prompt: Prompt, **generation: Any) -> str:
        """Call `get_response` under its other name."""
        return self._default.generate_response(model_id, prompt, **generation)

    def stream_response(self, prompt: Prompt, model_id: str | None = None, **generation: Any) -> Iterator[str]:
        """Yield the answer to a prompt piece by piece; see `Session.stream_response`."""
        return self._default.stream_response(prompt, model_id, **generation)

    def unload_model(self, model_id: str) -> None:
        """Unload a model's weights; see `Session.unload_model`."""
        self._default.unload_model(model_id)

    # -- leases ------------------------------------------------------------------------------------------------

    def request_lease(
        self,
        model: str | ModelSpec,
        *,
        owner: str | None = None,
        next_model: str | ModelSpec | None = None,
        timeout: float | None = None,
        credential: Handle | None = None,
    ) -> LeaseRequest:
        """Request the weights of a model without waiting for them.

        Args:
            model: A model id, or a ModelSpec, which is served even if its id is no longer registered, so that running
                negotiations can finish.
            owner: The session that asks.
            next_model: The model that the same owner will want next.
            timeout: Seconds that the request may wait.
            credential: The handle of the visitor's own key, for models that say `credentials: visitor`.

        Raises:
            CredentialMissing, CredentialExpired: The model needs a visitor's own key, and there is none.
        """
        with self._core.lock:
            following = self._resolved(next_model) if next_model is not None else None
            spec = self._resolved(model)
            return self._core.request(spec, owner, following, timeout, self._bearer(spec, credential))

    def lease(
        self,
        model: str | ModelSpec,
        *,
        owner: str | None = None,
        next_model: str | ModelSpec | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        credential: Handle | None = None,
    ) -> Lease:
        """Wait for a lease: the right to use a model's weights. Release it, or use it as a `with` block.

        The arguments are those of `request_lease`; `cancel` ends the wait.

        Raises:
            ModelUnavailable: The weights cannot be loaded.
            Busy: The queue is full (QueueFull), the wait took too long (WaitTimeout), or the owner already holds a
                lease and would have to wait for another one (NestedLease).
            Cancelled: `cancel` was cancelled.
        """
        request = self.request_lease(model, owner=owner, next_model=next_model, timeout=timeout, credential=credential)
        forget = cancel.on_cancel(request.cancel) if cancel is not None else lambda: None
        try:
            lease = request.wait()
        except BaseException:
            request.cancel()
            raise
        finally:
            forget()
        assert lease is not None
        if cancel is not None and cancel.cancelled:
            lease.release()
            raise Cancelled("cancelled while waiting")
        return lease

    def check_credential(self, model_id: str, credential: Handle | None) -> None:
        """Raise CredentialMissing or CredentialExpired if a model needs a visitor's own key and there is none."""
        self._bearer(self.spec(model_id), credential)

    def waiting(self, request: LeaseRequest) -> WaitStatus | None:
        """Return why a request is waiting, or None if it is not."""
        with self._core.lock:
            return self._core.status.waiting(request.number, self._core.clock())

    def announce(self, owner: str, model: str) -> None:
        """Announce that an owner will want a model, which is then evicted later than unwanted ones, until `forget`.

        This loads nothing. It is meant for callers that know what many sessions will request, such as a tournament.
        """
        with self._core.lock:
            self._core.announce(owner, self._core.registry[model])

    def forget(self, owner: str) -> None:
        """Drop what an owner announced."""
        with self._core.lock:
            self._core.send(msg.Forget(owner))

    # -- status ------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the current state of all weights, devices and requests, and a timeline of recent work."""
        with self._core.lock:
            return self._core.status.snapshot(self._core.clock())

    def subscribe(self, capacity: int = 1000) -> Subscription:
        """Subscribe to all events from now on. A subscriber that falls `capacity` events behind gets one Resync."""
        with self._core.lock:
            subscription = Subscription(self.snapshot, capacity, self._core.unsubscribe)
            self._core.board.add(subscription)
            return subscription

    # -- the end -----------------------------------------------------------------------------------------------

    def cleanup(self) -> None:
        """Refuse new requests, stop what is being written, unload everything and end the threads.

        Work that hangs is left behind. Leaving a `with` block around the manager does the same.
        """
        self._core.close()

    def __enter__(self) -> LLMManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def _add(self, spec: ModelSpec) -> WeightsKey:
        """Add an entry to the registry, and return the key of its weights."""
        return self._core.registry.add(self._core.registry.united(spec, device_of)).weights

    def _bearer(self, spec: ModelSpec, credential: Handle | None) -> Bearer | None:
        """Return who pays for a model, after a look at whether there is a key."""
        if not spec.needs_own_key:
            return None
        if credential is None:
            raise CredentialMissing(
                f"'{spec.label or spec.model_id}' runs on your own account: sign in, or enter a key"
            )
        assert spec.base_url is not None
        self.credentials.reveal(credential, spec.base_url)
        return Bearer(credential, self.credentials)

    def _resolved(self, model: str | ModelSpec) -> ModelSpec:
        return self._core.registry[model] if isinstance(model, str) else model
