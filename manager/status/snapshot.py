"""What the manager shows: immutable snapshots, numbered events, and subscribers that delay nobody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from manager.state import LoadProgress, State


class WeightsStatus(NamedTuple):  # a snapshot makes one for each model: tuples are made quickly
    """One set of weights and the models that share it."""

    weights: str
    model_ids: tuple[str, ...]
    state: State
    reason: str
    device: str
    bytes: int  # charged on the device now
    need: int | None  # bytes it takes there, None while unknown
    leases: int
    waiting: int
    pinned: bool
    elsewhere: bool
    progress: LoadProgress | None
    retry_in: float | None  # seconds until failed weights may be tried again
    load_seconds: float  # measured, or a guess; from host memory if there is a copy
    cache: int = 0  # bytes that may be kept of conversations, on top of `bytes`
    host: int = 0  # bytes of its copy in host memory


@dataclass(frozen=True)
class DeviceStatus:
    """What a device holds."""

    device: str
    loaded: int
    max_loaded: int
    bytes: int  # all that is charged: weights, what is kept of conversations, what leaked
    budget: int | None
    leaked: int


@dataclass(frozen=True)
class QueueStatus:
    """One request that waits."""

    model_id: str
    owner: str | None
    position: int
    waited: float  # seconds
    expected: float | None = (
        None  # seconds that it still has to wait, by manager/status/forecast.py; None while nobody can say
    )


@dataclass(frozen=True)
class Entry:
    """One span of the timeline: a `fetch`, `load`, `wake`, `unload`, `wait` or `failure` (which has no length)."""

    number: int  # of the event that began it
    kind: str
    weights: str
    model_ids: tuple[str, ...]
    owner: str | None
    begun: float  # seconds since the epoch
    ended: float | None  # None: it goes on
    bytes: int
    reason: str  # why it began
    outcome: str = ""  # how it ended


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment. `version` is the number of the last event that it includes."""

    version: int
    at: float  # seconds since the epoch
    weights: tuple[WeightsStatus, ...]
    devices: tuple[DeviceStatus, ...]
    queue: tuple[QueueStatus, ...]
    parked: int = 0  # bytes of host memory that hold copies of weights
    parking: int | None = None  # how many may; None where nothing can be parked
    timeline: tuple[Entry, ...] = ()  # what happened of late, in the order in which it began

    def of(self, model_id: str) -> WeightsStatus | None:
        """The weights of a model."""
        return next((row for row in self.weights if model_id in row.model_ids), None)


@dataclass(frozen=True)
class StatusEvent:
    """Something changed. Numbers have no gaps.

    `kind` is: state; waiting, granted, refused, released (of a request); progress, measured (of work on weights);
    recovered (of leaked bytes); registered, pinned, removed (of models).
    """

    number: int
    at: float
    kind: str
    weights: str
    model_ids: tuple[str, ...]
    state: State
    reason: str = ""
    owner: str | None = None
    bytes: int = 0
    progress: LoadProgress | None = None
    ticket: int | None = None  # which request


@dataclass(frozen=True)
class Heartbeat:
    """The manager lives, and nothing is newer than the event numbered `version`."""

    version: int
    at: float


@dataclass(frozen=True)
class Resync:
    """The subscriber was too slow and events were dropped: start again from this snapshot."""

    snapshot: Snapshot


class Subscription:
    """The events from one moment on, for one listener. Memory is bounded by `capacity`."""

    def __init__(self, snapshot: Callable[[], Snapshot], capacity: int, forget: Callable[[Subscription], None]) -> None:
        self._snapshot = snapshot
        self._forget = forget
        self._changed = threading.Condition()
        self._events: deque[StatusEvent] = deque()
        self._beat: Heartbeat | None = None
        self._capacity = capacity
        self._overrun = False
        self._closed = False

    def offer(self, event: StatusEvent) -> None:
        """Called by the manager for each event; never waits."""
        with self._changed:
            if self._overrun:
                return
            if len(self._events) >= self._capacity:
                self._events.clear()
                self._overrun = True
            else:
                self._events.append(event)
            self._changed.notify_all()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Called by the manager now and then; never waits. Only the latest is kept, behind all events."""
        with self._changed:
            self._beat = heartbeat
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> StatusEvent | Resync | Heartbeat | None:
        """The next event; a Resync after an overrun; None when `timeout` seconds passed or it was closed.

        A Heartbeat comes where there was nothing else for a while.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._overrun or self._beat or self._closed, timeout)
            beat, self._beat = self._beat, None
            if self._events:
                return self._events.popleft()
            if not self._overrun:
                return beat
        # The snapshot takes the manager's lock, which is held while events are offered: never ask under ours.
        # Events numbered up to its version may be offered in between and are dropped by number.
        with self._changed:
            self._overrun = False
        snapshot = self._snapshot()
        with self._changed:
            while self._events and self._events[0].number <= snapshot.version:
                self._events.popleft()
        return Resync(snapshot)

    def __iter__(self) -> Iterator[StatusEvent | Resync | Heartbeat]:
        while (event := self.get()) is not None:
            yield event

    def close(self) -> None:
        """No more events; wakes whoever waits for one."""
        self._forget(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
