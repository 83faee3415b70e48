"""The event board: numbers events and passes them to subscribers, none of which can delay the manager.

Used under the manager's lock. `reader.py` makes snapshots.
"""

from __future__ import annotations

import time
import weakref

from manager.config.model_spec import WeightsKey
from manager.config.registry import Registry
from manager.scheduling.tables import Tables
from manager.state import LoadProgress, State
from manager.status.reader import StatusReader
from manager.status.snapshot import Heartbeat, StatusEvent, Subscription


class EventBoard:
    """The events of one manager."""

    def __init__(self, tables: Tables, registry: Registry, status: StatusReader) -> None:
        self._tables = tables
        self._registry = registry
        self._status = status
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
        """Send an event about weights to all subscribers and to the timeline."""
        self._status.version += 1
        if not self._subscribers and not self._status.timeline.wants(kind, ticket):
            return
        row = self._tables.weights.get(key)
        event = StatusEvent(
            number=self._status.version,
            at=time.time(),
            kind=kind,
            weights=row.name if row else str(key),
            model_ids=self._registry.aliases(key),
            state=state or (row.state if row else State.COLD),
            reason=reason,
            owner=owner,
            bytes=row.used if row and row.on_device else 0,
            progress=self._status.progress.get(key),
            ticket=ticket,
        )
        self._status.timeline.record(event)
        for subscription in list(self._subscribers):
            subscription.offer(event)

    def beat(self) -> None:
        """Send a heartbeat to all subscribers."""
        beat = Heartbeat(self._status.version, time.time())
        for subscription in list(self._subscribers):
            subscription.beat(beat)

    def progressed(self, key: WeightsKey, progress: LoadProgress) -> None:
        """Publish progress of work on weights, unless it has been aborted."""
        row = self._tables.weights.get(key)
        if row is not None and row.working:
            self._status.progress[key] = progress
            self.publish("progress", key)

    def work_ended(self, key: WeightsKey) -> None:
        """Forget the progress of work that ended."""
        self._status.progress.pop(key, None)

    def work_aborted(self, key: WeightsKey) -> None:
        """Forget the progress of work that was aborted, and publish that it is gone."""
        if self._status.progress.pop(key, None) is not None:
            self.publish("progress", key)

    def add(self, subscription: Subscription) -> None:
        """Send events to this subscriber from now on."""
        self._subscribers.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Send no more events to this subscriber."""
        self._subscribers.discard(subscription)

    def close(self) -> None:
        """End all subscriptions. Called without the lock."""
        for subscription in list(self._subscribers):
            subscription.close()
