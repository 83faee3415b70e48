"""The scheduler's tables: weights, tickets, and what is free on each device.

Only rows and questions about them; what happens to them is decided in `scheduler.py` and `planner.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from manager.config.registry import WeightsKey
from manager.scheduling.ledger import Account, Ledger
from manager.scheduling.messages import Job
from manager.state import State

ON_DEVICE = (State.LOADING, State.WAKING, State.RESIDENT, State.DRAINING)
WAKE_BYTES_PER_SECOND = 10e9
"""A guess at how fast host memory is copied to a device."""


@dataclass(frozen=True)
class Limits:
    """What may be used: weights and bytes per device, host memory, and how much waiting there may be.

    A device that `budgets` does not name gets what its backend found free there; so does `parking`.
    """

    max_loaded: int = 2
    budgets: Mapping[str, int] = field(default_factory=dict)  # device -> bytes
    max_queue: int = 256
    max_wait: float = 600.0
    parking: int | None = None  # bytes of host memory for parked weights
    max_loaded_on: Mapping[str, int] = field(default_factory=dict)  # device -> weights, where it is not `max_loaded`

    def slots(self, device: str) -> int:
        """How many weights a device may hold."""
        return self.max_loaded_on.get(device, self.max_loaded)


@dataclass(eq=False)
class Weights:
    """The row of one weights key."""

    key: WeightsKey
    account: Account = field(default_factory=Account)
    pinned: bool = False
    idle_seconds: float | None = None
    concurrency: int | None = None
    elsewhere: bool = False
    state: State = State.COLD
    reason: str = ""
    need: int | None = None  # bytes to reserve; None until prepared
    allowance: int = 0  # bytes of conversations that it would like to keep
    parks: bool = False  # whether it can be kept in host memory when it leaves
    holders: set[int] = field(default_factory=set)
    last_used: float = 0.0
    last_owner: str | None = None  # who gave back the last lease
    cold_seconds: float = 2.0  # how long a load from files takes: last measured, or a guess
    measured: bool = False
    wake_seconds: float | None = None  # how long copying back takes, once measured
    turn_seconds: float = 5.0  # how long leases are held, on average of late; a guess before the first
    turns: int = 0  # how many leases ended
    started: float = 0.0  # when the current preparing, load or waking began
    preparing: bool = False
    aborting: bool = False
    restoring: bool = False
    drain: str = ""  # why it shall leave: "asked", "idle", "room" or "over" (the budget)
    evicted_for: WeightsKey | None = None
    greedy: bool = False  # ran out of memory once: next time everything idle makes room
    failures: int = 0
    retry_at: float = 0.0

    @cached_property
    def name(self) -> str:
        """What people know it by."""
        return str(self.key)

    @property
    def device(self) -> str:
        """Where it goes; "" until prepared."""
        return self.account.device

    @property
    def used(self) -> int:
        """Bytes charged on the device that come back only when it leaves."""
        return self.account.hard

    @property
    def working(self) -> bool:
        """Whether files are being fetched or sized, or the weights are coming: waiting for that is not idle."""
        return self.preparing or self.state in (State.LOADING, State.WAKING)

    @property
    def on_device(self) -> bool:
        """Whether it takes a slot and bytes (weights served elsewhere never do)."""
        return self.state in ON_DEVICE and not self.elsewhere

    @property
    def cold(self) -> bool:
        """Whether it could be loaded, or woken, now, its size being known."""
        away = self.state in (State.COLD, State.PARKED, State.FAILED)
        return away and self.need is not None and not self.elsewhere

    @property
    def away(self) -> State:
        """Its state while it is not on the device and nothing is wrong."""
        return State.PARKED if self.account.host else State.COLD

    @property
    def load_seconds(self) -> float:
        """How long it takes to come: from its copy in host memory if there is one, else from its files."""
        return self._wake(self.account.host) if self.account.host else self.cold_seconds

    @property
    def return_seconds(self) -> float:
        """How long it will take to come back if it leaves now, being on its device."""
        return self._wake(self.used) if self.parks else self.cold_seconds

    def _wake(self, size: int) -> float:
        return self.wake_seconds if self.wake_seconds is not None else 0.1 + size / WAKE_BYTES_PER_SECOND

    @property
    def idle_out_at(self) -> float:
        """When it leaves if nobody uses it (infinity: it may stay)."""
        idle = self.state is State.RESIDENT and not self.holders and not self.pinned and not self.elsewhere
        return self.last_used + self.idle_seconds if idle and self.idle_seconds is not None else math.inf


@dataclass(eq=False)
class Ticket:
    """A request, waiting or granted."""

    number: int
    weights: WeightsKey
    owner: str | None
    next_weights: WeightsKey | None
    deadline: float  # the caller's own
    since: float
    patience_until: float  # the manager's limit on waiting for room; put off by work on the ticket's own weights
    granted: float = 0.0
    bypassed: int = 0
    admitted: bool = False  # a load was begun for it: those weights stay until it has had them


@dataclass
class Room:
    """What is free on a device."""

    slots: int
    bytes: float

    def fits(self, need: int) -> bool:
        """Whether weights of `need` bytes have their place."""
        return self.slots >= 1 and self.bytes >= need


class Tables:
    """All rows, and questions about them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ledger = Ledger(limits.budgets, limits.parking)
        self.now = 0.0
        self.weights: dict[WeightsKey, Weights] = {}
        self.present: dict[WeightsKey, Weights] = {}  # those on a device, and those served elsewhere that answer
        self.discard: dict[WeightsKey, None] = {}  # those whose copy in host memory shall go
        self.waiting: dict[int, Ticket] = {}  # in order of arrival
        self.leases: dict[int, Ticket] = {}
        self.announced: dict[str, tuple[set[WeightsKey], float]] = {}  # owner -> in use and wanted next, until when
        self.secured: set[WeightsKey] = set()  # cold weights whose room is claimed
        self.task: Job | None = None  # what the loader is busy with

    @property
    def job(self) -> WeightsKey | None:
        """The weights that the loader is busy with."""
        return self.task.weights if self.task is not None else None

    def waiters(self, key: WeightsKey) -> list[Ticket]:
        """The tickets that wait for these weights, oldest first."""
        return [ticket for ticket in self.waiting.values() if ticket.weights == key]

    def waits_for_room(self, ticket: Ticket) -> bool:
        """Whether the ticket's weights still need a place: known to be loadable, not loading, none claimed."""
        return self.weights[ticket.weights].cold and ticket.weights not in self.secured

    def on_device(self, device: str) -> list[Weights]:
        """The rows that take up a device."""
        return [row for row in self.present.values() if row.device == device and not row.elsewhere]

    def idle(self, device: str) -> list[Weights]:
        """Rows that could leave a device now."""
        return [r for r in self.on_device(device) if r.state is State.RESIDENT and not r.holders and not r.pinned]

    def room(self, device: str, rows: Iterable[Weights] | None = None) -> Room:
        """What is free on a device now, or if it held only `rows`; what is kept of conversations counts as free."""
        taken = self.on_device(device) if rows is None else list(rows)
        used = sum(row.used for row in taken) + self.ledger.leaked.get(device, 0)
        return Room(self.limits.slots(device) - len(taken), self.ledger.budget(device) - used)

    def has_place(self, key: WeightsKey, secured: set[WeightsKey]) -> bool:
        """Whether weights can be used now, or soon: they are on their device or have their room `secured`."""
        row = self.weights[key]
        return row.on_device or row.elsewhere or key in secured

    def may_drain(self, row: Weights, ticket: Ticket) -> bool:
        """Whether `row` could be asked to leave for `ticket`: nobody older, and nobody it was loaded for, waits."""
        if row.state is not State.RESIDENT or row.pinned or row.elsewhere:
            return False
        return not any(other.admitted or other.number < ticket.number for other in self.waiters(row.key))

    def ends_at(self, ticket: Ticket) -> float:
        """When a waiting ticket times out: at its own deadline, or when it waited too long for room or its turn.

        The time in which its own weights are fetched or loaded does not count against the latter.
        """
        own = self.weights[ticket.weights]
        return ticket.deadline if own.working else min(ticket.deadline, ticket.patience_until)

    def position(self, number: int) -> int:
        """The place of a waiting ticket among all that wait, from 1."""
        return list(self.waiting).index(number) + 1
