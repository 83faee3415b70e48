"""Who may use which weights, and when: every scheduling decision, as a deterministic state machine.

`handle(happening, now)` changes the tables and returns effects. It knows no torch, no threads, no clock and no
I/O: `manager.py` tells it what happened and carries out what it answers; tests and benchmarks drive it by hand.

Waiting requests are tickets. A ticket whose weights are resident is granted at once, even before older tickets
that wait for room; each time, those older tickets count one bypass. A ticket that is *due* (policy.py) gets room
claimed from weights that drain for it; until it has that claim, nothing younger is granted on its device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from manager.config.registry import WeightsKey
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
from manager.scheduling import messages as h
from manager.scheduling import policy
from manager.scheduling.outcomes import Outcomes
from manager.scheduling.planner import plan
from manager.scheduling.tables import Limits, Ticket, Weights
from manager.state import State

ANNOUNCED_SECONDS = 2.0
"""How long, after its last lease ended, what an owner used and announced as next counts as wanted."""
RESTORABLE = (State.COLD, State.PARKED)


class Scheduler(Outcomes):
    """The tables and the one door through which they change, `handle`."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits())
        self._retiring: set[WeightsKey] = set()
        self._idles_out = False

    def handle(self, happening: h.Happening, now: float) -> list[h.Effect]:
        """Take note of `happening` at time `now` (seconds, never decreasing) and answer what is to be done."""
        self.now = max(self.now, now)
        self._effects = []
        self._note(happening)
        self._retire()
        self._check_fits()
        self._settle()
        while self._check_fits():  # pinned weights that only now began to load may be in somebody's way for good
            self._settle()
        return self._effects

    @property
    def has_timers(self) -> bool:
        """Whether `next_tick` may be worth asking."""
        return bool(self.waiting or self._retiring) or self._idles_out

    def next_tick(self) -> float | None:
        """When a Tick is needed next, if nothing else happens before; in the past if one is overdue."""
        wanted = {ticket.weights for ticket in self.waiting.values()}
        times = [self.ends_at(ticket) for ticket in self.waiting.values()]
        times += [row.idle_out_at for row in self.weights.values() if row.key not in wanted]
        times += [row.retry_at for row in self.weights.values() if row.state is State.FAILED]
        if self.waiting or self._retiring:  # these need no Tick of their own once past: they count whatever happens
            turns = [policy.patience_ends(self, t) for t in self.waiting.values() if self.waits_for_room(t)]
            turns += [until for _, until in self.announced.values()]
            times += [time for time in turns if time > self.now]
        return min((time for time in times if time < math.inf), default=None)

    # -- taking note -------------------------------------------------------------------------------------------

    def _note(self, happening: h.Happening) -> None:
        match happening:
            case h.Register():
                self._register(happening)
            case h.Request():
                self._request(happening)
            case h.Cancel(ticket=number):
                if number in self.waiting:
                    self._refuse(self.waiting[number], Failure(Cancelled, "cancelled while waiting"))
            case h.Release(ticket=number):
                self._release(number)
            case h.Announce(owner=owner, weights=key):
                self.announced[owner] = ({key}, math.inf)
            case h.Forget(owner=owner):
                self.announced.pop(owner, None)
            case h.Unload(weights=key):
                if key in self.weights:
                    self._unload(self.weights[key], "unloading was asked for")
            case h.Retire(weights=key):
                if key in self.weights:
                    self._retiring.add(key)
            case h.Felt():
                self._felt(happening)
            case h.Tick():
                self._tick()
            case h.Close():
                self.closed = True
                self._restore.clear()
                for ticket in list(self.waiting.values()):
                    self._refuse(ticket, Failure(ManagerClosed, "the model manager was closed"))
            case _:
                self._answered(happening)

    def _register(self, told: h.Register) -> None:
        row = self.weights.get(told.weights) or Weights(told.weights, self.ledger.open(told.weights))
        self.weights[row.key] = row
        row.pinned, row.idle_seconds, row.concurrency = told.pinned, told.idle_seconds, told.concurrency
        self._retiring.discard(row.key)
        self._idles_out = any(other.idle_seconds is not None for other in self.weights.values())
        if row.pinned and row.drain in ("idle", "room"):
            self._call_back(row)

    def _request(self, request: h.Request) -> None:
        row = self.weights[request.weights]
        self.announced.pop(request.owner or "", None)
        deadline = math.inf if request.deadline is None else request.deadline
        patience = self.now + self.limits.max_wait
        ticket = Ticket(request.ticket, row.key, request.owner, request.next_weights, deadline, self.now, patience)
        self.waiting[ticket.number] = ticket
        if row.drain == "idle":
            self._call_back(row)
        if self.closed:
            self._refuse(ticket, Failure(ManagerClosed, "the model manager was closed"))
        elif row.state is State.FAILED and self.now < row.retry_at:
            wait = math.ceil(row.retry_at - self.now)
            self._refuse(ticket, Failure(CoolingDown, f"{row.reason} (may be tried again in {wait} s)"))
        elif (objection := self._objection(ticket)) is not None:
            self._refuse(ticket, objection)
        elif row.need is None and not row.preparing:
            self._prepare(row)

    def _objection(self, ticket: Ticket) -> Failure | None:
        """What speaks against letting a fresh request wait, found out before anything is moved for it."""
        nested = ticket.owner is not None and any(lease.owner == ticket.owner for lease in self.leases.values())
        full = len(self.waiting) > self.limits.max_queue
        if not (nested or full) or ticket in self._grantable():
            return None
        if nested:
            text = f"session '{ticket.owner}' would wait for a second lease while it holds one; release the first"
            return Failure(NestedLease, text)
        return Failure(QueueFull, f"{self.limits.max_queue} requests wait already; try again later")

    def _check_fits(self) -> bool:
        """Refuse all who wait for what cannot be; answers whether there were any."""
        waiting = len(self.waiting)
        for row in [self.weights[key] for key in {ticket.weights: None for ticket in self.waiting.values()}]:
            self._check_fit(row)
        return len(self.waiting) < waiting

    def _check_fit(self, row: Weights) -> None:
        """Refuse those who wait for weights that no evicting could ever make room for."""
        if not row.cold:
            return
        pinned = [other for other in self.on_device(row.device) if other.pinned]
        if self.room(row.device, pinned).fits(row.need or 0):
            return
        budget = self.ledger.budget(row.device)
        limit = f"{self.limits.slots(row.device)} models" + (f" and {budget / 1e9:.2f} GB" if budget < math.inf else "")
        held = f", of which {len(pinned)} pinned models hold part" if pinned else ""
        leaked = self.ledger.leaked.get(row.device, 0)
        lost = f" ({leaked / 1e9:.2f} GB leaked)" if leaked else ""
        text = f"{row.key} needs {(row.need or 0) / 1e9:.2f} GB, but device '{row.device}' takes {limit}{held}{lost}"
        for ticket in self.waiters(row.key):
            self._refuse(ticket, Failure(CannotFit, text))

    def _release(self, number: int) -> None:
        ticket = self.leases.pop(number, None)
        if ticket is None:
            return
        row = self.weights[ticket.weights]
        row.holders.discard(number)
        row.last_used, row.last_owner = self.now, ticket.owner
        row.turns += 1
        row.turn_seconds += max(0.3, 1 / row.turns) * (self.now - ticket.granted - row.turn_seconds)
        if ticket.owner in self.announced:
            self.announced[ticket.owner] = (self.announced[ticket.owner][0], self.now + ANNOUNCED_SECONDS)

    def _tick(self) -> None:
        for ticket in [t for t in self.waiting.values() if self.ends_at(t) <= self.now]:
            text = f"waited {self.now - ticket.since:.0f} s for {ticket.weights}, still not free; try again later"
            self._refuse(ticket, Failure(WaitTimeout, text))
        wanted = {ticket.weights for ticket in self.waiting.values()}
        for row in self.weights.values():
            if row.state is State.FAILED and row.retry_at <= self.now:
                self._set(row, row.away, row.reason)
            if self.now >= row.idle_out_at and row.key not in wanted:
                self._drain(row, "idle", f"not used for {row.idle_seconds:g} s")

    def _retire(self) -> None:
        """Let weights go that no model uses any more, once nobody holds or awaits them, or will come back for them.

        Who used them last comes back as long as it holds or awaits others, or has announced what it wants next.
        """
        if not self._retiring:
            return
        coming = {owner: keys for owner, (keys, until) in self.announced.items() if until > self.now}
        about = {ticket.owner for ticket in [*self.waiting.values(), *self.leases.values()] if ticket.owner}
        wanted = {ticket.weights for ticket in self.waiting.values()}.union(*coming.values())
        for row in [self.weights[key] for key in self._retiring]:
            if row.holders or row.preparing or row.key in wanted or row.last_owner in about.union(coming):
                continue
            if row.on_device or row.account.host:
                self._unload(row, "no longer registered")
            else:
                self._retiring.discard(row.key)
                self.ledger.close(row.key)
                del self.weights[row.key]
                self._effects.append(h.Retired(row.key))

    def _unload(self, row: Weights, reason: str) -> None:
        """Let `row` leave its device, when its last lease ends, and host memory."""
        if row.on_device:
            self._drain(row, "asked", reason)
        elif row.account.host:
            self.discard[row.key] = None

    def _shed(self) -> bool:
        """Where a device holds more than it may, have weights leave: the idle first, then the least recently used.

        What is kept of conversations is counted only where it could not be taken back: the planner does that by
        itself. Says whether any weights were asked to leave.
        """
        shed = False
        for device in self.ledger.overdrawn():
            rows = self.on_device(device)
            staying = [row for row in rows if row.state is not State.DRAINING]
            over = sum(row.account.stuck for row in staying) - self.room(device, staying).bytes
            able = [row for row in rows if row.state is State.RESIDENT and not row.pinned]
            for row in sorted(able, key=lambda row: (bool(row.holders or self.waiters(row.key)), row.last_used)):
                if over > 0:
                    over -= row.used + row.account.stuck
                    self._drain(row, "over", "more memory was taken than is free")
                    shed = True
        return shed

    # -- deciding ----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Plan and grant until nothing more can be done now."""
        while True:
            self._carry_out_plan()
            if self._shed():  # also weights that the plan let stay after all
                continue
            ticket = next(self._grantable(), None)
            if ticket is None:
                return
            self._grant(ticket)

    def _carry_out_plan(self) -> None:
        self._restore = [k for k in self._restore if k in self.weights and self.weights[k].state in RESTORABLE]
        made = plan(self, self._restore)
        self.secured = made.secured
        for victim, target in made.leaving.items():
            row = self.weights[victim]
            if not row.drain:
                row.evicted_for = target
                self._drain(row, "room", f"makes room for {target}")
        for row in made.staying:
            self._stay(row)
        if made.job is not None:
            self._begin(made.job)

    def _grantable(self) -> Iterator[Ticket]:
        held_back: set[str] = set()
        for ticket in self.waiting.values():
            row = self.weights[ticket.weights]
            free = row.concurrency is None or len(row.holders) < row.concurrency
            promised = ticket.admitted and row.state in (State.RESIDENT, State.DRAINING)
            open_to_all = row.state is State.RESIDENT and (row.elsewhere or row.device not in held_back)
            if free and (promised or open_to_all):
                yield ticket
            elif self.waits_for_room(ticket) and policy.due(self, ticket):
                held_back.add(row.device)
