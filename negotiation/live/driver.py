"""Drives runs: each on a thread of its own while it has a lane, and without either while a person is asked.

Knows how one run begins, halts and ends, and that it is recorded before it is shown; not which runs there are
(`live.py`), nor whose lane is next (`lanes.py`).
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
from negotiation.admission.lanes import Lanes, Stage, Ticket
from negotiation.agents.catalog import Catalog
from negotiation.agents.human import read_answer
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
NOT_ASKED = "it is not your turn; it may have taken too long, or the negotiation is over"


class LiveRun(Feed):
    """One run while it is driven, with what those who watch it see."""

    def __init__(self, run: Run, ticket: Ticket, clock: Callable[[], float]) -> None:
        super().__init__(clock, watched=not ticket.background)
        self.run = run
        self.ticket = ticket
        self.cancel = CancelToken()
        self.driving: Generator[Event, Any, None] | None = None
        self.halt: Halted | None = None  # how to record it when it was told to stop
        self.asked: Asked | None = None  # whom nobody answered yet: the run is put aside, and no thread drives it
        self.answer_by = 0.0


class Driver:
    """Drives the runs of this process; `left` is called with each that is over, in whatever way. Safe between threads.

    Its lock guards what a run is told (`halt`, `asked`). It is never held while the store is asked, and of the lanes
    only their positions are.
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
        self._unrecorded: dict[str, Halted] = {}  # ends that the store could not take yet

    # -- what may be done with a run ---------------------------------------------------------------------------

    def go_on(self, live: LiveRun, answer: Decision | None = None) -> None:
        """Drive a run once it has a lane; one that was answered comes before others of its visitor."""
        # In the context of who began it, from where ZeroGPU's client reads whose share of time it is.
        begin = partial(self._begin, live, answer, copy_context())
        self._lanes.wait(live.ticket, begin, first=answer is not None)
        if self._draining:
            self.interrupt(live)
        if live.halt is not None:  # it was told to stop meanwhile
            self._end_waiting(live)

    def answer(self, live: LiveRun, action: str, offer: Offer | None, message: str) -> None:
        """Make the turn of the person who is asked; raises IllegalTurn, and nothing is lost then, or NotAsked."""
        with self._lock:
            if live.asked is None:
                raise NotAsked(NOT_ASKED)
            decision = read_answer(replay(live.run.scenario, tuple(live.turns)), action, offer, message)
            live.asked = None
        self.go_on(live, decision)

    def halt(self, live: LiveRun, how: Halted, unanswered: Asked | None = None) -> None:
        """Stop a run at its next token, to be recorded like this; the first who wants it stopped says how.

        With `unanswered`, only while that was not answered.
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
        """Stop a run because the program ends."""
        self.halt(live, Halted("interrupted", SHUT_DOWN))

    def publish_positions(self, runs: Iterable[LiveRun]) -> None:
        """Tell those who watch a run that waits for a lane how long it will."""
        with self._lock:  # none of them begins meanwhile
            positions = self._lanes.positions()
            for live in runs:
                if (position := positions.get(live.ticket)) is not None:
                    queued = Queued(position.visitors, position.ahead, position.expected_seconds, position.own)
                    if not live.ended and live.latest != queued:
                        live.publish(queued)

    def drain(self, runs: Callable[[], Iterable[LiveRun]]) -> None:
        """From now on no run waits for a lane or a person; `runs` gives those there are. What is driven goes on."""
        with self._lock:
            self._draining = True
        for live in runs():
            if live.asked is not None or live.ticket.stage is Stage.WAITING:
                self.interrupt(live)

    def join(self) -> None:
        """Wait until no run is driven any more."""
        self._threads.join()

    def record_ends(self) -> None:
        """Tell the store how runs ended that it could not be told of before; raises StoreError."""
        with self._lock:
            unrecorded = dict(self._unrecorded)
        for run_id, halted in unrecorded.items():
            with suppress(NotDriven):
                self._store.end(run_id, halted)
            with self._lock:
                del self._unrecorded[run_id]

    # -- driving -----------------------------------------------------------------------------------------------

    def _end_waiting(self, live: LiveRun) -> None:
        """Drive a run that waits for a lane and was told to stop to its end; that needs no lane."""
        if self._lanes.withdraw(live.ticket):
            self._begin(live, None, copy_context())

    def _begin(self, live: LiveRun, answer: Decision | None, context: Context) -> None:
        """Drive a run on a thread of its own, until it ends or a person is asked."""
        drive = partial(context.run, self._drive, live, answer)
        try:
            with self._lock:
                self._threads.begin(f"run {live.run.run_id}", drive)
        except Busy:
            if live.halt is not None:  # no thread is needed to record that it was stopped
                self._drive(live, None)
            else:
                self._fail(live, NO_THREAD)
                self._leave(live)

    def _drive(self, live: LiveRun, answer: Decision | None) -> None:
        aside = False
        try:
            aside = self._advance(live, answer)
        except ParleyError as error:  # the store cannot write: show it, and say so
            self._fail(live, str(error))
        except BaseException:  # panics of Rust extensions are no Exceptions
            logger.exception("run %s broke", live.run.run_id)
            self._fail(live, "an internal error; the log has the details")
        finally:
            if not aside:
                self._leave(live)

    def _advance(self, live: LiveRun, answer: Decision | None) -> bool:
        """Record and publish what happens until the end, or until a person is asked: whether one is."""
        run_id, driving = live.run.run_id, live.driving
        assert driving is not None
        while (event := _next(driving, answer)) is not None:
            answer = None
            if isinstance(event, Halted) and event.status == "stopped" and live.halt is not None:
                event = live.halt
            if isinstance(event, TurnTaken):
                self._lanes.spend(live.ticket.caller, event.turn.tokens)
                self._store.add_turn(run_id, event.turn)
            elif isinstance(event, Ended | Halted):
                self._store.end(run_id, event)
            self._on_event(run_id, event)
            if isinstance(event, Asked):
                if self._put_aside(live, event):
                    return True
                continue
            live.publish(event)
            if isinstance(event, Started):
                for turn in live.run.turns:  # made before: those who watch see the whole run
                    live.publish(TurnTaken(turn))
        return False

    def _put_aside(self, live: LiveRun, asked: Asked) -> bool:
        """Leave a run until its person answers; False if it is to be stopped anyway."""
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
            logger.warning("run %s: how it ended cannot be recorded yet (%s)", live.run.run_id, error)
            with self._lock:
                self._unrecorded[live.run.run_id] = halted
        finally:
            self._on_event(live.run.run_id, halted)
            live.publish(halted)

    def _leave(self, live: LiveRun) -> None:
        """A run is over: whatever goes wrong with tidying up, its lane is given back."""
        try:
            if live.driving is not None:
                live.driving.close()
            self._catalog.manager.forget(live.run.run_id)
        except BaseException:  # see above
            logger.exception("tidying up after run %s", live.run.run_id)
        finally:
            self._lanes.leave(live.ticket)
            self._left(live)


def _next(driving: Generator[Event, Any, None], answer: Decision | None) -> Event | None:
    """The next event, having sent an answer if there is one; None at the end."""
    try:
        return next(driving) if answer is None else driving.send(answer)
    except StopIteration:
        return None
