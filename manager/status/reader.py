"""From the scheduler's tables to what people see: snapshots, and why a request waits. Reads only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from manager.config.registry import ModelSpec, Registry, WeightsKey
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import Weights
from manager.state import LoadProgress, State, WaitStatus
from manager.status.forecast import expected_waits
from manager.status.snapshot import DeviceStatus, QueueStatus, Snapshot, WeightsStatus
from manager.status.timeline import Timeline


class Asked(Protocol):
    """A request for a lease, as far as the status shows it."""

    @property
    def spec(self) -> ModelSpec:
        """The model that is asked for."""


class StatusView:
    """Reads the tables under the manager's lock; `progress`, `version` and the timeline are kept up to date by it."""

    def __init__(self, scheduler: Scheduler, registry: Registry, requests: Mapping[int, Asked]) -> None:
        self._scheduler = scheduler
        self._registry = registry
        self._requests = requests
        self.timeline = Timeline()
        self.progress: dict[WeightsKey, LoadProgress] = {}
        self.version = 0

    def snapshot(self, now: float) -> Snapshot:
        """Everything as it is at `now`, by the scheduler's clock."""
        tables = self._scheduler
        waiting = Counter(ticket.weights for ticket in tables.waiting.values())
        rows = tuple([self._weights(row, waiting[row.key] if waiting else 0, now) for row in tables.weights.values()])
        expected = expected_waits(tables, now, self.progress) if tables.waiting else {}
        queue = tuple(
            QueueStatus(self._requests[number].spec.model_id, ticket.owner, place, now - ticket.since, expected[number])
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
            self.timeline.entries,
        )

    def waiting(self, number: int, now: float) -> WaitStatus | None:
        """Why a ticket waits, at `now`; None when it does not."""
        tables = self._scheduler
        ticket = tables.waiting.get(number)
        if ticket is None:
            return None
        row = tables.weights[ticket.weights]
        expected = expected_waits(tables, now, self.progress)[number]
        return WaitStatus(row.state, tables.position(number), len(row.holders), self.progress.get(row.key), expected)

    def _weights(self, row: Weights, waiting: int, now: float) -> WeightsStatus:
        key, account = row.key, row.account
        return WeightsStatus(
            weights=row.name,
            model_ids=self._registry.aliases(key),
            state=row.state,
            reason=row.reason,
            device=account.device or key.device,
            bytes=account.hard if row.on_device else 0,
            need=row.need,
            leases=len(row.holders),
            waiting=waiting,
            pinned=row.pinned,
            elsewhere=row.elsewhere,
            progress=self.progress.get(key) if self.progress else None,
            retry_in=max(0.0, row.retry_at - now) if row.state is State.FAILED else None,
            load_seconds=row.load_seconds,
            cache=account.cache,
            host=account.host + account.lost,
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
