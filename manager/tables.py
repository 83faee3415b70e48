"""The scheduler's tables: weights, tickets, and what is free on each device.

Only rows and questions about them; what happens to them is decided in `scheduler.py` and `planner.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from manager.happenings import State
from manager.registry import WeightsKey


@dataclass(frozen=True)
class Limits:
    """What may be used: weights and bytes per device, and how much waiting there may be."""

    max_loaded: int = 2
    budgets: dict[str, int] = field(default_factory=dict)  # device -> bytes; a device not named has no byte limit
    max_queue: int = 256
    max_wait: float = 600.0


@dataclass(eq=False)
class Weights:
    """The row of one weights key."""

    key: WeightsKey
    device: str = ""  # unknown until prepared
    pinned: bool = False
    idle_seconds: float | None = None
    concurrency: int | None = None
    elsewhere: bool = False
    state: State = State.COLD
    reason: str = ""
    need: int | None = None  # bytes to reserve; None until prepared
    used: int = 0  # bytes charged while on the device
    holders: set[int] = field(default_factory=set)
    last_used: float = 0.0
    load_seconds: float = 2.0  # last measured, or a guess
    measured: bool = False
    turn_seconds: float = 5.0  # how long leases are held, on average of late; a guess before the first
    turns: int = 0  # how many leases ended
    started: float = 0.0  # when the current load began
    preparing: bool = False
    aborting: bool = False
    restoring: bool = False
    drain: str = ""  # why it shall leave: "asked", "idle" or "room"
    evicted_for: WeightsKey | None = None
    greedy: bool = False  # ran out of memory once: next time everything idle makes room
    failures: int = 0
    retry_at: float = 0.0

    @property
    def on_device(self) -> bool:
        """Whether it takes a slot and bytes (weights served elsewhere never do)."""
        return self.state in (State.LOADING, State.RESIDENT, State.DRAINING) and not self.elsewhere

    @property
    def cold(self) -> bool:
        """Whether it could be loaded now, its size being known."""
        return self.state in (State.COLD, State.FAILED) and self.need is not None and not self.elsewhere

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
    deadline: float
    since: float
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
        self.now = 0.0
        self.weights: dict[WeightsKey, Weights] = {}
        self.waiting: dict[int, Ticket] = {}  # in order of arrival
        self.leases: dict[int, Ticket] = {}
        self.leaked: dict[str, int] = {}  # device -> bytes that did not come back
        self.announced: dict[str, tuple[set[WeightsKey], float]] = {}  # owner -> in use and wanted next, until when
        self.secured: set[WeightsKey] = set()  # cold weights whose room is claimed
        self.job: WeightsKey | None = None  # what the loader is busy with

    def waiters(self, key: WeightsKey) -> list[Ticket]:
        """The tickets that wait for these weights, oldest first."""
        return [ticket for ticket in self.waiting.values() if ticket.weights == key]

    def waits_for_room(self, ticket: Ticket) -> bool:
        """Whether the ticket's weights still need a place: known to be loadable, not loading, none claimed."""
        return self.weights[ticket.weights].cold and ticket.weights not in self.secured

    def on_device(self, device: str) -> list[Weights]:
        """The rows that take up a device."""
        return [row for row in self.weights.values() if row.on_device and row.device == device]

    def idle(self, device: str) -> list[Weights]:
        """Rows that could leave a device now."""
        return [r for r in self.on_device(device) if r.state is State.RESIDENT and not r.holders and not r.pinned]

    def room(self, device: str, rows: Iterable[Weights] | None = None) -> Room:
        """What is free on a device now, or if it held only `rows`."""
        taken = self.on_device(device) if rows is None else list(rows)
        budget = self.limits.budgets.get(device, math.inf)
        used = sum(row.used for row in taken) + self.leaked.get(device, 0)
        return Room(self.limits.max_loaded - len(taken), budget - used)

    def has_place(self, key: WeightsKey, secured: set[WeightsKey]) -> bool:
        """Whether weights can be used now, or soon: they are on their device or have their room `secured`."""
        row = self.weights[key]
        return row.on_device or row.elsewhere or key in secured

    def may_drain(self, row: Weights, ticket: Ticket) -> bool:
        """Whether `row` could be asked to leave for `ticket`: nobody older, and nobody it was loaded for, waits."""
        if row.state is not State.RESIDENT or row.pinned or row.elsewhere:
            return False
        return not any(other.admitted or other.number < ticket.number for other in self.waiters(row.key))

    def used_bytes(self, device: str) -> int:
        """Bytes charged on a device: reserved or measured, and leaked."""
        return sum(row.used for row in self.on_device(device)) + self.leaked.get(device, 0)

    def position(self, number: int) -> int:
        """The place of a waiting ticket among all that wait, from 1."""
        return list(self.waiting).index(number) + 1
