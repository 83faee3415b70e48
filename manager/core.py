"""The lock, and what lies between the scheduler and the threads: whatever happens is told through one door, `_tell`.

It tells the scheduler what happens and carries out what it answers. Nothing slow is done under the lock: weights
come and go in `loader.py`, text is written in `generation/`. The public methods are in `manager.py`.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

from manager.alarm import Alarm
from manager.config.registry import ModelSpec, Registry, WeightsKey
from manager.lease import Lease, LeaseRequest, LostLeases
from manager.loading.loader import Counts, Loader
from manager.scheduling import messages as h
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import Limits
from manager.state import LoadProgress
from manager.status.events import Board
from manager.status.reader import StatusView
from manager.status.snapshot import Subscription

logger = logging.getLogger(__name__)

REST_SECONDS = 10.0
"""How long the end waits for a piece of work on weights, or for a text to stop, that may hang."""


class Core:
    """The scheduler with its lock, its loader and its clock. Only `manager.py` builds on it."""

    def __init__(self, limits: Limits, cache_dir: Path, clock: Callable[[], float], heartbeat_seconds: float) -> None:
        self._clock = clock
        self._registry = Registry()
        self._scheduler = Scheduler(limits)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._requests: dict[int, LeaseRequest] = {}
        self._leases: dict[int, weakref.ref[Lease]] = {}
        self._specs: dict[WeightsKey, ModelSpec] = {}
        self._view = StatusView(self._scheduler, self._registry, self._requests)
        self._board = Board(self._scheduler, self._registry, self._view)
        self._loader = Loader(cache_dir, self._loader_done, self._loader_progressed)
        self._lost = LostLeases(self._take_back)
        tick, beat = (lambda: self._tell(h.Tick())), self._board.beat
        self._alarm = Alarm(self._changed, clock, self._scheduler.next_tick, tick, beat, heartbeat_seconds)

    def _tell(self, happening: h.Happening) -> None:
        """Tell the scheduler what happened and carry out its answer. Called with the lock held."""
        for effect in self._scheduler.handle(happening, self._clock()):
            match effect:
                case h.Grant(ticket=number, weights=key):
                    self._grant(number, key)
                case h.Refuse(ticket=number, failure=failure):
                    request = self._requests.pop(number)
                    about = request.spec.weights, failure.message
                    self._board.publish("refused", *about, owner=request.owner, ticket=number)
                    request.refuse(failure)
                case h.Prepare(weights=key):
                    self._loader.prepare(key, self._specs[key])
                case h.Abort(weights=key):
                    self._loader.abort(key)
                    self._board.given_up(key)
                case h.Retired(weights=key):
                    self._loader.forget(key)
                    self._specs.pop(key, None)
                    self._board.publish("removed", key)
                case h.Changed(weights=key, state=state, reason=reason):
                    row = self._scheduler.weights.get(key)
                    elsewhere = row is not None and row.elsewhere  # a server's words may quote what it was sent
                    logger.info("%s: %s%s", key, state, "" if elsewhere else f" ({reason})")
                    self._board.publish("state", key, reason, state=state)
                case job:
                    self._loader.start(job)
        if self._scheduler.has_timers:
            self._alarm.look()

    def _treat(self, key: WeightsKey, spec: ModelSpec | None = None) -> None:
        """Tell the scheduler how weights are to be treated; `spec` is theirs if no model is registered for them."""
        self._tell(h.Register(key, *self._registry.treatment(key)))
        ids = self._registry.aliases(key)
        if found := self._registry[ids[0]] if ids else spec:
            self._specs[key] = found
            if self._scheduler.weights[key].elsewhere:  # nothing is loaded: its settings may change at once
                self._loader.model(key).spec = found

    def _retire(self, key: WeightsKey) -> None:
        self._tell(h.Retire(key))
        if key in self._scheduler.weights:
            self._board.publish("removed", key, "no longer registered")

    def _grant(self, number: int, key: WeightsKey) -> None:
        request = self._requests.pop(number)
        lease = Lease(request.spec, self._loader.model(key), partial(self._release, number))
        self._leases[number] = weakref.ref(lease, lambda _: self._lost.note(number))
        self._board.publish("granted", key, owner=request.owner, ticket=number)
        request.grant(lease)

    def _release(self, number: int) -> None:
        with self._lock:
            del self._leases[number]
            ticket = self._scheduler.leases[number]
            row = self._scheduler.weights[ticket.weights]
            if row.elsewhere and (health := self._loader.model(row.key).health) is not None:
                self._tell(h.Felt(row.key, health.failure, health.cool))
            self._tell(h.Release(number))
            self._board.publish("released", ticket.weights, owner=ticket.owner, ticket=number)
            if self._scheduler.closed:
                self._changed.notify_all()

    def _take_back(self, number: int) -> None:
        with self._lock:
            ticket = self._scheduler.leases[number]
        lost = "a lease of %s (owner: %s) was dropped without release, and is taken back"
        logger.warning(lost, ticket.weights, ticket.owner or "nobody")
        self._release(number)

    def _came_to_rest(self) -> bool:
        """Wait until nothing is leased, loaded or unloaded any more; False once nothing changed for REST_SECONDS."""

        def going_on() -> tuple[h.Job | None, int]:
            return self._scheduler.task, len(self._leases)

        with self._changed:
            while (before := going_on()) != (None, 0):
                if not self._changed.wait_for(lambda: going_on() != before, REST_SECONDS):
                    logger.warning("closed while this goes on: %s; %d leases", *before)
                    return False
        return True

    def _cancel(self, number: int) -> None:
        with self._lock:
            if number in self._requests:
                self._tell(h.Cancel(number))

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._board.remove(subscription)

    # -- called from other threads -----------------------------------------------------------------------------

    def _loader_done(self, happening: h.LoaderAnswer, counts: Counts) -> None:
        with self._changed:
            if not counts():
                return
            self._board.ended(happening.weights)
            before = self._view.version
            self._tell(happening)
            if isinstance(happening, h.Recovered):
                reason = f"{happening.amount / 1e6:.0f} MB that leaked came back"
                self._board.publish("recovered", happening.weights, reason)
            elif self._view.version == before:  # sizes, bytes or progress changed, but no state
                self._board.publish("measured", happening.weights)
            self._changed.notify_all()

    def _loader_progressed(self, key: WeightsKey, progress: LoadProgress) -> None:
        with self._lock:
            self._board.progressed(key, progress)
