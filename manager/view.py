"""From the scheduler's tables to what people see: snapshots, and why a request waits. Reads only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from manager.happenings import State
from manager.lease import LeaseRequest, WaitStatus
from manager.registry import Registry, WeightsKey
from manager.scheduler import Scheduler
from manager.status import DeviceStatus, LoadProgress, QueueStatus, Snapshot, WeightsStatus
from manager.tables import Ticket


class StatusView:
    """Reads the tables under the manager's lock; `progress` and `version` are kept up to date by the manager."""

    def __init__(self, scheduler: Scheduler, registry: Registry, requests: Mapping[int, LeaseRequest]) -> None:
        self._scheduler = scheduler
        self._registry = registry
        self._requests = requests
        self.progress: dict[WeightsKey, LoadProgress] = {}
        self.version = 0

    def snapshot(self, now: float) -> Snapshot:
        """Everything as it is at `now`, by the scheduler's clock."""
        tables = self._scheduler
        waiting = Counter(ticket.weights for ticket in tables.waiting.values())
        rows = tuple(self._weights(key, waiting[key], now) for key in tables.weights)
        queue = tuple(
            QueueStatus(self._requests[number].spec.model_id, ticket.owner, place, now - ticket.since)
            for place, (number, ticket) in enumerate(tables.waiting.items(), 1)
        )
        devices = sorted({row.device for row in tables.weights.values() if row.device and not row.elsewhere})
        return Snapshot(
            self.version,
            time.time(),
            rows,
            tuple(self._device(name) for name in devices),
            queue,
            tables.ledger.parked(),
            tables.ledger.parking,
        )

    def waiting(self, number: int) -> WaitStatus | None:
        """Why a ticket waits; None when it does not."""
        tables = self._scheduler
        ticket = tables.waiting.get(number)
        if ticket is None:
            return None
        row = tables.weights[ticket.weights]
        progress = self.progress.get(row.key)
        return WaitStatus(row.state, tables.position(number), len(row.holders), progress, self._expected(ticket))

    def _expected(self, ticket: Ticket) -> float | None:
        """A guess, in seconds: the loads that come first, and a turn where somebody has to finish one."""
        tables = self._scheduler
        row = tables.weights[ticket.weights]
        if row.need is None:
            return None
        progress = self.progress.get(row.key)
        if row.state in (State.LOADING, State.WAKING):
            return row.load_seconds * (1 - (progress.fraction if progress else 0.0))
        if row.state in (State.RESIDENT, State.DRAINING):
            return row.turn_seconds
        ahead = {t.weights for t in tables.waiting.values() if t.number < ticket.number} - {row.key}
        loads = sum(tables.weights[key].load_seconds for key in ahead if tables.weights[key].cold)
        busy = [other.turn_seconds for other in tables.on_device(row.device) if other.holders]
        full = not tables.room(row.device).fits(row.need)
        return loads + row.load_seconds + (min(busy, default=0.0) if full else 0.0)

    def _weights(self, key: WeightsKey, waiting: int, now: float) -> WeightsStatus:
        row = self._scheduler.weights[key]
        return WeightsStatus(
            weights=str(key),
            model_ids=self._registry.aliases(key),
            state=row.state,
            reason=row.reason,
            device=row.device or key.device,
            bytes=row.used if row.on_device else 0,
            need=row.need,
            leases=len(row.holders),
            waiting=waiting,
            pinned=row.pinned,
            elsewhere=row.elsewhere,
            progress=self.progress.get(key),
            retry_in=max(0.0, row.retry_at - now) if row.state is State.FAILED else None,
            load_seconds=row.load_seconds,
            cache=row.account.cache,
            host=row.account.host,
        )

    def _device(self, device: str) -> DeviceStatus:
        tables = self._scheduler
        ledger = tables.ledger
        return DeviceStatus(
            device,
            len(tables.on_device(device)),
            tables.limits.slots(device),
            ledger.used(device),
            ledger.budgets.get(device),
            ledger.leaked.get(device, 0),
        )
