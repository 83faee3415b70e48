"""Snapshots of the scheduler's tables, and why a request waits. Reads only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from manager.config.model_spec import ModelSpec, WeightsKey
from manager.config.registry import Registry
from manager.scheduling.tables import Tables, Weights
from manager.state import LoadProgress, State, WaitStatus
from manager.status.forecast import expected_waits
from manager.status.snapshot import DeviceStatus, QueueStatus, Snapshot, WeightsStatus
from manager.status.timeline import Timeline


class Requested(Protocol):
    """The part of a lease request that the status shows."""

    @property
    def spec(self) -> ModelSpec:
        """The requested model."""


class StatusReader:
    """Reads the tables under the manager's lock. `EventBoard` updates `progress`, `version` and the timeline."""

    def __init__(self, tables: Tables, registry: Registry, requests: Mapping[int, Requested]) -> None:
        self._tables = tables
        self._registry = registry
        self._requests = requests
        self.timeline = Timeline()
        self.progress: dict[WeightsKey, LoadProgress] = {}
        self.version = 0

    def snapshot(self, now: float) -> Snapshot:
        """Return the state of everything at `now`, in seconds of the scheduler's clock."""
        tables = self._tables
        waiting = Counter(ticket.weights for ticket in tables.waiting.values())
        rows = tuple([self._weights(row, waiting[row.key] if waiting else 0, now) for row in tables.weights.values()])
        expected = expected_waits(tables, now, self.progress) if tables.waiting else {}
        queue = tuple(
            QueueStatus(self._requests[number].spec.model_id, ticket.owner, place, now - ticket.since, expected[number])
            for place, (number, ticket) in enumerate(tables.waiting.items(), 1)
        )
        devices = sorted({row.device for row in tables.weights.values() if row.device and not row.remote})
        return Snapshot(
            version=self.version,
            at=time.time(),
            weights=rows,
            devices=tuple(self._device(name) for name in devices),
            queue=queue,
            parked=tables.ledger.parked(),
            parking=tables.ledger.parking,
            timeline=self.timeline.entries,
        )

    def waiting(self, number: int, now: float) -> WaitStatus | None:
        """Return why a ticket waits at `now`, or None if it does not."""
        tables = self._tables
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
            remote=row.remote,
            progress=self.progress.get(key) if self.progress else None,
            retry_in=max(0.0, row.retry_at - now) if row.state is State.FAILED else None,
            load_seconds=row.load_seconds,
            cache=account.cache,
            host=account.host + account.lost,
            answered=None if row.answered is None else max(0.0, now - row.answered),
        )

    def _device(self, device: str) -> DeviceStatus:
        ledger = self._tables.ledger
        return DeviceStatus(
            device=device,
            loaded=len(self._tables.on_device(device)),
            max_loaded=self._tables.limits.slots(device),
            bytes=ledger.used(device),
            budget=ledger.budgets.get(device),
            leaked=ledger.leaked.get(device, 0),
        )


def describe(snapshot: Snapshot, registry: Registry) -> dict[str, dict[str, object]]:
    """Return the descriptions of all registered models by id, for `list_models`."""
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
