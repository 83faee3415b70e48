"""Which request gets which weights, and when: every scheduling decision, as a deterministic state machine.

`handle(message, now)` changes the tables and returns effects. The scheduler uses no torch, threads, clock or I/O:
`core.py` reports what happened and carries out the effects; tests and benchmarks drive it by hand.

Waiting requests are tickets. A ticket whose weights are resident is granted at once, even before older tickets that
wait for room; each time, those older tickets count one bypass. Room for a ticket that is *due* (`policy.py`) is claimed
from weights that drain for it. Until it has that claim, no younger ticket is granted on its device.
"""

from __future__ import annotations

import math

from manager.config.model_spec import WeightsKey
from manager.scheduling import messages as msg
from manager.scheduling import policy, refusals
from manager.scheduling.moves import Moves
from manager.scheduling.outcomes import Outcomes
from manager.scheduling.planner import grantable, plan
from manager.scheduling.tables import LeaseTicket, SchedulerLimits, Tables, Weights
from manager.state import MAKING_ROOM, State

ANNOUNCED_SECONDS = 2.0
"""How long after its last lease the weights that an owner used and announced count as wanted."""
RESTORABLE = (State.COLD, State.PARKED)


class Scheduler:
    """The tables, and the one method through which they change: `handle`.

    `tables` holds the state, `Moves` changes it, `Outcomes` applies the loader's answers, and `plan` decides what is
    loaded and evicted next.
    """

    def __init__(self, limits: SchedulerLimits | None = None) -> None:
        self.tables = tables = Tables(limits or SchedulerLimits())
        self._moves = Moves(tables)
        self._outcomes = Outcomes(self._moves)
        self._retiring: set[WeightsKey] = set()
        self._idles_out = False
        # For readers: the tables under the scheduler's own name.
        self.weights, self.waiting, self.leases = tables.weights, tables.waiting, tables.leases
        self.ledger, self.on_device = tables.ledger, tables.on_device
        self.room, self.ends_at = tables.room, tables.ends_at

    def handle(self, message: msg.Input, now: float) -> list[msg.Effect]:
        """Update the tables for what happened, and return what is to be done about it.

        Args:
            message: The message; see `messages.py`.
            now: The time in seconds. Earlier times than before count as the latest one.
        """
        self.tables.now = max(self.tables.now, now)
        self._moves.effects = []
        self._dispatch(message)
        self._retire()
        self._check_fits()
        self._settle()
        while self._check_fits():  # pinned weights that just began to load may block a request for good
            self._settle()
        return self._moves.effects

    @property
    def task(self) -> msg.Job | None:
        """The loader's current job."""
        return self.tables.task

    @property
    def closed(self) -> bool:
        """Whether every request is refused."""
        return self.tables.closed

    @property
    def has_timers(self) -> bool:
        """Whether `next_tick` may return a time."""
        return bool(self.waiting or self._retiring) or self._idles_out

    def next_tick(self) -> float | None:
        """Return when the next Tick is due if nothing else happens first (in the past if it is overdue), or None."""
        wanted = {ticket.weights for ticket in self.waiting.values()}
        times = [self.ends_at(ticket) for ticket in self.waiting.values()]
        times += [row.idle_out_at for row in self.weights.values() if row.key not in wanted]
        times += [row.retry_at for row in self.weights.values() if row.state is State.FAILED]
        if self.waiting or self._retiring:  # once past, these count at any message and need no Tick
            turns = [
                policy.patience_ends(self.tables, t) for t in self.waiting.values() if self.tables.waits_for_room(t)
            ]
            turns += [until for _, until in self.tables.announced.values()]
            times += [time for time in turns if time > self.tables.now]
        return min((time for time in times if time < math.inf), default=None)

    # -- messages ----------------------------------------------------------------------------------------------

    def _dispatch(self, message: msg.Input) -> None:
        match message:
            case msg.Register():
                self._register(message)
            case msg.Request():
                self._request(message)
            case msg.Cancel(ticket=number):
                if number in self.waiting:
                    self._moves.refuse(self.waiting[number], refusals.CANCELLED)
            case msg.Release(ticket=number):
                self._release(number)
            case msg.Announce(owner=owner, weights=key):
                self.tables.announced[owner] = ({key}, math.inf)
            case msg.Forget(owner=owner):
                self.tables.announced.pop(owner, None)
            case msg.Unload(weights=key):
                if key in self.weights:
                    self._unload(self.weights[key], "unload requested")
            case msg.Retire(weights=key):
                if key in self.weights:
                    self._retiring.add(key)
            case msg.HealthReported():
                self._outcomes.report_health(message)
            case msg.Tick():
                self._tick()
            case msg.Close():
                self.tables.closed = True
                self._moves.to_restore.clear()
                for ticket in list(self.waiting.values()):
                    self._moves.refuse(ticket, refusals.CLOSED)
            case _:
                self._outcomes.apply(message)

    def _register(self, settings: msg.Register) -> None:
        row = self.weights.get(settings.weights) or Weights(settings.weights, self.ledger.open(settings.weights))
        self.weights[row.key] = row
        row.pinned, row.idle_seconds, row.concurrency = settings.pinned, settings.idle_seconds, settings.concurrency
        self._retiring.discard(row.key)
        self._idles_out = any(other.idle_seconds is not None for other in self.weights.values())
        if row.pinned and row.drain in ("idle", "room"):
            self._moves.cancel_drain(row)

    def _request(self, request: msg.Request) -> None:
        row = self.weights[request.weights]
        self.tables.announced.pop(request.owner or "", None)
        deadline = math.inf if request.deadline is None else request.deadline
        ticket = LeaseTicket(
            number=request.ticket,
            weights=row.key,
            owner=request.owner,
            next_weights=request.next_weights,
            deadline=deadline,
            since=self.tables.now,
            patience_until=self.tables.now + self.tables.limits.max_wait,
            payer=request.payer,
        )
        self.waiting[ticket.number] = ticket
        if row.drain == "idle":
            self._moves.cancel_drain(row)
        if (objection := refusals.objection(self.tables, ticket)) is not None:
            self._moves.refuse(ticket, objection)
        elif row.need is None and not row.preparing:
            self._moves.prepare(row)

    def _check_fits(self) -> bool:
        """Refuse every request for weights that can never fit. Return whether there was one."""
        waiting = len(self.waiting)
        for key in {ticket.weights: None for ticket in self.waiting.values()}:
            if (failure := refusals.cannot_fit(self.tables, self.weights[key])) is not None:
                for ticket in self.tables.waiters(key):
                    self._moves.refuse(ticket, failure)
        return len(self.waiting) < waiting

    def _release(self, number: int) -> None:
        ticket = self.leases.pop(number, None)
        if ticket is None:
            return
        row = self.weights[ticket.weights]
        row.holders.discard(number)
        row.last_used, row.last_owner = self.tables.now, ticket.owner
        row.turns += 1
        row.turn_seconds += max(0.3, 1 / row.turns) * (self.tables.now - ticket.granted - row.turn_seconds)
        if ticket.owner in self.tables.announced:
            self.tables.announced[ticket.owner] = (
                self.tables.announced[ticket.owner][0],
                self.tables.now + ANNOUNCED_SECONDS,
            )

    def _tick(self) -> None:
        for ticket in [t for t in self.waiting.values() if self.ends_at(t) <= self.tables.now]:
            self._moves.refuse(ticket, refusals.timed_out(self.tables, ticket))
        wanted = {ticket.weights for ticket in self.waiting.values()}
        for row in self.weights.values():
            if row.state is State.FAILED and row.retry_at <= self.tables.now:
                self._moves.set_state(row, row.away, row.reason)
            if self.tables.now >= row.idle_out_at and row.key not in wanted:
                self._moves.drain(row, "idle", f"idle for {row.idle_seconds:g} s")

    def _retire(self) -> None:
        """Unload and forget unused weights once no owner holds them, waits for them or will return to them.

        Their last owner may return as long as it holds or waits for other weights, or has announced what it wants next.
        """
        if not self._retiring:
            return
        returning = {owner: keys for owner, (keys, until) in self.tables.announced.items() if until > self.tables.now}
        active = {ticket.owner for ticket in [*self.waiting.values(), *self.leases.values()] if ticket.owner}
        wanted = {ticket.weights for ticket in self.waiting.values()}.union(*returning.values())
        for row in [self.weights[key] for key in self._retiring]:
            if row.holders or row.preparing or row.key in wanted or row.last_owner in active.union(returning):
                continue
            if row.on_device or row.account.host:
                self._unload(row, "no longer registered")
            else:
                self._retiring.discard(row.key)
                self.ledger.close(row.key)
                del self.weights[row.key]
                self._moves.effects.append(msg.Retired(row.key))

    def _unload(self, row: Weights, reason: str) -> None:
        """Remove `row` from host memory, and from its device when its last lease ends."""
        if row.on_device:
            self._moves.drain(row, "asked", reason)
        elif row.account.host:
            self.tables.discard[row.key] = None

    def _shed(self) -> bool:
        """Drain weights on devices that exceed their budget: idle ones first, then the least recently used.

        Cached conversations count only where they could not be freed, since the planner trims the others by itself.
        Return whether anything began to drain.
        """
        shed = False
        for device in self.ledger.overdrawn():
            rows = self.on_device(device)
            staying = [row for row in rows if row.state is not State.DRAINING]
            over = sum(row.account.stuck for row in staying) - self.room(device, staying).bytes
            able = [row for row in rows if row.state is State.RESIDENT and not row.pinned]
            for row in sorted(able, key=lambda row: (bool(row.holders or self.tables.waiters(row.key)), row.last_used)):
                if over > 0:
                    over -= row.used + row.account.stuck
                    self._moves.drain(row, "over", "memory budget exceeded")
                    shed = True
        return shed

    # -- decisions ---------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Plan and grant until nothing more can be done."""
        while True:
            self._carry_out_plan()
            if self._shed():  # may include weights whose eviction the plan cancelled
                continue
            ticket = next(grantable(self.tables), None)
            if ticket is None:
                return
            self._moves.grant(ticket)

    def _carry_out_plan(self) -> None:
        self._moves.to_restore = [
            k for k in self._moves.to_restore if k in self.weights and self.weights[k].state in RESTORABLE
        ]
        made = plan(self.tables, self._moves.to_restore)
        self.tables.secured = made.secured
        for victim, target in made.leaving.items():
            row = self.weights[victim]
            if not row.drain:
                row.evicted_for = target
                self._moves.drain(row, "room", f"{MAKING_ROOM} {target}")
        for row in made.staying:
            self._moves.stay(row)
        if made.job is not None:
            self._moves.begin(made.job)
