"""The timeline: recent downloads, loads, waits, unloads and failures as spans of time that a page can draw.

It is folded from the manager's events, one at a time. Memory is bounded: the oldest finished spans are dropped first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from manager.state import State
from manager.status.snapshot import Entry, StatusEvent

CAPACITY = 200
"""How many finished spans are stored."""

BEGINS = {State.LOADING: "load", State.WAKING: "wake", State.DRAINING: "unload"}
"""The transitional states of weights, with the kinds of their spans."""


@dataclass(frozen=True)
class _Span:
    """Identifies an open span: work on weights, or the wait of a ticket."""

    kind: str
    of: Hashable


class Timeline:
    """The recent spans and the open ones. Calls `ended` with each span that ends."""

    def __init__(self, capacity: int = CAPACITY, ended: Callable[[Entry], None] = lambda _: None) -> None:
        self._on_end = ended
        self._ended: deque[Entry] = deque(maxlen=capacity)
        self._open: dict[_Span, Entry] = {}
        self._entries: tuple[Entry, ...] | None = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All spans by the time when they began. Open ones have no end yet."""
        if self._entries is None:
            self._entries = tuple(sorted([*self._ended, *self._open.values()], key=lambda entry: entry.number))
        return self._entries

    def wants(self, kind: str, ticket: int | None) -> bool:
        """Return whether an event of this kind may change the timeline (most leases are granted without a wait)."""
        if kind == "granted":
            return _Span("wait", ticket) in self._open
        return kind in ("state", "waiting", "refused", "progress", "measured")

    def record(self, event: StatusEvent) -> None:
        """Update the spans after an event."""
        match event.kind:
            case "waiting":
                self._begin(_Span("wait", event.ticket), event)
            case "granted":
                self._end(_Span("wait", event.ticket), event, "granted")
            case "refused":
                self._end(_Span("wait", event.ticket), event, event.reason)
            case "state":
                self._state(event)
        fetching = event.progress is not None and event.progress.stage == "fetching"
        fetch = _Span("fetch", event.weights)
        if fetching and event.kind == "progress" and fetch not in self._open:
            self._begin(fetch, event)
        elif not fetching and fetch in self._open:
            self._end(fetch, event, event.reason if event.state is State.FAILED else "")

    def _state(self, event: StatusEvent) -> None:
        for kind in BEGINS.values():
            self._end(_Span(kind, event.weights), event, event.reason)
        if event.state in BEGINS:
            self._begin(_Span(BEGINS[event.state], event.weights), event)
        elif event.state is State.FAILED:
            self._store(replace(_entry("failure", event), ended=event.at))

    def _begin(self, span: _Span, event: StatusEvent) -> None:
        self._open[span] = _entry(span.kind, event)
        self._entries = None

    def _end(self, span: _Span, event: StatusEvent, outcome: str) -> None:
        entry = self._open.pop(span, None)
        if entry is not None:
            size = event.progress.total if event.progress and span.kind == "fetch" else event.bytes
            self._store(replace(entry, ended=event.at, bytes=max(entry.bytes, size), outcome=outcome))

    def _store(self, entry: Entry) -> None:
        self._ended.append(entry)
        self._on_end(entry)
        self._entries = None


def _entry(kind: str, event: StatusEvent) -> Entry:
    size = event.progress.total if event.progress is not None else event.bytes
    return Entry(
        number=event.number,
        kind=kind,
        weights=event.weights,
        model_ids=event.model_ids,
        owner=event.owner,
        begun=event.at,
        ended=None,
        bytes=size,
        reason=event.reason,
    )
