"""Whose negotiation runs next: a bounded number of lanes, and a queue for them that is fair between visitors.

Knows nothing of negotiations or threads: whoever wants a lane says what to call when it has one. Visitors take turns,
so that one with fifty negotiations gets no more turns than one with a single one; each one's own begin in their
order. What runs in the background gets a lane when no watched negotiation can use it, or when eight of those went
before it, and never has the last quarter of the lanes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.admission.rate_limits import Rates, again

logger = logging.getLogger(__name__)

BYPASS_BOUND = 8
"""How many watched negotiations may go before one in the background."""
CLOSED = "the server is being restarted and begins nothing new; try again in a minute"


@dataclass(frozen=True)
class QueuePosition:
    """Where a negotiation waits: how many other visitors and how many negotiations come first, and how long (guessed).

    `own` says that it waits for one of its own visitor's to end.
    """

    visitors: int
    ahead: int
    expected_seconds: float | None
    own: bool = False


class Stage(Enum):
    """What became of a ticket."""

    ENTERING = "entering"  # it has a place, and is not ready to begin
    WAITING = "waiting"
    RUNNING = "running"
    ASIDE = "aside"  # it waits for a person, and holds no lane
    GONE = "gone"


@dataclass(eq=False)
class Ticket:
    """One negotiation that wants a lane."""

    caller: Caller
    background: bool
    stage: Stage = Stage.ENTERING
    begin: Callable[[], None] = field(default=lambda: None, repr=False)
    since: float = 0.0  # when its stage began


Ring = dict[str, deque[Ticket]]
"""Who waits, by visitor, in the order in which visitors take turns."""


class Lanes:
    """The lanes of this process. Safe between threads.

    `begin` is called without any lock held, and one after the other: each is to hand its work to a thread and return.
    `waited` is told for how many seconds a watched negotiation waited, and `refused` counts those that were not taken.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.limits = limits or Limits()
        self.refused = 0
        self._clock = clock
        self._waited = waited
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)  # nothing runs
        self._open: set[Ticket] = set()
        self._watched: Ring = {}
        self._background: Ring = {}
        self._running: Counter[str] = Counter()  # by visitor
        self._running_behind: Counter[str] = Counter()  # of those, in the background
        self._granting = False  # whether some thread begins what there are lanes for
        self._bypassed = 0
        self._held: float | None = None  # how long a watched negotiation holds a lane, on average
        self._rates = Rates(self.limits)
        self._closed = False

    # -- coming and going --------------------------------------------------------------------------------------

    def enter(self, caller: Caller, *, background: bool = False) -> Ticket:
        """A place for a negotiation, not yet waiting; raises LimitReached, for a watched one only."""
        with self._lock:
            now = self._clock()
            ticket = Ticket(caller, background, since=now)
            if not background:
                self._check(caller, 1, now)
                self._rates.begun(caller, now)
            self._open.add(ticket)
            return ticket

    def wait(self, ticket: Ticket, begin: Callable[[], None], *, first: bool = False) -> None:
        """Have `begin` called once there is a lane: at once, if there is one now. `first`: before the visitor's own."""
        with self._lock:
            if ticket.stage not in (Stage.ENTERING, Stage.ASIDE):
                return
            self._set(ticket, Stage.WAITING)
            ticket.begin = begin
            row = self._ring(ticket).setdefault(ticket.caller.visitor, deque())
            row.appendleft(ticket) if first else row.append(ticket)
        self._grant()

    def withdraw(self, ticket: Ticket) -> bool:
        """Wait no longer: whether it waited; its `begin` is not called then."""
        with self._lock:
            waited = ticket.stage is Stage.WAITING
            if waited:
                self._unqueue(ticket)
                self._set(ticket, Stage.ASIDE)
            return waited

    def step_aside(self, ticket: Ticket) -> None:
        """Give the lane back and keep the place, to `wait` again."""
        with self._lock:
            self._release(ticket, Stage.ASIDE)
        self._grant()

    def leave(self, ticket: Ticket) -> None:
        """The negotiation is over; does nothing the second time."""
        with self._lock:
            if ticket.stage is Stage.WAITING:
                self._unqueue(ticket)
            self._release(ticket, Stage.GONE)
            self._open.discard(ticket)
        self._grant()

    def spend(self, caller: Caller, tokens: int) -> None:
        """Tokens were written for somebody."""
        if tokens and not caller.operator:
            with self._lock:
                self._rates.written(caller, tokens, self._clock())

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing runs, at most so long; whether nothing does."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, seconds)

    # -- looking -----------------------------------------------------------------------------------------------

    def positions(self) -> dict[Ticket, QueuePosition]:
        """Where everything waits that is watched."""
        with self._lock:
            return dict(self._positions())

    @property
    def closed(self) -> bool:
        """Whether nothing more begins."""
        return self._closed

    def count(self, stage: Stage, *, background: bool) -> int:
        """How many negotiations there are in a stage."""
        with self._lock:
            return sum(ticket.stage is stage and ticket.background == background for ticket in self._open)

    def visitors(self) -> int:
        """How many visitors have a negotiation here."""
        with self._lock:
            return len({ticket.caller.visitor for ticket in self._open})

    # -- limits ------------------------------------------------------------------------------------------------

    def check(self, caller: Caller, count: int = 1) -> None:
        """Raises LimitReached if a visitor may not begin so many negotiations now."""
        with self._lock:
            self._check(caller, count, self._clock())

    def _check(self, caller: Caller, count: int, now: float) -> None:
        try:
            self._check_room(caller, count)
            if not caller.operator:
                self._check_share(caller, count)
                self._rates.check(caller, count, now)
        except LimitReached:
            self.refused += 1
            raise

    def _check_room(self, caller: Caller, count: int) -> None:
        """Whether so many more may run or wait."""
        if self._closed:
            raise LimitReached(CLOSED)
        limits, running = self.limits, self._running
        waiting = sum(t.stage in (Stage.WAITING, Stage.ENTERING) for t in self._open if not t.background)
        at_once = min(limits.lanes - running.total(), limits.lanes_per_visitor - running[caller.visitor])
        if count > at_once and waiting + count - max(0, at_once) > limits.queue:
            about = again(self._seconds(waiting, limits.lanes))
            raise LimitReached(
                f"{waiting} negotiations wait here already, and {limits.queue} is the limit; try again{about}"
            )

    def _check_share(self, caller: Caller, count: int) -> None:
        """Whether a visitor, and their address, may have so many more."""
        limits, open_ = self.limits, [ticket for ticket in self._open if not ticket.background]
        own = sum(ticket.caller.visitor == caller.visitor for ticket in open_)
        most = limits.lanes_per_visitor + limits.queue_per_visitor
        if own + count > most:
            about = again(self._seconds(1, limits.lanes_per_visitor))
            raise LimitReached(
                f"you have {own} negotiations that run or wait, and {most} is the limit; stop one, or try again{about}"
            )
        most = limits.open_per_address or len(open_) + count
        there = sum(ticket.caller.address == caller.address for ticket in open_)
        if caller.address and there + count > most:
            about = again(self._seconds(1, most))
            raise LimitReached(
                f"{there} negotiations of your network address run or wait, and {most} is the limit; try again{about}"
            )

    # -- the queue, with the lock held -------------------------------------------------------------------------

    def _grant(self) -> None:
        """Begin what there are lanes for; called without the lock.

        One thread does, for all others, so that what ends as soon as it begins is followed by the next in a loop.
        """
        with self._lock:
            if self._granting:
                return
            self._granting = True
        while (ticket := self._granted()) is not None:
            try:
                ticket.begin()
            except Exception:
                logger.exception("a negotiation could not begin")
                self.leave(ticket)

    def _granted(self) -> Ticket | None:
        """What has got a lane now and is to begin; None, and granting is over, if there is nothing."""
        with self._lock:
            ticket = self._next()
            if ticket is None:
                self._granting = False
                return None
            self._unqueue(ticket)
            if not ticket.background:
                self._waited(self._clock() - ticket.since)
            self._set(ticket, Stage.RUNNING)
            ring, visitor = self._ring(ticket), ticket.caller.visitor
            if visitor in ring:  # its next turn is after everybody's
                ring[visitor] = ring.pop(visitor)
            self._running[visitor] += 1
            self._running_behind[visitor] += ticket.background
            return ticket

    def _next(self) -> Ticket | None:
        """What is to begin now."""
        limits = self.limits
        if self._closed or self._running.total() >= limits.lanes:
            return None
        watched = self._turn(self._watched, limits.lanes_per_visitor)
        behind = None
        if self._running_behind.total() < max(1, limits.lanes - max(1, limits.lanes // 4)):
            behind = self._turn(self._background, max(1, limits.lanes_per_visitor // 2))
        if behind is not None and (watched is None or self._bypassed >= BYPASS_BOUND):
            self._bypassed = 0
            return behind
        self._bypassed += behind is not None
        return watched

    def _turn(self, ring: Ring, each: int) -> Ticket | None:
        """The first of whose turn it is, among visitors who may have one more running of so many of this kind."""
        most = self.limits.lanes_per_visitor
        of_kind = self._running_behind if ring is self._background else self._running
        for visitor, row in ring.items():
            if row[0].caller.operator or (self._running[visitor] < most and of_kind[visitor] < each):
                return row[0]
        return None

    def _unqueue(self, ticket: Ticket) -> None:
        ring, visitor = self._ring(ticket), ticket.caller.visitor
        ring[visitor].remove(ticket)
        if not ring[visitor]:
            del ring[visitor]

    def _release(self, ticket: Ticket, stage: Stage) -> None:
        if ticket.stage is Stage.RUNNING:
            self._running[ticket.caller.visitor] -= 1
            self._running_behind[ticket.caller.visitor] -= ticket.background
            for counter in (self._running, self._running_behind):
                if not counter[ticket.caller.visitor]:
                    del counter[ticket.caller.visitor]
            if not self._running:
                self._idle.notify_all()
            if not ticket.background:
                held = self._clock() - ticket.since
                self._held = held if self._held is None else self._held + 0.2 * (held - self._held)
        if ticket.stage is not Stage.GONE:
            self._set(ticket, stage)

    def _set(self, ticket: Ticket, stage: Stage) -> None:
        ticket.stage, ticket.since = stage, self._clock()

    def _ring(self, ticket: Ticket) -> Ring:
        return self._background if ticket.background else self._watched

    def _positions(self) -> Iterator[tuple[Ticket, QueuePosition]]:
        """Everything that waits, in the order in which it begins if nothing else comes."""
        seen: Counter[str] = Counter()
        limits, ahead = self.limits, 0
        rows = {visitor: list(row) for visitor, row in self._watched.items()}
        for turn in range(max(map(len, rows.values()), default=0)):
            for visitor, row in rows.items():
                if turn >= len(row):
                    continue
                own = self._running[visitor] >= limits.lanes_per_visitor and not row[turn].caller.operator
                expected = self._seconds(ahead + 1, limits.lanes)
                if own and expected is not None:
                    expected = max(expected, self._seconds(turn + 1, limits.lanes_per_visitor) or 0.0)
                yield row[turn], QueuePosition(len(seen) - (visitor in seen), ahead, expected, own)
                seen[visitor] += 1
                ahead += 1

    def _seconds(self, turns: int, lanes: int) -> float | None:
        """How long it takes until so many negotiations of so many lanes have ended, in whole seconds.

        Each is taken to last as long as others did of late, or as those that run now have by now.
        """
        if self._held is None:
            return None
        began = [t.since for t in self._open if t.stage is Stage.RUNNING and not t.background]
        by_now = self._clock() - sum(began) / len(began) if began else 0.0
        return float(round(turns * max(self._held, by_now) / lanes))
