"""The scheduler's tables: weights, tickets and the free room on each device.

Rows and queries only. `moves.py` changes them; `scheduler.py` and `planner.py` decide how.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from manager.config.model_spec import WeightsKey
from manager.scheduling.ledger import Account, Ledger
from manager.scheduling.messages import Job
from manager.state import State

ON_DEVICE = (State.LOADING, State.WAKING, State.RESIDENT, State.DRAINING)
WAKE_BYTES_PER_SECOND = 10e9
"""Estimated speed of copying host memory to a device."""


@dataclass(frozen=True, kw_only=True)
class SchedulerLimits:
    """Limits on weights and bytes per device, on host memory for parked weights, and on waiting.

    The budget of a device missing from `budgets` is what its backend found free there. The same holds for `parking`.
    """

    max_loaded: int = 2
    budgets: Mapping[str, int] = field(default_factory=dict)  # device -> bytes
    max_queue: int = 256  # waiting requests
    max_wait: float = 600.0  # seconds
    parking: int | None = None  # bytes of host memory for parked weights
    max_loaded_on: Mapping[str, int] = field(
        default_factory=dict
    )  # device -> number of weights, where it differs from `max_loaded`

    def slots(self, device: str) -> int:
        """Return how many weights a device may hold."""
        return self.max_loaded_on.get(device, self.max_loaded)


@dataclass(eq=False)
class Weights:
    """The row of one set of weights."""

    key: WeightsKey
    account: Account = field(default_factory=Account)
    pinned: bool = False
    idle_seconds: float | None = None
    concurrency: int | None = None
    remote: bool = False  # held by another program
    answered: float | None = None  # when its server last answered
    state: State = State.COLD
    reason: str = ""
    need: int | None = None  # bytes to reserve; None until prepared
    allowance: int = 0  # bytes of cached conversations that it would like to keep
    parks: bool = False  # whether it can be parked in host memory
    holders: set[int] = field(default_factory=set)
    last_used: float = 0.0
    last_owner: str | None = None  # owner of the last lease that ended
    cold_seconds: float = 2.0  # load time from files: last measured, or an estimate
    measured: bool = False
    wake_seconds: float | None = None  # measured time to copy it back
    turn_seconds: float = 5.0  # moving average of lease durations; a guess before the first
    turns: int = 0  # leases that ended
    started: float = 0.0  # when the current preparation, load or wake began
    preparing: bool = False
    aborting: bool = False
    restoring: bool = False
    drain: str = ""  # why it is to leave: "asked", "idle", "room" or "over" (budget)
    evicted_for: WeightsKey | None = None
    greedy: bool = False  # after running out of memory, everything idle makes room for its retry
    failures: int = 0
    retry_at: float = 0.0

    @cached_property
    def name(self) -> str:
        """The readable form of its key."""
        return str(self.key)

    @property
    def device(self) -> str:
        """Its device; "" until prepared."""
        return self.account.device

    @property
    def used(self) -> int:
        """Bytes on the device that only unloading frees."""
        return self.account.hard

    @property
    def working(self) -> bool:
        """Whether it is being prepared, loaded or woken."""
        return self.preparing or self.state in (State.LOADING, State.WAKING)

    @property
    def on_device(self) -> bool:
        """Whether it takes a slot and bytes (remote weights never do)."""
        return self.state in ON_DEVICE and not self.remote

    @property
    def cold(self) -> bool:
        """Whether it is away from its device, and its size is known so that it can be loaded or woken."""
        away = self.state in (State.COLD, State.PARKED, State.FAILED)
        return away and self.need is not None and not self.remote

    @property
    def away(self) -> State:
        """Its state while away from its device, if nothing is wrong."""
        return State.PARKED if self.account.host else State.COLD

    @property
    def load_seconds(self) -> float:
        """Seconds to bring it to its device: from its host-memory copy if it has one, else from its files."""
        return self._wake(self.account.host) if self.account.host else self.cold_seconds

    @property
    def return_seconds(self) -> float:
        """Seconds to bring it back if it left its device now."""
        return self._wake(self.used) if self.parks else self.cold_seconds

    def _wake(self, size: int) -> float:
        return self.wake_seconds if self.wake_seconds is not None else 0.1 + size / WAKE_BYTES_PER_SECOND

    @property
    def idle_out_at(self) -> float:
        """When it is unloaded for being idle (infinity: never)."""
        idle = self.state is State.RESIDENT and not self.holders and not self.pinned and not self.remote
        return self.last_used + self.idle_seconds if idle and self.idle_seconds is not None else math.inf


@dataclass(eq=False, kw_only=True)
class LeaseTicket:
    """A request, waiting or granted."""

    number: int
    weights: WeightsKey
    owner: str | None
    next_weights: WeightsKey | None
    deadline: float  # set by the caller
    since: float
    patience_until: float  # end of `max_wait`, extended by the time spent on the ticket's own weights
    payer: str | None = None  # whose places it takes, where each payer has their own
    granted: float = 0.0
    bypassed: int = 0
    admitted: bool = False  # a load began for it: its weights stay at least until it is granted


@dataclass
class Room:
    """Free slots and bytes on a device."""

    slots: int
    bytes: float

    def fits(self, need: int) -> bool:
        """Return whether weights of `need` bytes fit."""
        return self.slots >= 1 and self.bytes >= need


class Tables:
    """All rows, and queries over them."""

    def __init__(self, limits: SchedulerLimits) -> None:
        self.limits = limits
        self.ledger = Ledger(limits.budgets, limits.parking)
        self.now = 0.0
        self.weights: dict[WeightsKey, Weights] = {}
        self.present: dict[WeightsKey, Weights] = {}  # on a device, or remote and answering
        self.discard: dict[WeightsKey, None] = {}  # host-memory copies to drop
        self.waiting: dict[int, LeaseTicket] = {}  # in order of arrival
        self.leases: dict[int, LeaseTicket] = {}
        self.announced: dict[str, tuple[set[WeightsKey], float]] = {}  # owner -> (in use and wanted next, until when)
        self.secured: set[WeightsKey] = set()  # cold weights whose room is claimed
        self.task: Job | None = None  # the loader's current job
        self.closed = False

    @property
    def job(self) -> WeightsKey | None:
        """The weights that the loader is working on."""
        return self.task.weights if self.task is not None else None

    def waiters(self, key: WeightsKey) -> list[LeaseTicket]:
        """Return the tickets that wait for these weights, oldest first."""
        return [ticket for ticket in self.waiting.values() if ticket.weights == key]

    def has_a_place(self, ticket: LeaseTicket) -> bool:
        """Return whether the weights may write for one more, or for one more of the ticket's payer."""
        row = self.weights[ticket.weights]
        if row.concurrency is None or len(row.holders) < row.concurrency:
            return True
        return sum(self.leases[number].payer == ticket.payer for number in row.holders) < row.concurrency

    def waits_for_room(self, ticket: LeaseTicket) -> bool:
        """Return whether the ticket's weights could be loaded but have no room claimed yet."""
        return self.weights[ticket.weights].cold and ticket.weights not in self.secured

    def on_device(self, device: str) -> list[Weights]:
        """Return the rows that occupy a device."""
        return [row for row in self.present.values() if row.device == device and not row.remote]

    def idle(self, device: str) -> list[Weights]:
        """Return the rows that could leave a device now."""
        return [r for r in self.on_device(device) if r.state is State.RESIDENT and not r.holders and not r.pinned]

    def room(self, device: str, rows: Iterable[Weights] | None = None) -> Room:
        """Return the room on a device, now or if it held only `rows`. Cached conversations count as free."""
        taken = self.on_device(device) if rows is None else list(rows)
        used = sum(row.used for row in taken) + self.ledger.leaked.get(device, 0)
        return Room(self.limits.slots(device) - len(taken), self.ledger.budget(device) - used)

    def has_place(self, key: WeightsKey, secured: set[WeightsKey]) -> bool:
        """Return whether weights are on their device, or will be soon because their room is `secured`."""
        row = self.weights[key]
        return row.on_device or row.remote or key in secured

    def may_drain(self, row: Weights, ticket: LeaseTicket) -> bool:
        """Return whether `row` may be evicted for `ticket`: no older or admitted ticket waits for it."""
        if row.state is not State.RESIDENT or row.pinned or row.remote:
            return False
        return not any(other.admitted or other.number < ticket.number for other in self.waiters(row.key))

    def ends_at(self, ticket: LeaseTicket) -> float:
        """Return when a waiting ticket times out: at its deadline, or after `max_wait` seconds in the queue.

        The time spent on fetching or loading its own weights does not count towards the latter.
        """
        own = self.weights[ticket.weights]
        return ticket.deadline if own.working else min(ticket.deadline, ticket.patience_until)

    def position(self, number: int) -> int:
        """Return the place of a waiting ticket in the queue, from 1."""
        return list(self.waiting).index(number) + 1
