"""LLMManager: the public methods, over the lock and the loader in `core.py`.

Every example in the docstrings is run as a test.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from manager.backends.base import check_type, device_of
from manager.cancel import CancelToken
from manager.config.registry import Changes, ModelSpec, Registry, parse_spec
from manager.core import Core
from manager.errors import Cancelled, ConfigError
from manager.lease import Lease, LeaseRequest
from manager.scheduling import messages as h
from manager.scheduling.tables import Limits
from manager.session import Session
from manager.state import WaitStatus
from manager.status.events import listing
from manager.status.snapshot import Snapshot, Subscription


class LLMManager(Core, Session):
    """Keeps at most `max_loaded_models` weights per device loaded and shares them among sessions.

    `model_configs` maps a model id to its settings (see configs/models.yaml); nothing is loaded before it is asked
    for. The manager itself is the default session; `session(owner)` makes others.

    `budgets` are bytes per device, `parking` bytes of host memory for weights evicted from a GPU: by default, most of
    what is free there when the first model is wanted. `max_loaded_on` names devices that hold more or fewer weights.

    >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
    >>> manager.get_response("Say hello", "echo")
    'Hello!'
    >>> manager.list_models()["echo"]["is_loaded"]
    True
    >>> manager.cleanup()
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
        folder = Path(cache_dir) if cache_dir else Path(tempfile.gettempdir()) / "parley-cache"
        limits = Limits(max_loaded_models, budgets or {}, max_queue, max_wait, parking, max_loaded_on or {})
        Core.__init__(self, limits, folder, clock, heartbeat_seconds)
        Session.__init__(self, self, None)
        self._numbers = itertools.count(1)
        self._configured = {spec.model_id for spec in configured}  # the others were registered by a call
        with self._lock:
            for spec in configured:
                self._treat(self._registry.add(self._registry.united(spec, device_of)).weights)

    @classmethod
    def from_yaml(cls, path: str | Path, max_loaded_models: int = 2, **options: Any) -> LLMManager:
        """A manager of the models in a models.yaml; `options` as for the constructor.

        Raises ConfigError, naming file, model and key.

        >>> manager = LLMManager.from_yaml("configs/models.yaml", max_loaded_models=1)
        >>> manager.list_models()["smollm2-steady"]["state"]
        'cold'
        >>> manager.cleanup()
        """
        return cls(Registry.from_yaml(path), max_loaded_models, **options)

    # -- models ------------------------------------------------------------------------------------------------

    def register_model(self, model_id: str, config: Mapping[str, Any], *, trusted: bool = True) -> None:
        """Add a model; raises ConfigError when its settings are wrong or its id is taken by other settings.

        With the name of a Hub repository it is fetched when it is first asked for. Not `trusted` is what a stranger
        typed in: a server that it names must be on the public internet, and is sent no key.

        >>> manager = LLMManager({})
        >>> manager.register_model("qwen", {"model_name": "Qwen/Qwen3-0.6B"})
        >>> manager.register_model("qwen", {"model_name": "Qwen/Qwen3-4B"})
        Traceback (most recent call last):
        manager.errors.ConfigError: model 'qwen' is already registered with other settings; pick another id
        >>> manager.cleanup()
        """
        self.register(parse_spec(model_id, config if trusted else {**config, "public_only": True}))

    def register(self, spec: ModelSpec) -> None:
        """Add a model whose entry was read already."""
        check_type(spec)
        with self._lock:
            key = self._registry.add(self._registry.united(spec, device_of)).weights
            self._treat(key)
            self._board.publish("registered", key)

    def reload(self, path: str | Path) -> Changes:
        """Take over a models.yaml that was edited, without a restart; what changed, as model ids.

        What is wrong with the file is a ConfigError, and changes nothing. Models that it no longer names can no
        longer be asked for by their id, nor can old settings of changed ones; negotiations that play with them finish
        first, then their weights leave. Models added by `register_model` stay.

        >>> manager = LLMManager({"old": {"type": "fake"}})
        >>> manager.reload("configs/models.yaml").removed
        ('old',)
        >>> manager.reload("configs/models.yaml")
        Changes(added=(), changed=(), removed=())
        >>> manager.cleanup()
        """
        read = Registry.from_yaml(path)
        if not len(read):
            raise ConfigError(f"{path}: names no models, so nothing was changed; add some, or end the program")
        for spec in read:
            check_type(spec)
        with self._lock:
            before = {spec.weights for spec in self._registry}
            named = {spec.model_id for spec in read}
            added = [s for s in self._registry if s.model_id not in self._configured | named]
            fresh = Registry()
            for spec in [*read, *added]:
                fresh.add(fresh.united(spec, device_of))
            changes, self._configured = self._registry.replace(fresh), named
            after = {spec.weights: None for spec in self._registry}
            for key in after:
                self._treat(key)
                self._board.publish("registered", key)
            for key in before - set(after):
                self._retire(key)
        return changes

    def pin(self, model_id: str, pinned: bool = True) -> None:
        """Keep a model's weights loaded once they are, or (`pinned=False`) no longer, whatever its entry says.

        >>> manager = LLMManager({"echo": {"type": "fake"}})
        >>> manager.pin("echo")
        >>> manager.list_models()["echo"]["pinned"]
        True
        >>> manager.cleanup()
        """
        with self._lock:
            key = self._registry.pin(model_id, pinned).weights
            self._treat(key)
            self._board.publish("pinned", key)

    def spec(self, model_id: str) -> ModelSpec:
        """The registry entry of a model; raises UnknownModel (a ValueError)."""
        with self._lock:
            return self._registry[model_id]

    def describe(self) -> dict[str, dict[str, Any]]:
        """What `list_models` answers."""
        return listing(self.snapshot(), self._registry)

    def unload(self, spec: ModelSpec) -> None:
        """Unload the weights of `spec` as soon as nobody leases them."""
        with self._lock:
            self._tell(h.Unload(spec.weights))

    def session(self, owner: str) -> Session:
        """The same methods with an active model of its own; `owner` names it in the queue and the status.

        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}, "other": {"type": "fake"}})
        >>> mine, yours = manager.session("mine"), manager.session("yours")
        >>> yours.switch_model("other").model_id
        'other'
        >>> mine.get_response("Say hello", "echo"), yours.active_model
        ('Hello!', 'other')
        >>> manager.cleanup()
        """
        return Session(self, owner)

    # -- leases ------------------------------------------------------------------------------------------------

    def request_lease(
        self,
        model: str | ModelSpec,
        *,
        owner: str | None = None,
        next_model: str | ModelSpec | None = None,
        timeout: float | None = None,
    ) -> LeaseRequest:
        """Ask for the weights of `model` without waiting for them.

        A ModelSpec is served even if its id was removed from the registry meanwhile, so that what runs can finish.
        `next_model` is what the same owner will want next; `timeout` is how long the request may wait, in seconds.

        >>> manager = LLMManager({"a": {"type": "fake"}, "b": {"type": "fake"}}, max_loaded_models=1)
        >>> with manager.lease("a"):
        ...     request = manager.request_lease("b")
        ...     request.wait(0) is None, manager.waiting(request).position
        (True, 1)
        >>> with request.wait() as lease:
        ...     lease.spec.model_id
        'b'
        >>> manager.cleanup()
        """
        with self._lock:
            spec = self._registry[model] if isinstance(model, str) else model
            following = self._registry[next_model] if isinstance(next_model, str) else next_model
            key, next_key = spec.weights, following.weights if following is not None else None
            wanted = {key: spec}
            if following is not None and next_key is not None:
                wanted.setdefault(next_key, following)
            for one, entry in wanted.items():
                if one not in self._scheduler.weights:
                    self._treat(one, entry)
            request = LeaseRequest(next(self._numbers), spec, owner, self._cancel)
            self._requests[request.number] = request
            deadline = self._clock() + timeout if timeout is not None else None
            self._tell(h.Request(request.number, key, owner, next_key, deadline))
            if request.number in self._requests:
                self._board.publish("waiting", key, owner=owner, ticket=request.number)
            for one in wanted:
                if not self._registry.aliases(one):  # it was removed meanwhile: once served, it leaves
                    self._tell(h.Retire(one))
            return request

    def lease(
        self,
        model: str | ModelSpec,
        *,
        owner: str | None = None,
        next_model: str | ModelSpec | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Lease:
        """The right to use a model's weights, waiting for them to be loaded and for room as long as need be.

        Raises what the request ended with: ModelUnavailable, Busy (QueueFull, WaitTimeout, NestedLease), Cancelled.
        Give it back, or use it as a `with` block.

        >>> from manager.generation.request import GenerationRequest, as_messages
        >>> manager = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}})
        >>> with manager.lease("echo", owner="example") as lease:
        ...     "".join(lease.generate(GenerationRequest(as_messages("Say hello"))))
        'Hello!'
        >>> manager.cleanup()
        """
        request = self.request_lease(model, owner=owner, next_model=next_model, timeout=timeout)
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

    def waiting(self, request: LeaseRequest) -> WaitStatus | None:
        """Why a request is still waiting; None when it no longer is."""
        with self._lock:
            return self._view.waiting(request.number, self._clock())

    def announce(self, owner: str, model: str) -> None:
        """An owner will want a model, which is kept loaded rather than one that nobody wants, until `forget`.

        Nothing is loaded for it yet. For whoever knows what many others will ask for, like a tournament.
        """
        with self._lock:
            spec = self._registry[model]
            if spec.weights not in self._scheduler.weights:
                self._treat(spec.weights, spec)
            self._tell(h.Announce(owner, spec.weights))

    def forget(self, owner: str) -> None:
        """An owner is done: what it announced as next is no longer wanted."""
        with self._lock:
            self._tell(h.Forget(owner))

    # -- status ------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything as it is now, and what happened of late.

        >>> manager = LLMManager({"echo": {"type": "fake", "size_bytes": 7}})
        >>> with manager.lease("echo"):
        ...     status = manager.snapshot().of("echo")
        >>> str(status.state), status.bytes, status.leases
        ('resident', 7, 1)
        >>> [entry.kind for entry in manager.snapshot().timeline if entry.kind != "wait"]
        ['load']
        >>> manager.cleanup()
        """
        with self._lock:
            return self._view.snapshot(self._clock())

    def subscribe(self, capacity: int = 1000) -> Subscription:
        """All events from now on; a subscriber that falls `capacity` behind gets one Resync instead.

        >>> manager = LLMManager({"echo": {"type": "fake"}})
        >>> subscription = manager.subscribe()
        >>> handle = manager.load_model("echo")
        >>> manager.cleanup()
        >>> [str(event.state) for event in subscription if event.kind == "state"]
        ['loading', 'resident', 'draining', 'cold']
        """
        with self._lock:
            subscription = Subscription(self.snapshot, capacity, self._unsubscribe)
            self._board.add(subscription)
            return subscription

    # -- the end -----------------------------------------------------------------------------------------------

    def cleanup(self) -> None:
        """Refuse new requests, end what is being written, unload everything and stop the threads. What hangs is left.

        Leaving a `with` block around the manager does it, too.

        >>> with LLMManager({"echo": {"type": "fake"}}) as manager:
        ...     handle = manager.load_model("echo")
        >>> handle.get_response("Hello?")
        Traceback (most recent call last):
        manager.errors.ManagerClosed: the model manager was closed
        """
        with self._lock:
            if self._scheduler.closed:
                return
            self._tell(h.Close())
            for key in list(self._scheduler.weights):
                self._tell(h.Unload(key))
            held = list(self._leases.values())
        for leave in (Lease.cancel, Lease.release):
            for reference in held:
                if (lease := reference()) is not None:
                    leave(lease)
                    del lease  # or it would be held while the others are waited for
        hangs = not self._came_to_rest()
        self._loader.close(patience=0.0 if hangs else None)
        self._lost.close()
        self._alarm.close()
        self._board.close()

    def __enter__(self) -> LLMManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()
