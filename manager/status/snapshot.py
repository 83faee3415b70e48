"""Status snapshots, numbered events, and subscriptions. Snapshots and events are immutable."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from manager.state import LoadProgress, State


class WeightsStatus(NamedTuple):  # a tuple, since every snapshot makes one for each model
    """One set of weights and the models that share it."""

    weights: str
    model_ids: tuple[str, ...]
    state: State
    reason: str
    device: str
    bytes: int  # charged on the device now
    need: int | None  # bytes that it takes there when loaded; None while unknown
    leases: int
    waiting: int
    pinned: bool
    remote: bool  # held by another program
    progress: LoadProgress | None
    retry_in: float | None  # seconds until failed weights may be tried again
    load_seconds: float  # measured or estimated; from host memory if there is a copy
    cache: int = 0  # bytes reserved for cached conversations, on top of `bytes`
    host: int = 0  # bytes of its copy in host memory
    answered: float | None = None  # seconds since its remote server last answered


@dataclass(frozen=True)
class DeviceStatus:
    """The weights and bytes on one device."""

    device: str
    loaded: int
    max_loaded: int
    bytes: int  # all charges: weights, cached conversations and leaks
    budget: int | None  # bytes; None without a limit
    leaked: int


@dataclass(frozen=True)
class QueueStatus:
    """One waiting request."""

    model_id: str
    owner: str | None
    position: int
    waited: float  # seconds
    expected: float | None = None  # remaining seconds, as forecast.py estimates them; None if unknown


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One span of the timeline: a `fetch`, `load`, `wake`, `unload`, `wait` or `failure` (of zero length)."""

    number: int  # of its first event
    kind: str
    weights: str
    model_ids: tuple[str, ...]
    owner: str | None
    begun: float  # seconds since the epoch
    ended: float | None  # seconds since the epoch; None while it lasts
    bytes: int
    reason: str  # why it began
    outcome: str = ""  # how it ended


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of everything at one moment. `version` is the number of the last event that it includes."""

    version: int
    at: float  # seconds since the epoch
    weights: tuple[WeightsStatus, ...]
    devices: tuple[DeviceStatus, ...]
    queue: tuple[QueueStatus, ...]
    parked: int = 0  # bytes of host memory taken by copies of weights
    parking: int | None = None  # the limit on that; None where nothing can be parked
    timeline: tuple[Entry, ...] = ()  # recent spans, by the time when they began

    def of(self, model_id: str) -> WeightsStatus | None:
        """Return the status of a model's weights, or None for an unknown model."""
        return next((row for row in self.weights if model_id in row.model_ids), None)


@dataclass(frozen=True, kw_only=True)
class StatusEvent:
    """One change. Numbers have no gaps.

    `kind` is one of: state; waiting, granted, refused, released (requests); progress, measured (work on weights);
    recovered (leaked bytes); registered, pinned, removed (models).
    """

    number: int
    at: float  # seconds since the epoch
    kind: str
    weights: str
    model_ids: tuple[str, ...]
    state: State
    reason: str = ""
    owner: str | None = None
    bytes: int = 0
    progress: LoadProgress | None = None
    ticket: int | None = None  # number of the request


@dataclass(frozen=True)
class Heartbeat:
    """The manager is alive, and the event numbered `version` is the newest."""

    version: int
    at: float


@dataclass(frozen=True)
class Resync:
    """Events were dropped because the subscriber was too slow: continue from this snapshot."""

    snapshot: Snapshot


class Subscription:
    """A stream of events for one listener. It stores at most `capacity` of them."""

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
        """Add an event. Called by the manager; never waits."""
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
        """Store the latest heartbeat, behind all events. Called by the manager; never waits."""
        with self._changed:
            self._beat = heartbeat
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> StatusEvent | Resync | Heartbeat | None:
        """Wait for the next event and return it.

        Returns:
            An event; a Resync after an overrun; a Heartbeat if nothing else happened for a while; None after `timeout`
            seconds or once the subscription is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._overrun or self._beat or self._closed, timeout)
            beat, self._beat = self._beat, None
            if self._events:
                return self._events.popleft()
            if not self._overrun:
                return beat
        # The snapshot takes the manager's lock, which is held while events are offered: never take it under ours.
        # Events offered in between are dropped if the snapshot includes them.
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
        """End the subscription, waking a pending `get`."""
        self._forget(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
