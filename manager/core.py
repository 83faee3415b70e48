"""The manager's core: one lock around the scheduler, and the threads that carry out its decisions.

Everything that happens reaches the scheduler through `Core.send`, which also carries out the effects. Nothing slow runs
under the lock: `loading/` moves weights, and `generation/` writes text. The public methods are in `manager.py`.
"""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

from manager.alarm import Alarm
from manager.config.model_spec import ModelSpec, WeightsKey
from manager.config.registry import Changes, Registry
from manager.credentials import Bearer
from manager.lease import Lease, LeaseRequest, LostLeases
from manager.loading.loader import Counts, Loader
from manager.scheduling import messages as msg
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import SchedulerLimits
from manager.state import LoadProgress
from manager.status.events import EventBoard
from manager.status.reader import StatusReader
from manager.status.snapshot import Subscription

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0
"""How long closing waits without any progress for jobs and text that may hang."""


class Core:
    """A scheduler with its lock, its loader and its clock.

    `lock` guards `registry`, `scheduler`, `board` and `status`. It is re-entrant.
    """

    def __init__(
        self, limits: SchedulerLimits, cache_dir: Path, clock: Callable[[], float], heartbeat_seconds: float
    ) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.registry = Registry()
        self.scheduler = Scheduler(limits)
        self._changed = threading.Condition(self.lock)
        self._numbers = itertools.count(1)
        self._requests: dict[int, LeaseRequest] = {}
        self._leases: dict[int, weakref.ref[Lease]] = {}
        self._specs: dict[WeightsKey, ModelSpec] = {}
        self.status = StatusReader(self.scheduler.tables, self.registry, self._requests)
        self.board = EventBoard(self.scheduler.tables, self.registry, self.status)
        self._loader = Loader(cache_dir, self._loader_answered, self._loader_progressed)
        self._lost = LostLeases(self._recover_lease)
        self._alarm = Alarm(
            self._changed,
            clock,
            next_tick=self.scheduler.next_tick,
            tick=lambda: self.send(msg.Tick()),
            beat=self.board.beat,
            beat_seconds=heartbeat_seconds,
        )

    # -- called with the lock held -----------------------------------------------------------------------------

    def send(self, message: msg.Input) -> None:
        """Report to the scheduler what happened, and carry out the effects."""
        for effect in self.scheduler.handle(message, self.clock()):
            match effect:
                case msg.Grant(ticket=number, weights=key):
                    self._grant(number, key)
                case msg.Refuse(ticket=number, failure=failure):
                    request = self._requests.pop(number)
                    about = request.spec.weights, failure.message
                    self.board.publish("refused", *about, owner=request.owner, ticket=number)
                    request.refuse(failure)
                case msg.Prepare(weights=key):
                    self._loader.prepare(key, self._specs[key])
                case msg.Abort(weights=key):
                    self._loader.abort(key)
                    self.board.work_aborted(key)
                case msg.Retired(weights=key):
                    self._loader.forget(key)
                    self._specs.pop(key, None)
                    self.board.publish("removed", key)
                case msg.Changed(weights=key, state=state, reason=reason):
                    row = self.scheduler.weights.get(key)
                    remote = row is not None and row.remote  # a server's error message may quote the prompt
                    logger.info("%s: %s%s", key, state, "" if remote else f" ({reason})")
                    self.board.publish("state", key, reason, state=state)
                case job:
                    self._loader.start(job)
        if self.scheduler.has_timers:
            self._alarm.reschedule()

    def register(self, key: WeightsKey, spec: ModelSpec | None = None) -> None:
        """Pass the settings of weights to the scheduler; `spec` is their entry if no model is registered for them."""
        self.send(msg.Register(key, *self.registry.settings_of(key)))
        ids = self.registry.aliases(key)
        if found := self.registry[ids[0]] if ids else spec:
            self._specs[key] = found
            if self.scheduler.weights[key].remote:  # nothing is loaded, so its settings may change at once
                self._loader.model(key).spec = found

    def replace_models(self, models: Registry) -> Changes:
        """Replace all models, and retire the weights that none uses any longer."""
        before = {spec.weights for spec in self.registry}
        changes = self.registry.replace(models)
        after = {spec.weights: None for spec in self.registry}
        for key in after:
            self.register(key)
            self.board.publish("registered", key)
        for key in before - set(after):
            self.send(msg.Retire(key))
            if key in self.scheduler.weights:
                self.board.publish("removed", key, "no longer registered")
        return changes

    def announce(self, owner: str, spec: ModelSpec) -> None:
        """Report which weights an owner will want."""
        if spec.weights not in self.scheduler.weights:
            self.register(spec.weights, spec)
        self.send(msg.Announce(owner, spec.weights))

    def request(
        self,
        spec: ModelSpec,
        owner: str | None,
        next_spec: ModelSpec | None,
        timeout: float | None,
        bearer: Bearer | None = None,
    ) -> LeaseRequest:
        """Queue a request for the weights of `spec`; for the arguments see `LLMManager.request_lease`."""
        wanted = {spec.weights: spec}
        if next_spec is not None:
            wanted.setdefault(next_spec.weights, next_spec)
        for key, entry in wanted.items():
            if key not in self.scheduler.weights:
                self.register(key, entry)
        request = LeaseRequest(next(self._numbers), spec, owner, self._cancel, bearer)
        self._requests[request.number] = request
        deadline = self.clock() + timeout if timeout is not None else None
        next_key = next_spec.weights if next_spec is not None else None
        payer = bearer.handle if bearer is not None else None
        self.send(msg.Request(request.number, spec.weights, owner, next_key, deadline, payer))
        if request.number in self._requests:
            self.board.publish("waiting", spec.weights, owner=owner, ticket=request.number)
        for key in wanted:
            if not self.registry.aliases(key):  # removed from the registry: it leaves once served
                self.send(msg.Retire(key))
        return request

    def _grant(self, number: int, key: WeightsKey) -> None:
        request = self._requests.pop(number)
        lease = Lease(request.spec, self._loader.model(key), partial(self._release, number), request.bearer)
        self._leases[number] = weakref.ref(lease, lambda _: self._lost.report(number))
        self.board.publish("granted", key, owner=request.owner, ticket=number)
        request.grant(lease)

    # -- called without the lock, from any thread --------------------------------------------------------------

    def unsubscribe(self, subscription: Subscription) -> None:
        """Send no more events to a subscriber."""
        with self.lock:
            self.board.remove(subscription)

    def close(self) -> None:
        """Refuse new requests, stop what is being written, unload everything and end the threads."""
        with self.lock:
            if self.scheduler.closed:
                return
            self.send(msg.Close())
            for key in list(self.scheduler.weights):
                self.send(msg.Unload(key))
            # Weak like the others, but released here and so not to be reported as lost.
            held = [weakref.ref(lease) for known in self._leases.values() if (lease := known()) is not None]
        for end in (Lease.cancel, Lease.release):
            for reference in held:
                if (lease := reference()) is not None:
                    end(lease)
                    del lease  # or it would stay alive while we wait for the others
        hangs = not self._came_to_rest()
        self._loader.close(patience=0.0 if hangs else None)
        self._lost.close()
        self._alarm.close()
        self.board.close()

    def _came_to_rest(self) -> bool:
        """Wait until nothing is leased, loaded or unloaded. Return False after CLOSE_SECONDS without progress."""

        def unfinished() -> tuple[msg.Job | None, int]:
            return self.scheduler.task, len(self._leases)

        with self._changed:
            while (before := unfinished()) != (None, 0):
                if not self._changed.wait_for(lambda: unfinished() != before, CLOSE_SECONDS):
                    logger.warning("closed with unfinished work: job %s, %d leases", *before)
                    return False
        return True

    def _release(self, number: int) -> None:
        with self.lock:
            del self._leases[number]
            ticket = self.scheduler.leases[number]
            row = self.scheduler.weights[ticket.weights]
            if row.remote and (health := self._loader.model(row.key).health) is not None:
                self.send(msg.HealthReported(row.key, health.failure, health.cool))
            self.send(msg.Release(number))
            self.board.publish("released", ticket.weights, owner=ticket.owner, ticket=number)
            if self.scheduler.closed:
                self._changed.notify_all()

    def _recover_lease(self, number: int) -> None:
        with self.lock:
            ticket = self.scheduler.leases[number]
        logger.warning(
            "a lease of %s (owner: %s) was garbage-collected without being released; it has now been released",
            ticket.weights,
            ticket.owner or "none",
        )
        self._release(number)

    def _cancel(self, number: int) -> None:
        with self.lock:
            if number in self._requests:
                self.send(msg.Cancel(number))

    def _loader_answered(self, answer: msg.LoaderAnswer, counts: Counts) -> None:
        with self._changed:
            if not counts():
                return
            self.board.work_ended(answer.weights)
            before = self.status.version
            self.send(answer)
            if isinstance(answer, msg.Recovered):
                reason = f"{answer.amount / 1e6:.0f} MB of leaked memory was freed"
                self.board.publish("recovered", answer.weights, reason)
            elif self.status.version == before:  # sizes, bytes or progress changed, but no state
                self.board.publish("measured", answer.weights)
            self._changed.notify_all()

    def _loader_progressed(self, key: WeightsKey, progress: LoadProgress) -> None:
        with self.lock:
            self.board.progressed(key, progress)
