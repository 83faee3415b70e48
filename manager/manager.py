"""LLMManager: the one lock around the scheduler, the loader thread, and the public methods.

It tells the scheduler what happens and carries out what it answers. Nothing slow is done under the lock: weights
come and go in `loader.py`, text is written in `generation/`.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from manager import happenings as h
from manager.alarm import Alarm
from manager.backends.base import check_type, device_of
from manager.board import Board, listing
from manager.cancel import CancelToken
from manager.errors import Cancelled
from manager.lease import Lease, LeaseRequest, WaitStatus
from manager.loader import Loader
from manager.registry import ModelSpec, Registry, WeightsKey, parse_spec
from manager.scheduler import Scheduler
from manager.session import Session
from manager.status import LoadProgress, Snapshot, Subscription
from manager.tables import Limits
from manager.view import StatusView

logger = logging.getLogger(__name__)


class LLMManager(Session):
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
    ) -> None:
        super().__init__(self, None)
        configured = model_configs if isinstance(model_configs, Registry) else Registry.from_configs(model_configs)
        for spec in configured:
            check_type(spec)
        self._registry = Registry()
        self._cache_dir = Path(cache_dir) if cache_dir else Path(tempfile.gettempdir()) / "parley-cache"
        self._clock = clock
        limits = Limits(max_loaded_models, budgets or {}, max_queue, max_wait, parking, max_loaded_on or {})
        self._scheduler = Scheduler(limits)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count(1)
        self._requests: dict[int, LeaseRequest] = {}
        self._leases: dict[int, Lease] = {}
        self._specs: dict[WeightsKey, ModelSpec] = {}
        self._view = StatusView(self._scheduler, self._registry, self._requests)
        self._board = Board(self._scheduler, self._registry, self._view)
        self._loader = Loader(self._cache_dir, self._loader_done, self._loader_progressed)
        self._alarm = Alarm(self._changed, clock, self._scheduler.next_tick, lambda: self._tell(h.Tick()))
        for spec in configured:
            self.register(spec)

    @classmethod
    def from_yaml(cls, path: str | Path, max_loaded_models: int = 2, **options: Any) -> LLMManager:
        """A manager of the models in a models.yaml; `options` as for the constructor."""
        return cls(Registry.from_yaml(path), max_loaded_models, **options)

    # -- models ------------------------------------------------------------------------------------------------

    def register_model(self, model_id: str, config: Mapping[str, Any]) -> None:
        """Add a model; raises ConfigError when its settings are wrong or its id is taken by other settings."""
        self.register(parse_spec(model_id, config))

    def register(self, spec: ModelSpec) -> None:
        """Add a model whose entry was read already."""
        check_type(spec)
        with self._lock:
            spec = self._registry.add(self._registry.united(spec, device_of))
            self._register(spec)

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
        """The same methods with an active model of its own; `owner` names it in the queue and the status."""
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
        """
        with self._lock:
            spec = self._registry[model] if isinstance(model, str) else model
            following = self._registry[next_model] if isinstance(next_model, str) else next_model
            for wanted in (spec, following):
                if wanted is not None and wanted.weights not in self._scheduler.weights:
                    self._register(wanted)
            request = LeaseRequest(next(self._numbers), spec, self._cancel)
            self._requests[request.number] = request
            deadline = self._clock() + timeout if timeout is not None else None
            key = following.weights if following else None
            self._tell(h.Request(request.number, spec.weights, owner, key, deadline))
            if request.number in self._requests:
                self._board.publish("waiting", spec.weights, owner=owner)
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
            return self._view.waiting(request.number)

    def forget(self, owner: str) -> None:
        """An owner is done: what it announced as next is no longer wanted."""
        with self._lock:
            self._tell(h.Forget(owner))

    # -- status ------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        with self._lock:
            return self._view.snapshot(self._clock())

    def subscribe(self, capacity: int = 1000) -> Subscription:
        """All events from now on; a subscriber that falls `capacity` behind gets one Resync instead."""
        with self._lock:
            subscription = Subscription(self.snapshot, capacity, self._unsubscribe)
            self._board.add(subscription)
            return subscription

    # -- the end -----------------------------------------------------------------------------------------------

    def cleanup(self) -> None:
        """Refuse new requests, end what is being written, unload everything and stop the threads."""
        with self._lock:
            if self._scheduler.closed:
                return
            self._tell(h.Close())
            for key in list(self._scheduler.weights):
                self._tell(h.Unload(key))
            held = list(self._leases.values())
        for lease in held:
            lease.release()
        with self._changed:
            self._changed.wait_for(lambda: self._scheduler.job is None and not self._leases)
        self._loader.close()
        self._alarm.close()
        self._board.close()

    def __enter__(self) -> LLMManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    # -- between the scheduler and the threads -----------------------------------------------------------------

    def _tell(self, happening: h.Happening) -> None:
        """Tell the scheduler what happened and carry out its answer. Called with the lock held."""
        for effect in self._scheduler.handle(happening, self._clock()):
            match effect:
                case h.Grant(ticket=number, weights=key):
                    self._grant(number, key)
                case h.Refuse(ticket=number, failure=failure):
                    request = self._requests.pop(number)
                    self._board.publish("refused", request.spec.weights, failure.message)
                    request.refuse(failure)
                case h.Prepare(weights=key):
                    self._loader.prepare(key, self._specs[key])
                case h.Abort(weights=key):
                    self._loader.abort(key)
                case h.Changed(weights=key, state=state, reason=reason):
                    logger.info("%s: %s (%s)", key, state, reason)
                    self._board.publish("state", key, reason, state=state)
                case job:
                    self._loader.start(job)
        if self._scheduler.has_timers:
            self._alarm.look()

    def _register(self, spec: ModelSpec) -> None:
        """Tell the scheduler how the weights of `spec` are to be treated, all their aliases considered."""
        aliases = [other for other in self._registry if other.weights == spec.weights] or [spec]
        idle = [other.idle_seconds for other in aliases]
        self._tell(
            h.Register(
                spec.weights,
                pinned=any(other.pinned for other in aliases),
                idle_seconds=None if None in idle else max(seconds for seconds in idle if seconds is not None),
                concurrency=min((other.concurrency for other in aliases if other.concurrency), default=None),
            )
        )
        self._specs.setdefault(spec.weights, spec)

    def _grant(self, number: int, key: WeightsKey) -> None:
        request = self._requests.pop(number)
        lease = Lease(request.spec, self._loader.model(key), partial(self._release, number))
        self._leases[number] = lease
        self._board.publish("granted", key)
        request.grant(lease)

    def _release(self, number: int) -> None:
        with self._lock:
            lease = self._leases.pop(number)
            self._tell(h.Release(number))
            self._board.publish("released", lease.spec.weights)
            if self._scheduler.closed:
                self._changed.notify_all()

    def _cancel(self, number: int) -> None:
        with self._lock:
            if number in self._requests:
                self._tell(h.Cancel(number))

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._board.remove(subscription)

    # -- called from other threads -----------------------------------------------------------------------------

    def _loader_done(self, happening: h.LoaderAnswer) -> None:
        with self._changed:
            self._board.ended(happening.weights)
            self._tell(happening)
            if isinstance(happening, h.Recovered):
                self._board.publish(
                    "recovered", happening.weights, f"{happening.amount / 1e6:.0f} MB that leaked came back"
                )
            self._changed.notify_all()

    def _loader_progressed(self, key: WeightsKey, progress: LoadProgress) -> None:
        with self._lock:
            self._board.progressed(key, progress)
