"""What those who watch are told: numbered events, the timeline, heartbeats; and whom to tell.

Everything here is called with the manager's lock held. Nothing waits for a subscriber.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from manager.happenings import State
from manager.lease import LeaseRequest
from manager.registry import Registry, WeightsKey
from manager.scheduler import Scheduler
from manager.status import Heartbeat, Snapshot, StatusEvent, Subscription
from manager.timeline import Timeline
from manager.view import StatusView


class Board(StatusView):
    """The view that people have, and its changes as events."""

    def __init__(self, scheduler: Scheduler, registry: Registry, requests: Mapping[int, LeaseRequest]) -> None:
        super().__init__(scheduler, registry, requests, Timeline())
        self._subscribers: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def publish(
        self,
        kind: str,
        key: WeightsKey,
        reason: str = "",
        *,
        owner: str | None = None,
        ticket: int | None = None,
        state: State | None = None,
    ) -> None:
        """Number an event, note it in the timeline and hand it to all who subscribed."""
        row = self._scheduler.weights.get(key)
        self.version += 1
        event = StatusEvent(
            number=self.version,
            at=time.time(),
            kind=kind,
            weights=str(key),
            model_ids=self._registry.aliases(key),
            state=state or (row.state if row else State.COLD),
            reason=reason,
            owner=owner,
            bytes=row.used if row and row.on_device else 0,
            progress=self.progress.get(key),
            ticket=ticket,
        )
        self.timeline.note(event)
        for subscription in list(self._subscribers):
            subscription.offer(event)

    def beat(self) -> None:
        """Tell everybody that the manager lives."""
        beat = Heartbeat(self.version, time.time())
        for subscription in list(self._subscribers):
            subscription.beat(beat)

    def subscribe(
        self, snapshot: Callable[[], Snapshot], capacity: int, lock: AbstractContextManager[object]
    ) -> Subscription:
        """A new listener; `snapshot` and `lock` are the manager's, for when it is told anew or leaves."""

        def forget(subscription: Subscription) -> None:
            with lock:
                self._subscribers.discard(subscription)

        subscription = Subscription(snapshot, capacity, forget)
        self._subscribers.add(subscription)
        return subscription

    def subscribers(self) -> list[Subscription]:
        """Who listens now."""
        return list(self._subscribers)
