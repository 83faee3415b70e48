"""Why requests are refused instead of left to wait. Pure functions over the tables."""

from __future__ import annotations

import math

from manager.errors import (
    Cancelled,
    CannotFit,
    CoolingDown,
    Failure,
    ManagerClosed,
    NestedLease,
    QueueFull,
    WaitTimeout,
)
from manager.scheduling.planner import grantable
from manager.scheduling.tables import LeaseTicket, Tables, Weights
from manager.state import State

CANCELLED = Failure(Cancelled, "cancelled while waiting")
CLOSED = Failure(ManagerClosed, "the model manager was closed")


def objection(tables: Tables, ticket: LeaseTicket) -> Failure | None:
    """Return why a new request may not wait, if so; checked before anything is evicted for it."""
    row, limits = tables.weights[ticket.weights], tables.limits
    if tables.closed:
        return CLOSED
    if row.state is State.FAILED and tables.now < row.retry_at:
        wait = math.ceil(row.retry_at - tables.now)
        return Failure(CoolingDown, f"{row.reason} (try again in {wait} s)")
    nested = ticket.owner is not None and any(lease.owner == ticket.owner for lease in tables.leases.values())
    full = len(tables.waiting) > limits.max_queue
    if not (nested or full) or ticket in grantable(tables):
        return None
    if nested:
        text = f"session '{ticket.owner}' holds a lease and cannot wait for another one; release it first"
        return Failure(NestedLease, text)
    return Failure(QueueFull, f"the queue is full ({limits.max_queue} requests are waiting); try again later")


def cannot_fit(tables: Tables, row: Weights) -> Failure | None:
    """Return why no eviction could ever make room for `row`, if so."""
    pinned = [other for other in tables.on_device(row.device) if other.pinned]
    if not row.cold or tables.room(row.device, pinned).fits(row.need or 0):
        return None
    budget = tables.ledger.budget(row.device)
    limit = f"{tables.limits.slots(row.device)} models" + (f" and {budget / 1e9:.2f} GB" if budget < math.inf else "")
    held = f", part of which {len(pinned)} pinned models take" if pinned else ""
    leaked = tables.ledger.leaked.get(row.device, 0)
    lost = f" ({leaked / 1e9:.2f} GB leaked)" if leaked else ""
    needed = f"{row.key} needs {(row.need or 0) / 1e9:.2f} GB"
    return Failure(CannotFit, f"{needed}, but device '{row.device}' has room for {limit}{held}{lost}")


def timed_out(tables: Tables, ticket: LeaseTicket) -> Failure:
    """Return the failure of a request that waited too long."""
    seconds = tables.now - ticket.since
    text = f"waited {seconds:.0f} s for {ticket.weights} without getting it; try again later"
    return Failure(WaitTimeout, text)
