"""The events of a run for its watchers, from the beginning: live while it is driven, from the store afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from negotiation.game.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Queued,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.runs.record import Run
from negotiation.scenario.model import Seat


def stored_events(run: Run) -> list[Event]:
    """Return the lasting events of a stored run, as a watcher would have seen them."""
    names: dict[Seat, str] = {seat: config.agent for seat, config in run.agents.items()}
    events: list[Event] = [Started(run.run_id, run.scenario.scenario_id, names, run.seed)]
    events += [TurnTaken(turn) for turn in run.turns]
    if run.status == "done" and run.ending is not None and run.measures is not None:
        events.append(Ended(run.ending, run.ended_by, run.agreement, run.measures))
    elif run.status in ("stopped", "interrupted", "failed"):
        events.append(Halted(run.status, run.reason))
    return events


class Feed:
    """The events of a run so far, and the number of its watchers. Thread-safe; watchers do not delay each other.

    `watched` says whether the run needs a watcher to go on.
    """

    def __init__(self, clock: Callable[[], float], *, watched: bool = True) -> None:
        self.watchers = 0
        self.turns: list[Turn] = []
        self.ended = False
        self._clock = clock
        self._watched = watched
        self._unwatched_since = clock()
        self._changed = threading.Condition()
        self._events: list[tuple[int, Event]] = []
        self._count = 0

    def publish(self, event: Event) -> None:
        """Add an event. The passing events of a turn are dropped once it is taken."""
        with self._changed:
            if isinstance(event, TurnTaken):
                self.turns.append(event.turn)
                passing = (Queued, TurnStarted, Waiting, Asked, Writing, Rejected)
                self._events = [entry for entry in self._events if not isinstance(entry[1], passing)]
            elif isinstance(event, Waiting | Queued) and self._events and type(self._events[-1][1]) is type(event):
                self._events.pop()  # out of date
            self._count += 1
            self._events.append((self._count, event))
            self.ended = isinstance(event, Ended | Halted)
            self._changed.notify_all()

    @property
    def latest(self) -> Event | None:
        """The newest event, None before the first."""
        with self._changed:
            return self._events[-1][1] if self._events else None

    def after(self, number: int, timeout: float) -> tuple[int, list[Event]]:
        """Wait up to `timeout` seconds for events after `number`; return the last event's number and the events."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > number, timeout)
            return self._count, [event for count, event in self._events if count > number]

    def enter(self) -> None:
        """Count one more watcher."""
        with self._changed:
            self.watchers += 1

    def leave(self) -> None:
        """Count one watcher less."""
        with self._changed:
            self.watchers -= 1
            self._unwatched_since = self._clock()

    def orphaned(self, grace: float) -> bool:
        """Return whether the run needs a watcher and has had none for `grace` seconds."""
        with self._changed:
            return self._watched and not self.watchers and self._clock() - self._unwatched_since >= grace


class Watch:
    """A subscription to a run, for a `with` block; the run may stop some time after the last one is closed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._number = 0
        self._open = True
        feed.enter()

    def poll(self, timeout: float) -> list[Event]:
        """Return new events (at first, all so far); empty if there were none within `timeout` seconds."""
        self._number, events = self._feed.after(self._number, timeout)
        return events

    def __iter__(self) -> Iterator[Event]:
        while True:
            for event in self.poll(60.0):
                yield event
                if isinstance(event, Ended | Halted):
                    return

    def close(self) -> None:
        """Stop watching; does nothing the second time."""
        if self._open:
            self._open = False
            self._feed.leave()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
