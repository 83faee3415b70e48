"""A bounded number of lanes in which negotiations run, and a queue for them that is fair between visitors.

Does not know negotiations or threads: a ticket comes with a function to call once it has a lane. Background work gets
a lane when no watched negotiation can use it, or after eight of those went first, and never the last quarter of the
lanes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from negotiation.admission.fair_queue import FairQueue
from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.admission.rate_limits import Rates, again
from negotiation.admission.tickets import LaneTicket, QueuePosition, Stage

logger = logging.getLogger(__name__)

BYPASS_BOUND = 8
"""How many watched negotiations may overtake one in the background."""
CLOSED = "the server is restarting and accepts nothing new; try again in a minute"


class Lanes:
    """The lanes of this process. Thread-safe.

    A ticket's `begin` is called without locks held, one at a time; it should hand its work to a thread and return.

    Args:
        limits: How many negotiations may run and wait; the private defaults if None.
        waited: Called with the seconds that each watched negotiation waited.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.limits = limits or Limits()
        self.refused = 0  # negotiations beyond a limit
        self._clock = clock
        self._waited = waited
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)  # nothing runs
        self._open: set[LaneTicket] = set()
        self._watched: FairQueue[LaneTicket] = FairQueue()
        self._background: FairQueue[LaneTicket] = FairQueue()
        self._running: Counter[str] = Counter()  # by visitor
        self._running_background: Counter[str] = Counter()  # of those, in the background
        self._granting = False  # whether a thread is handing out lanes
        self._bypassed = 0
        self._lane_seconds: float | None = None  # how long a watched negotiation holds a lane, on average
        self._rates = Rates(self.limits)
        self._closed = False

    # -- entering and leaving --------------------------------------------------------------------------------------

    def enter(self, caller: Caller, *, background: bool = False) -> LaneTicket:
        """Admit a negotiation, which does not wait for a lane yet; raises LimitReached, for a watched one only."""
        with self._lock:
            now = self._clock()
            ticket = LaneTicket(caller, background, since=now)
            if not background:
                self._check(caller, 1, now)
                self._rates.begun(caller, now)
            self._open.add(ticket)
            return ticket

    def wait(self, ticket: LaneTicket, begin: Callable[[], None], *, first: bool = False) -> None:
        """Call `begin` as soon as there is a lane; `first` puts the ticket before the visitor's others."""
        with self._lock:
            if ticket.stage not in (Stage.ENTERING, Stage.ASIDE):
                return
            self._set(ticket, Stage.WAITING)
            ticket.begin = begin
            self._queue(ticket).add(ticket.caller.visitor, ticket, first=first)
        self._grant()

    def withdraw(self, ticket: LaneTicket) -> bool:
        """Stop waiting, so that `begin` is not called. Return False if the ticket was not waiting."""
        with self._lock:
            waited = ticket.stage is Stage.WAITING
            if waited:
                self._unqueue(ticket)
                self._set(ticket, Stage.ASIDE)
            return waited

    def step_aside(self, ticket: LaneTicket) -> None:
        """Give the lane back but stay admitted; `wait` queues for a lane again."""
        with self._lock:
            self._release(ticket, Stage.ASIDE)
        self._grant()

    def leave(self, ticket: LaneTicket) -> None:
        """End a ticket; does nothing the second time."""
        with self._lock:
            if ticket.stage is Stage.WAITING:
                self._unqueue(ticket)
            self._release(ticket, Stage.GONE)
            self._open.discard(ticket)
        self._grant()

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count tokens that were written for a visitor."""
        if tokens and not caller.operator:
            with self._lock:
                self._rates.written(caller, tokens, self._clock())

    def close(self) -> None:
        """Start nothing more."""
        with self._lock:
            self._closed = True

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait up to `seconds` until nothing runs; return whether nothing does."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, seconds)

    # -- status ------------------------------------------------------------------------------------------------

    def positions(self) -> dict[LaneTicket, QueuePosition]:
        """Return the queue positions of all watched negotiations that wait."""
        with self._lock:
            return dict(self._positions())

    @property
    def closed(self) -> bool:
        """Whether nothing more starts."""
        return self._closed

    def count(self, stage: Stage, *, background: bool) -> int:
        """Return how many negotiations are in a stage."""
        with self._lock:
            return sum(ticket.stage is stage and ticket.background == background for ticket in self._open)

    def visitors(self) -> int:
        """Return how many visitors have a negotiation here."""
        with self._lock:
            return len({ticket.caller.visitor for ticket in self._open})

    # -- limits ------------------------------------------------------------------------------------------------

    def check(self, caller: Caller, count: int = 1) -> None:
        """Raise LimitReached if a visitor may not start `count` negotiations now."""
        with self._lock:
            self._check(caller, count, self._clock())

    def _check(self, caller: Caller, count: int, now: float) -> None:
        try:
            self._check_room(caller, count)
            if not caller.operator:
                self._check_quota(caller, count)
                self._rates.check(caller, count, now)
        except LimitReached:
            self.refused += 1
            raise

    def _check_room(self, caller: Caller, count: int) -> None:
        """Raise LimitReached if the lanes and the queue have no room for `count` more."""
        if self._closed:
            raise LimitReached(CLOSED)
        limits, running = self.limits, self._running
        waiting = sum(t.stage in (Stage.WAITING, Stage.ENTERING) for t in self._open if not t.background)
        at_once = min(limits.lanes - running.total(), limits.lanes_per_visitor - running[caller.visitor])
        if count > at_once and waiting + count - max(0, at_once) > limits.queue:
            about = again(self._seconds(waiting, limits.lanes))
            raise LimitReached(
                f"the queue has no room: {waiting} negotiations are waiting (limit: {limits.queue}); try again{about}"
            )

    def _check_quota(self, caller: Caller, count: int) -> None:
        """Raise LimitReached if a visitor, or their network address, may not have `count` more."""
        limits, open_ = self.limits, [ticket for ticket in self._open if not ticket.background]
        own = sum(ticket.caller.visitor == caller.visitor for ticket in open_)
        most = limits.lanes_per_visitor + limits.queue_per_visitor
        if own + count > most:
            about = again(self._seconds(1, limits.lanes_per_visitor))
            raise LimitReached(
                f"you have {own} negotiations running or waiting (limit: {most}); stop one, or try again{about}"
            )
        most = limits.open_per_address or len(open_) + count
        there = sum(ticket.caller.address == caller.address for ticket in open_)
        if caller.address and there + count > most:
            about = again(self._seconds(1, most))
            raise LimitReached(
                f"{there} negotiations from your network address are running or waiting (limit: {most}); "
                f"try again{about}"
            )

    # -- handing out lanes ---------------------------------------------------------------------------------------

    def _grant(self) -> None:
        """Start what there are lanes for; called without the lock.

        One thread works for all others, so that a negotiation that ends at once is followed in a loop, not a recursion.
        """
        with self._lock:
            if self._granting:
                return
            self._granting = True
        while (ticket := self._granted()) is not None:
            try:
                ticket.begin()
            except Exception:
                logger.exception("a negotiation could not start")
                self.leave(ticket)

    def _granted(self) -> LaneTicket | None:
        """Give the next ticket its lane and return it; None, and granting is over, if there is none."""
        with self._lock:
            ticket = self._next()
            if ticket is None:
                self._granting = False
                return None
            self._unqueue(ticket)
            if not ticket.background:
                self._waited(self._clock() - ticket.since)
            self._set(ticket, Stage.RUNNING)
            visitor = ticket.caller.visitor
            self._queue(ticket).rotate(visitor)
            self._running[visitor] += 1
            self._running_background[visitor] += ticket.background
            return ticket

    def _next(self) -> LaneTicket | None:
        limits = self.limits
        if self._closed or self._running.total() >= limits.lanes:
            return None
        watched = self._watched.next(self._may_start)
        background = None
        if self._running_background.total() < max(1, limits.lanes - max(1, limits.lanes // 4)):
            background = self._background.next(self._may_start)
        if background is not None and (watched is None or self._bypassed >= BYPASS_BOUND):
            self._bypassed = 0
            return background
        self._bypassed += background is not None
        return watched

    def _may_start(self, ticket: LaneTicket) -> bool:
        """Return whether a ticket's visitor may have one more lane; half of theirs are for background work."""
        visitor, most = ticket.caller.visitor, self.limits.lanes_per_visitor
        if ticket.caller.operator:
            return True
        half = ticket.background and self._running_background[visitor] >= max(1, most // 2)
        return self._running[visitor] < most and not half

    def _queue(self, ticket: LaneTicket) -> FairQueue[LaneTicket]:
        return self._background if ticket.background else self._watched

    def _unqueue(self, ticket: LaneTicket) -> None:
        self._queue(ticket).remove(ticket.caller.visitor, ticket)

    def _release(self, ticket: LaneTicket, stage: Stage) -> None:
        if ticket.stage is Stage.RUNNING:
            for counter, lanes in ((self._running, 1), (self._running_background, int(ticket.background))):
                counter[ticket.caller.visitor] -= lanes
                if not counter[ticket.caller.visitor]:
                    del counter[ticket.caller.visitor]
            if not self._running:
                self._idle.notify_all()
            if not ticket.background:
                seconds, average = self._clock() - ticket.since, self._lane_seconds
                self._lane_seconds = seconds if average is None else average + 0.2 * (seconds - average)
        if ticket.stage is not Stage.GONE:
            self._set(ticket, stage)

    def _set(self, ticket: LaneTicket, stage: Stage) -> None:
        ticket.stage, ticket.since = stage, self._clock()

    # -- estimates -------------------------------------------------------------------------------------------------

    def _positions(self) -> Iterator[tuple[LaneTicket, QueuePosition]]:
        """Yield all watched tickets in the order in which they start if nothing else arrives."""
        seen: Counter[str] = Counter()
        limits = self.limits
        for ahead, (turn, ticket) in enumerate(self._watched.in_order()):
            visitor = ticket.caller.visitor
            own = self._running[visitor] >= limits.lanes_per_visitor and not ticket.caller.operator
            expected = self._seconds(ahead + 1, limits.lanes)
            if own and expected is not None:
                expected = max(expected, self._seconds(turn + 1, limits.lanes_per_visitor) or 0.0)
            yield ticket, QueuePosition(len(seen) - (visitor in seen), ahead, expected, own)
            seen[visitor] += 1

    def _seconds(self, turns: int, lanes: int) -> float | None:
        """Estimate in whole seconds when `turns` negotiations will have ended in `lanes` lanes.

        Each is assumed to last as long as recent ones did, or as those that run now already have.
        """
        if self._lane_seconds is None:
            return None
        began = [t.since for t in self._open if t.stage is Stage.RUNNING and not t.background]
        so_far = self._clock() - sum(began) / len(began) if began else 0.0
        return float(round(turns * max(self._lane_seconds, so_far) / lanes))
