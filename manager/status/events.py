"""The notice board: numbers what happens, and tells subscribers, none of whom can delay anybody.

Used under the manager's lock. What is shown is read by `view.py`.
"""

from __future__ import annotations

import time
import weakref

from manager.config.registry import Registry, WeightsKey
from manager.scheduling.tables import Tables
from manager.state import LoadProgress, State
from manager.status.reader import StatusView
from manager.status.snapshot import Heartbeat, Snapshot, StatusEvent, Subscription


class Board:
    """The events of one manager."""

    def __init__(self, tables: Tables, registry: Registry, view: StatusView) -> None:
        self._tables = tables
        self._registry = registry
        self._view = view
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
        """Tell everybody, and the timeline, that something happened to weights."""
        self._view.version += 1
        if not self._subscribers and not self._view.timeline.wants(kind, ticket):
            return
        row = self._tables.weights.get(key)
        event = StatusEvent(
            number=self._view.version,
            at=time.time(),
            kind=kind,
            weights=row.name if row else str(key),
            model_ids=self._registry.aliases(key),
            state=state or (row.state if row else State.COLD),
            reason=reason,
            owner=owner,
            bytes=row.used if row and row.on_device else 0,
            progress=self._view.progress.get(key),
            ticket=ticket,
        )
        self._view.timeline.note(event)
        for subscription in list(self._subscribers):
            subscription.offer(event)

    def beat(self) -> None:
        """Tell everybody that the manager lives."""
        beat = Heartbeat(self._view.version, time.time())
        for subscription in list(self._subscribers):
            subscription.beat(beat)

    def progressed(self, key: WeightsKey, progress: LoadProgress) -> None:
        """Work on weights went on; what was given up meanwhile is not told."""
        row = self._tables.weights.get(key)
        if row is not None and row.working:
            self._view.progress[key] = progress
            self.publish("progress", key)

    def ended(self, key: WeightsKey) -> None:
        """Work on weights ended."""
        self._view.progress.pop(key, None)

    def given_up(self, key: WeightsKey) -> None:
        """Work on weights is no longer wanted."""
        if self._view.progress.pop(key, None) is not None:
            self.publish("progress", key)

    def add(self, subscription: Subscription) -> None:
        """Tell this one, too, from now on."""
        self._subscribers.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Tell this one no more."""
        self._subscribers.discard(subscription)

    def close(self) -> None:
        """End all subscriptions. Called without the lock."""
        for subscription in list(self._subscribers):
            subscription.close()


def listing(snapshot: Snapshot, registry: Registry) -> dict[str, dict[str, object]]:
    """What `list_models` answers: {model id: what is known of it}."""
    listed: dict[str, dict[str, object]] = {}
    for spec in list(registry):
        row = snapshot.of(spec.model_id)
        listed[spec.model_id] = {
            "model_name": spec.model_name,
            "type": spec.type,
            "is_loaded": row is not None and row.state in (State.RESIDENT, State.DRAINING),
            "state": str(row.state if row else State.COLD),
            "device": row.device if row else spec.device,
            "leases": row.leases if row else 0,
            "bytes": row.bytes if row else 0,
            "label": spec.label,
            "license": spec.license,
            "size": spec.size,
            "pinned": registry.pinned(spec.model_id),
        }
    return listed
