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

from manager import happenings as h
from manager import policy
from manager.errors import (
    Cancelled,
    CannotFit,
    CoolingDown,
    Failure,
    ManagerClosed,
    NestedLease,
    OutOfMemory,
    QueueFull,
    WaitTimeout,
)
from manager.happenings import State
from manager.planner import plan
from manager.registry import WeightsKey
from manager.tables import Limits, Tables, Ticket, Weights

ANNOUNCED_SECONDS = 2.0
"""How long, after its last lease ended, an owner's announced next weights count as wanted."""
COOL_DOWN_SECONDS = (5.0, 300.0)
"""First and longest wait after failed loads; it doubles with each failure in a row."""


class Scheduler(Tables):
    """The tables and the one door through which they change, `handle`."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits())
        self.closed = False
        self._restore: list[WeightsKey] = []
        self._retiring: set[WeightsKey] = set()
        self._idles_out = False
        self._effects: list[h.Effect] = []

    def handle(self, happening: h.Happening, now: float) -> list[h.Effect]:
        """Take note of `happening` at time `now` (seconds, never decreasing) and answer what is to be done."""
        self.now = max(self.now, now)
        self._effects = []
        self._note(happening)
        self._retire()
        for row in [self.weights[key] for key in {ticket.weights: None for ticket in self.waiting.values()}]:
            self._check_fit(row)
        self._settle()
        return self._effects

    @property
    def has_timers(self) -> bool:
        """Whether `next_tick` may be worth asking."""
        return bool(self.waiting) or self._idles_out

    def next_tick(self) -> float | None:
        """When a Tick is needed next, if nothing else happens before; in the past if one is overdue."""
        wanted = {ticket.weights for ticket in self.waiting.values()}
        times = [ticket.deadline for ticket in self.waiting.values()]
        times += [row.idle_out_at for row in self.weights.values() if row.key not in wanted]
        times += [row.retry_at for row in self.weights.values() if row.state is State.FAILED]
        if self.waiting:  # these need no Tick of their own once they are past: they count whatever happens
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
                self.announced[owner] = (key, math.inf)
            case h.Forget(owner=owner):
                self.announced.pop(owner, None)
            case h.Prepared():
                self._prepared(happening)
            case h.PrepareFailed():
                self._prepare_failed(happening)
            case h.Loaded(weights=key, used=used):
                self._loaded(self.weights[key], used)
            case h.LoadFailed():
                self._load_failed(happening)
            case h.Unloaded(weights=key, leaked=leaked):
                self._unloaded(self.weights[key], leaked)
            case h.Unload(weights=key):
                if key in self.weights and self.weights[key].on_device:
                    self._drain(self.weights[key], "asked", "unloading was asked for")
            case h.Retire(weights=key):
                if key in self.weights:
                    self._retiring.add(key)
            case h.Tick():
                self._tick()
            case h.Close():
                self.closed = True
                self._restore.clear()
                for ticket in list(self.waiting.values()):
                    self._refuse(ticket, Failure(ManagerClosed, "the model manager was closed"))

    def _register(self, told: h.Register) -> None:
        row = self.weights.setdefault(told.weights, Weights(told.weights))
        row.pinned, row.idle_seconds, row.concurrency = told.pinned, told.idle_seconds, told.concurrency
        self._retiring.discard(row.key)
        self._idles_out = any(other.idle_seconds is not None for other in self.weights.values())
        if row.pinned and row.drain in ("idle", "room"):
            self._call_back(row)

    def _request(self, request: h.Request) -> None:
        row = self.weights[request.weights]
        self.announced.pop(request.owner or "", None)
        deadline = min(math.inf if request.deadline is None else request.deadline, self.now + self.limits.max_wait)
        ticket = Ticket(request.ticket, row.key, request.owner, request.next_weights, deadline, since=self.now)
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

    def _check_fit(self, row: Weights) -> None:
        """Refuse those who wait for weights that no evicting could ever make room for."""
        if not row.cold:
            return
        pinned = [other for other in self.on_device(row.device) if other.pinned]
        if self.room(row.device, pinned).fits(row.need or 0):
            return
        budget = self.limits.budgets.get(row.device)
        limit = f"{self.limits.max_loaded} models" + (f" and {budget / 1e9:.2f} GB" if budget is not None else "")
        held = f", of which {len(pinned)} pinned models hold part" if pinned else ""
        leaked = self.leaked.get(row.device, 0)
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
        row.last_used = self.now
        row.turn_seconds += 0.3 * (self.now - ticket.granted - row.turn_seconds)
        if ticket.owner in self.announced:
            self.announced[ticket.owner] = (self.announced[ticket.owner][0], self.now + ANNOUNCED_SECONDS)

    def _prepared(self, told: h.Prepared) -> None:
        row = self.weights[told.weights]
        row.preparing = row.aborting = False
        row.need, row.device, row.elsewhere = told.need, told.device, told.elsewhere
        if not row.measured:
            row.load_seconds = told.load_seconds or 0.5 + told.need / 1e9
        if row.elsewhere:
            row.failures = 0
            self._set(row, State.RESIDENT, "answers")

    def _prepare_failed(self, told: h.PrepareFailed) -> None:
        row = self.weights[told.weights]
        row.preparing = row.aborting = False
        if told.failure.kind is not Cancelled:
            self._fail(row, told.failure)
        elif self.waiters(row.key):
            self._prepare(row)

    def _loaded(self, row: Weights, used: int) -> None:
        self.job = None
        row.used, row.failures, row.measured = used, 0, True
        row.need = max(row.need or 0, used)
        row.aborting = row.restoring = row.greedy = False
        row.load_seconds = max(self.now - row.started, 0.001)
        row.last_used = self.now
        self._forgive(row)
        self._set(row, State.DRAINING if row.drain else State.RESIDENT, "loaded")

    def _load_failed(self, told: h.LoadFailed) -> None:
        self.job = None
        row = self.weights[told.weights]
        row.used, row.drain, row.aborting, row.restoring = 0, "", False, False
        self.leaked[row.device] = self.leaked.get(row.device, 0) + told.leaked
        for ticket in self.waiters(row.key):
            ticket.admitted = False
        if told.failure.kind is Cancelled:
            self._forgive(row)
            self._set(row, State.COLD, "nobody waited for it any more")
        elif told.failure.kind is OutOfMemory and not row.greedy and self.idle(row.device):
            row.greedy = True
            self._set(row, State.COLD, "out of memory; making more room to try once more")
        else:
            self._fail(row, told.failure)

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

    def _unloaded(self, row: Weights, leaked: int) -> None:
        self.job = None
        self.leaked[row.device] = self.leaked.get(row.device, 0) + leaked
        reason = {"asked": "unloaded", "idle": "not used for a while"}.get(row.drain, "made room")
        row.used, row.drain = 0, ""
        self._set(row, State.COLD, reason)

    def _tick(self) -> None:
        for ticket in [t for t in self.waiting.values() if t.deadline <= self.now]:
            text = f"waited {self.now - ticket.since:.0f} s for {ticket.weights}, still not free; try again later"
            self._refuse(ticket, Failure(WaitTimeout, text))
        wanted = {ticket.weights for ticket in self.waiting.values()}
        for row in self.weights.values():
            if row.state is State.FAILED and row.retry_at <= self.now:
                self._set(row, State.COLD, row.reason)
            if self.now >= row.idle_out_at and row.key not in wanted:
                self._drain(row, "idle", f"not used for {row.idle_seconds:g} s")

    def _retire(self) -> None:
        """Let weights go that no model uses any more, once nobody holds or awaits them."""
        for row in [self.weights[key] for key in self._retiring]:
            if row.holders or row.preparing or self.waiters(row.key):
                continue
            if row.on_device:
                self._drain(row, "asked", "no longer registered")
            else:
                self._retiring.discard(row.key)
                del self.weights[row.key]

    # -- deciding ----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Plan and grant until nothing more can be done now."""
        while True:
            self._carry_out_plan()
            ticket = next(self._grantable(), None)
            if ticket is None:
                return
            self._grant(ticket)

    def _carry_out_plan(self) -> None:
        self._restore = [k for k in self._restore if k in self.weights and self.weights[k].state is State.COLD]
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
            self.job = made.job.weights
            self._effects.append(made.job)
            if isinstance(made.job, h.StartLoad):
                self._begin_load(self.weights[self.job])

    def _begin_load(self, row: Weights) -> None:
        row.used, row.started, row.evicted_for = row.need or 0, self.now, None
        waiters = self.waiters(row.key)
        row.restoring = not waiters
        others = [t.bypassed for t in self.waiting.values() if self._could_be_delayed(t, row)]
        allowed = policy.BYPASS_BOUND - max(others, default=0)
        for ticket in waiters[: max(allowed, 1)]:
            ticket.admitted = True
            self._count_bypass(ticket)
        self._set(row, State.LOADING, "coming back" if row.restoring else "asked for")

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

    def _grant(self, ticket: Ticket) -> None:
        row = self.weights[ticket.weights]
        if not ticket.admitted:
            self._count_bypass(ticket)
        del self.waiting[ticket.number]
        row.holders.add(ticket.number)
        row.last_used = ticket.granted = self.now
        self.leases[ticket.number] = ticket
        if ticket.owner is not None and ticket.next_weights is not None:
            self.announced[ticket.owner] = (ticket.next_weights, math.inf)
        self._effects.append(h.Grant(ticket.number, row.key))

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

    # -- small parts -------------------------------------------------------------------------------------------

    def _refuse(self, ticket: Ticket, failure: Failure) -> None:
        del self.waiting[ticket.number]
        self._effects.append(h.Refuse(ticket.number, failure))
        row = self.weights[ticket.weights]
        useless = row.preparing or (row.state is State.LOADING and not row.restoring)
        if useless and not row.aborting and not self.waiters(row.key):
            row.aborting = True
            self._effects.append(h.Abort(row.key))

    def _prepare(self, row: Weights) -> None:
        row.preparing = True
        self._effects.append(h.Prepare(row.key))

    def _drain(self, row: Weights, why: str, reason: str) -> None:
        row.drain = why
        if row.state is State.RESIDENT:
            self._set(row, State.DRAINING, reason)

    def _call_back(self, row: Weights) -> None:
        """Let draining weights stay unless the loader is at them already."""
        if row.state is State.DRAINING and row.key != self.job:
            self._stay(row)

    def _stay(self, row: Weights) -> None:
        row.drain, row.evicted_for = "", None
        self._set(row, State.RESIDENT, "may stay after all")

    def _set(self, row: Weights, state: State, reason: str) -> None:
        row.state, row.reason = state, reason
        self._effects.append(h.Changed(row.key, state, reason))
