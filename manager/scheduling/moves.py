"""The elementary changes to the scheduler's tables, each of which records its effects.

This module knows how a row or a ticket changes. When it changes is decided in `scheduler.py` and `outcomes.py`.
"""

from __future__ import annotations

from manager.config.model_spec import WeightsKey
from manager.errors import Failure
from manager.scheduling import messages as msg
from manager.scheduling import policy
from manager.scheduling.tables import ON_DEVICE, LeaseTicket, Tables, Weights
from manager.state import State

COOL_DOWN_SECONDS = (5.0, 300.0)
"""First and longest cool-down after a failed load. It doubles with each consecutive failure."""


class Moves:
    """Changes to `tables`. Each appends what it did to `effects`: a state, a grant, a refusal or a loader job."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.effects: list[msg.Effect] = []
        self.to_restore: list[WeightsKey] = []  # evicted for a load that then failed

    # -- tickets -----------------------------------------------------------------------------------------------

    def grant(self, ticket: LeaseTicket) -> None:
        """Turn a waiting ticket into a lease."""
        tables = self.tables
        row = tables.weights[ticket.weights]
        if not ticket.admitted:
            self._count_bypass(ticket)
        del tables.waiting[ticket.number]
        row.holders.add(ticket.number)
        row.last_used = ticket.granted = tables.now
        tables.leases[ticket.number] = ticket
        if ticket.owner is not None and ticket.next_weights is not None:
            tables.announced[ticket.owner] = ({row.key, ticket.next_weights}, float("inf"))
        self.effects.append(msg.Grant(ticket.number, row.key))

    def refuse(self, ticket: LeaseTicket, failure: Failure) -> None:
        """End a waiting ticket, and abort work on its weights if no other ticket needs it."""
        del self.tables.waiting[ticket.number]
        self.effects.append(msg.Refuse(ticket.number, failure))
        row = self.tables.weights[ticket.weights]
        if not row.working or row.restoring or row.aborting or self.tables.waiters(row.key):
            return
        row.aborting = not row.preparing
        row.preparing = False
        self.effects.append(msg.Abort(row.key))

    def _count_bypass(self, ticket: LeaseTicket) -> None:
        """Count a bypass for each older ticket that waits for room on the same device."""
        row = self.tables.weights[ticket.weights]
        for older in self.tables.waiting.values():
            if older.number >= ticket.number:
                break
            if self._could_be_delayed(older, row):
                older.bypassed += 1

    def _could_be_delayed(self, ticket: LeaseTicket, row: Weights) -> bool:
        same_device = self.tables.weights[ticket.weights].device == row.device
        return same_device and self.tables.waits_for_room(ticket) and not row.remote

    # -- weights -----------------------------------------------------------------------------------------------

    def set_state(self, row: Weights, state: State, reason: str) -> None:
        """Change the state of `row`. `reason` is shown on the page."""
        row.state, row.reason = state, reason
        if state in ON_DEVICE:
            self.tables.present[row.key] = row
        else:
            self.tables.present.pop(row.key, None)
        self.effects.append(msg.Changed(row.key, state, reason))

    def prepare(self, row: Weights) -> None:
        """Request that the files of `row` be located, fetched and sized."""
        row.preparing, row.started = True, self.tables.now
        self.effects.append(msg.Prepare(row.key))

    def begin(self, job: msg.Job) -> None:
        """Hand the loader its next job, with the bytes for it reserved."""
        self.tables.task = job
        self.effects.append(job)
        row = self.tables.weights[job.weights]
        if isinstance(job, msg.StartLoad | msg.StartWake):
            self.tables.ledger.reserve(row.key, row.need or 0, job.cache)
            self._begin_load(row, State.WAKING if isinstance(job, msg.StartWake) else State.LOADING)
        elif isinstance(job, msg.StartPark):
            row.account.host = row.account.host or row.account.fixed
        elif isinstance(job, msg.StartTrim):
            row.account.cache = max(row.account.cache, job.to_bytes)

    def _begin_load(self, row: Weights, state: State) -> None:
        row.started, row.evicted_for = self.tables.now, None
        waiters = self.tables.waiters(row.key)
        row.restoring = not waiters
        others = [t.bypassed for t in self.tables.waiting.values() if self._could_be_delayed(t, row)]
        allowed = policy.BYPASS_BOUND - max(others, default=0)
        for ticket in waiters[: max(allowed, 1)]:
            ticket.admitted = True
            self._count_bypass(ticket)
        self.set_state(row, state, "restoring after an eviction" if row.restoring else "requested")

    def work_ended(self, row: Weights) -> None:
        """Extend the patience of those who waited for work on their own weights by the time that it took."""
        for ticket in self.tables.waiters(row.key):
            ticket.patience_until += self.tables.now - max(row.started, ticket.since)

    def drain(self, row: Weights, why: str, reason: str) -> None:
        """Grant no new leases on `row`, so that it leaves when the last one ends."""
        row.drain = why
        if row.state is State.RESIDENT:
            self.set_state(row, State.DRAINING, reason)

    def cancel_drain(self, row: Weights) -> None:
        """Keep draining weights, unless the loader is already removing them."""
        tables = self.tables
        removing = isinstance(tables.task, msg.StartUnload | msg.StartPark) and row.key == tables.job
        if row.state is State.DRAINING and not removing:
            self.stay(row)

    def stay(self, row: Weights) -> None:
        """Make draining weights resident again."""
        row.drain, row.evicted_for = "", None
        self.set_state(row, State.RESIDENT, "eviction cancelled")

    def fail(self, row: Weights, failure: Failure) -> None:
        """Refuse everyone who waits for `row`, start its cool-down, and restore what was evicted for it."""
        first, longest = COOL_DOWN_SECONDS
        row.failures += 1
        row.retry_at = self.tables.now + min(first * 2 ** (row.failures - 1), longest)
        row.need, row.greedy = None, False
        self.set_state(row, State.FAILED, failure.message)
        for ticket in self.tables.waiters(row.key):
            self.refuse(ticket, failure)
        if not self.tables.closed:
            self.to_restore += [other.key for other in self._evicted_for(row)]
        self.settle_debts(row)

    def settle_debts(self, row: Weights) -> None:
        """Forget which weights were evicted for `row`: they will not be restored on its account."""
        for other in self._evicted_for(row):
            other.evicted_for = None

    def _evicted_for(self, row: Weights) -> list[Weights]:
        return [other for other in self.tables.weights.values() if other.evicted_for == row.key]
