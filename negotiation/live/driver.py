"""Drives runs, each on its own thread while it has a lane; a run that waits for a person holds neither.

A turn or an ending is stored before it is published. live_runs.py keeps track of the runs, lanes.py hands out lanes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from manager.cancel import CancelToken
from manager.errors import Busy, ParleyError
from negotiation.admission.lanes import Lanes
from negotiation.admission.tickets import LaneTicket, Stage
from negotiation.agents.catalog import Catalog
from negotiation.agents.human import read_answer
from negotiation.agents.purse import Purse
from negotiation.errors import NotAsked, NotDriven
from negotiation.game.agent import Decision
from negotiation.game.events import Asked, Ended, Event, EventListener, Halted, Queued, Started, TurnTaken
from negotiation.game.session import replay
from negotiation.live.feed import Feed
from negotiation.live.threads import ThreadGroup
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Offer

logger = logging.getLogger(__name__)

SHUT_DOWN = "the program was shut down"
NO_THREAD = "the server has no room for another negotiation now; continue this one later"
NOT_ASKED = "it is not your turn: the time to answer may have run out, or the negotiation has ended"


class LiveRun(Feed):
    """A run while it is driven, and the feed that its watchers follow."""

    def __init__(self, run: Run, ticket: LaneTicket, clock: Callable[[], float], purse: Purse) -> None:
        super().__init__(clock, watched=not ticket.background)
        self.run = run
        self.ticket = ticket
        self.purse = purse
        self.cancel = CancelToken()
        self.driving: Generator[Event, Any, None] | None = None
        self.halt: Halted | None = None  # how to record it once it has stopped
        self.asked: Asked | None = None  # the open question to a person: the run is aside, and no thread drives it
        self.answer_by = 0.0


class Driver:
    """Drives the runs of this process. Thread-safe.

    The lock guards `halt` and `asked` of each run. It is not held during calls to the store, nor to the lanes, except
    for their queue positions.

    Args:
        on_event: Called with a run's id and each of its events.
        left: Called with each run that is over, whatever the reason.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        lanes: Lanes,
        clock: Callable[[], float],
        on_event: EventListener,
        left: Callable[[LiveRun], None],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._on_event = on_event
        self._left = left
        self._lock = threading.Lock()
        self._threads = ThreadGroup()
        self._draining = False
        self._unrecorded: dict[str, Halted] = {}  # endings that the store could not record yet

    # -- controlling a run ------------------------------------------------------------------------------------

    def go_on(self, live: LiveRun, answer: Decision | None = None) -> None:
        """Drive a run once it has a lane; one with an answer goes before its visitor's other runs."""
        # In the context of the request that started it: ZeroGPU's client reads from it whose GPU time to use.
        begin = partial(self._begin, live, answer, copy_context())
        self._lanes.wait(live.ticket, begin, first=answer is not None)
        if self._draining:
            self.interrupt(live)
        if live.halt is not None:  # it was stopped in the meantime
            self._end_waiting(live)

    def answer(self, live: LiveRun, action: str, offer: Offer | None, message: str) -> None:
        """Take the turn of the person who is asked.

        Raises:
            IllegalTurn: The action is not allowed now; the person can answer again.
            NotAsked: No person is asked in this run.
        """
        with self._lock:
            if live.asked is None:
                raise NotAsked(NOT_ASKED)
            decision = read_answer(replay(live.run.scenario, tuple(live.turns)), action, offer, message)
            live.asked = None
        self.go_on(live, decision)

    def halt(self, live: LiveRun, how: Halted, unanswered: Asked | None = None) -> None:
        """Stop a run at its next token and record it as `how`; later calls have no effect.

        With `unanswered`, stop it only if that question is still open.
        """
        with self._lock:
            if live.halt is not None or (unanswered is not None and live.asked is not unanswered):
                return
            live.halt = how
            aside, live.asked = live.asked is not None, None
        live.cancel.cancel()
        if aside:
            self._begin(live, None, copy_context())
        else:
            self._end_waiting(live)

    def interrupt(self, live: LiveRun) -> None:
        """Stop a run because the program is shutting down."""
        self.halt(live, Halted("interrupted", SHUT_DOWN))

    def publish_positions(self, runs: Iterable[LiveRun]) -> None:
        """Publish to the watchers of each waiting run its position in the queue."""
        with self._lock:  # so that none of them starts in between
            positions = self._lanes.positions()
            for live in runs:
                if (position := positions.get(live.ticket)) is not None:
                    queued = Queued(position.visitors, position.ahead, position.expected_seconds, position.own)
                    if not live.ended and live.latest != queued:
                        live.publish(queued)

    def drain(self, runs: Callable[[], Iterable[LiveRun]]) -> None:
        """Interrupt all runs that wait for a lane or a person, now and later; running ones continue."""
        with self._lock:
            self._draining = True
        for live in runs():
            if live.asked is not None or live.ticket.stage is Stage.WAITING:
                self.interrupt(live)

    def join(self) -> None:
        """Wait until no run is driven."""
        self._threads.join()

    def record_ends(self) -> None:
        """Record the endings that the store could not record before; raises StoreError."""
        with self._lock:
            unrecorded = dict(self._unrecorded)
        for run_id, halted in unrecorded.items():
            with suppress(NotDriven):
                self._store.end(run_id, halted)
            with self._lock:
                del self._unrecorded[run_id]

    # -- driving -----------------------------------------------------------------------------------------------

    def _end_waiting(self, live: LiveRun) -> None:
        """Drive a stopped run that waits for a lane to its end, which needs no lane."""
        if self._lanes.withdraw(live.ticket):
            self._begin(live, None, copy_context())

    def _begin(self, live: LiveRun, answer: Decision | None, context: Context) -> None:
        """Drive a run on its own thread until it ends or a person is asked."""
        drive = partial(context.run, self._drive, live, answer)
        try:
            with self._lock:
                self._threads.begin(f"run {live.run.run_id}", drive)
        except Busy:
            if live.halt is not None:  # recording that it was stopped needs no thread
                self._drive(live, None)
            else:
                self._fail(live, NO_THREAD)
                self._leave(live)

    def _drive(self, live: LiveRun, answer: Decision | None) -> None:
        aside = False
        try:
            aside = self._advance(live, answer)
        except ParleyError as error:  # the store cannot write: publish the reason
            self._fail(live, str(error))
        except BaseException:  # a panic in a Rust extension is not an Exception
            logger.exception("run %s failed with an internal error", live.run.run_id)
            self._fail(live, "an internal error; the log has the details")
        finally:
            if not aside:
                self._leave(live)

    def _advance(self, live: LiveRun, answer: Decision | None) -> bool:
        """Record and publish events until the end (return False) or until a person is asked (return True)."""
        run_id, driving = live.run.run_id, live.driving
        assert driving is not None
        while (event := _next(driving, answer)) is not None:
            answer = None
            if isinstance(event, Halted) and event.status == "stopped" and live.halt is not None:
                event = live.halt
            if isinstance(event, TurnTaken):
                self._lanes.spend(live.ticket.caller, event.turn.tokens)
                live.run = live.run.written(event)
                self._store.add_turn(run_id, event.turn, live.run.provenance)
            elif isinstance(event, Ended | Halted):
                self._store.end(run_id, event)
            self._on_event(run_id, event)
            if isinstance(event, Asked):
                if self._put_aside(live, event):
                    return True
                continue
            live.publish(event)
            if isinstance(event, Started):
                for turn in live.run.turns:  # taken before: watchers see the whole run
                    live.publish(TurnTaken(turn))
        return False

    def _put_aside(self, live: LiveRun, asked: Asked) -> bool:
        """Set a run aside until the person answers; return False if it is being stopped anyway."""
        self._lanes.step_aside(live.ticket)
        with self._lock:
            if self._draining and live.halt is None:
                live.halt = Halted("interrupted", SHUT_DOWN)
            if live.halt is None:
                live.asked, live.answer_by = asked, self._clock() + asked.seconds
                live.publish(asked)
                return True
        live.cancel.cancel()
        return False

    def _fail(self, live: LiveRun, reason: str) -> None:
        halted = Halted("failed", reason)
        try:
            self._store.end(live.run.run_id, halted)
        except ParleyError as error:
            logger.warning("run %s: its ending cannot be recorded yet (%s)", live.run.run_id, error)
            with self._lock:
                self._unrecorded[live.run.run_id] = halted
        finally:
            self._on_event(live.run.run_id, halted)
            live.publish(halted)

    def _leave(self, live: LiveRun) -> None:
        """Clean up after a run, and give its lane back whatever fails."""
        try:
            if live.driving is not None:
                live.driving.close()
            self._catalog.manager.forget(live.run.run_id)
        except BaseException:  # see above
            logger.exception("cleaning up after run %s failed", live.run.run_id)
        finally:
            self._lanes.leave(live.ticket)
            self._left(live)


def _next(driving: Generator[Event, Any, None], answer: Decision | None) -> Event | None:
    """Send the answer, if any, and return the next event; None at the end."""
    try:
        return next(driving) if answer is None else driving.send(answer)
    except StopIteration:
        return None
