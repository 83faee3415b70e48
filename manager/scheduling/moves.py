"""The moves by which the scheduler's tables change, each telling what it did: a state, a grant, a refusal, a job.

Knows how a row or ticket changes, not when: that is decided in `scheduler.py` and `outcomes.py`.
"""

from __future__ import annotations

from manager.config.registry import WeightsKey
from manager.errors import Failure
from manager.scheduling import messages as h
from manager.scheduling import policy
from manager.scheduling.tables import ON_DEVICE, Limits, Tables, Ticket, Weights
from manager.state import State

COOL_DOWN_SECONDS = (5.0, 300.0)
"""First and longest wait after failed loads; it doubles with each failure in a row."""


class Moves(Tables):
    """Tables that can change, and the effects of what changed."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.closed = False
        self._restore: list[WeightsKey] = []
        self._effects: list[h.Effect] = []

    # -- tickets -----------------------------------------------------------------------------------------------

    def _grant(self, ticket: Ticket) -> None:
        row = self.weights[ticket.weights]
        if not ticket.admitted:
            self._count_bypass(ticket)
        del self.waiting[ticket.number]
        row.holders.add(ticket.number)
        row.last_used = ticket.granted = self.now
        self.leases[ticket.number] = ticket
        if ticket.owner is not None and ticket.next_weights is not None:
            self.announced[ticket.owner] = ({row.key, ticket.next_weights}, float("inf"))
        self._effects.append(h.Grant(ticket.number, row.key))

    def _refuse(self, ticket: Ticket, failure: Failure) -> None:
        del self.waiting[ticket.number]
        self._effects.append(h.Refuse(ticket.number, failure))
        row = self.weights[ticket.weights]
        if not row.working or row.restoring or row.aborting or self.waiters(row.key):
            return
        row.aborting = not row.preparing
        row.preparing = False
        self._effects.append(h.Abort(row.key))

    def _count_bypass(self, ticket: Ticket) -> None:
        """Older tickets that wait for room on the same device are bypassed by this one."""
        row = self.weights[ticket.weights]
        for older in self.waiting.values():
            if older.number >= ticket.number:
                break
            if self._could_be_delayed(older, row):
                older.bypassed += 1

    def _could_be_delayed(self, ticket: Ticket, row: Weights) -> bool:
        return self.weights[ticket.weights].device == row.device and self.waits_for_room(ticket) and not row.elsewhere

    # -- weights -----------------------------------------------------------------------------------------------

    def _set(self, row: Weights, state: State, reason: str) -> None:
        row.state, row.reason = state, reason
        if state in ON_DEVICE:
            self.present[row.key] = row
        else:
            self.present.pop(row.key, None)
        self._effects.append(h.Changed(row.key, state, reason))

    def _prepare(self, row: Weights) -> None:
        row.preparing, row.started = True, self.now
        self._effects.append(h.Prepare(row.key))

    def _begin(self, job: h.Job) -> None:
        """Hand the loader its next job, with its bytes reserved."""
        self.task = job
        self._effects.append(job)
        row = self.weights[job.weights]
        if isinstance(job, h.StartLoad | h.StartWake):
            self.ledger.reserve(row.key, row.need or 0, job.cache)
            self._begin_load(row, State.WAKING if isinstance(job, h.StartWake) else State.LOADING)
        elif isinstance(job, h.StartPark):
            row.account.host = row.account.host or row.account.fixed
        elif isinstance(job, h.StartTrim):
            row.account.cache = max(row.account.cache, job.to_bytes)

    def _begin_load(self, row: Weights, state: State) -> None:
        row.started, row.evicted_for = self.now, None
        waiters = self.waiters(row.key)
        row.restoring = not waiters
        others = [t.bypassed for t in self.waiting.values() if self._could_be_delayed(t, row)]
        allowed = policy.BYPASS_BOUND - max(others, default=0)
        for ticket in waiters[: max(allowed, 1)]:
            ticket.admitted = True
            self._count_bypass(ticket)
        self._set(row, state, "coming back" if row.restoring else "asked for")

    def _work_ended(self, row: Weights) -> None:
        """The time that work on their weights took does not count for those who waited for it."""
        for ticket in self.waiters(row.key):
            ticket.patience_until += self.now - max(row.started, ticket.since)

    def _drain(self, row: Weights, why: str, reason: str) -> None:
        row.drain = why
        if row.state is State.RESIDENT:
            self._set(row, State.DRAINING, reason)

    def _call_back(self, row: Weights) -> None:
        """Let draining weights stay unless the loader is removing them already."""
        removing = isinstance(self.task, h.StartUnload | h.StartPark) and row.key == self.job
        if row.state is State.DRAINING and not removing:
            self._stay(row)

    def _stay(self, row: Weights) -> None:
        row.drain, row.evicted_for = "", None
        self._set(row, State.RESIDENT, "may stay after all")

    def _fail(self, row: Weights, failure: Failure) -> None:
        """End everybody who waits for `row`, let it cool down, and bring back those who left for it."""
        first, longest = COOL_DOWN_SECONDS
        row.failures += 1
        row.retry_at = self.now + min(first * 2 ** (row.failures - 1), longest)
        row.need, row.greedy = None, False
        self._set(row, State.FAILED, failure.message)
        for ticket in self.waiters(row.key):
            self._refuse(ticket, failure)
        if not self.closed:
            self._restore += [other.key for other in self.weights.values() if other.evicted_for == row.key]
        self._forgive(row)

    def _forgive(self, row: Weights) -> None:
        """Those who left for `row` are no longer owed anything."""
        for other in self.weights.values():
            if other.evicted_for == row.key:
                other.evicted_for = None
