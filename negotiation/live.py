"""Running negotiations: drives them on threads of the server, keeps their events, and fans them out to watchers.

A run belongs to the server, not to whoever watches it. It begins when it has a lane (`lanes.py`). Watchers join at
any time, replay from the beginning and follow. Without a watcher for the grace time a run stops at its next token,
unless it was started for the background.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from manager.errors import ParleyError
from negotiation.agents.base import Agent, Decision
from negotiation.agents.catalog import AgentConfig, Catalog
from negotiation.agents.human import read_answer
from negotiation.allowance import Caller
from negotiation.errors import NotAsked, NotDriven
from negotiation.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Queued,
    Started,
    TurnTaken,
)
from negotiation.fork import fork
from negotiation.lanes import Lanes
from negotiation.runs import Run
from negotiation.scenario import Offer, Seat
from negotiation.session import replay
from negotiation.sizes import check_message, check_sizes
from negotiation.store import HEARTBEAT_SECONDS, Store
from negotiation.watch import LiveRun, Watch

logger = logging.getLogger(__name__)

KEEPER_SECONDS = 0.25
SHUT_DOWN = "the program was shut down"
DELETED = "it was deleted"
NO_THREAD = "the server has no room for another negotiation now; continue this one later"
DELETE_SECONDS = 30.0
"""How long deleting a run waits until it has stopped."""


def new_run_id() -> str:
    """A run id that nobody can guess (128 bits), and that is never taken for an option of a command."""
    return secrets.token_hex(16)


def _next(driving: Generator[Event, Any, None], answer: Decision | None) -> Event | None:
    """The next event, having sent an answer if there is one; None at the end."""
    try:
        return next(driving) if answer is None else driving.send(answer)
    except StopIteration:
        return None


class LiveRuns:
    """All runs that this process drives. `note` is told of every event, for the figures (`metrics.py`)."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        grace: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        lanes: Lanes | None = None,
        note: Callable[[str, Event], None] = lambda *_: None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._grace = grace
        self._clock = clock
        self._lanes = lanes or Lanes()
        self._note = note
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)  # a run is over
        self._runs: dict[str, LiveRun] = {}
        self._threads: set[threading.Thread] = set()
        self._draining = False
        self._closing = threading.Event()
        self._beaten = -math.inf
        self._unrecorded: dict[str, Halted] = {}  # ends that the store could not take yet
        store.mark_interrupted()
        self._keepers = [
            threading.Thread(target=self._keep, args=(work,), name=f"run keeper {work.__name__}", daemon=True)
            for work in (self._look_after, self._record)
        ]
        for keeper in self._keepers:
            keeper.start()

    def start(self, run: Run, *, background: bool = False, caller: Caller | None = None) -> str:
        """Record a run and begin to drive it, once it has a lane; `caller` is by default the run's owner.

        Raises UnknownAgent, StoreError or LimitReached, having started nothing then.
        """
        agents = self._agents(run)
        check_sizes(self._lanes.limits, run.scenario, run.agents)
        complete = {seat: self._catalog.complete(config) for seat, config in run.agents.items()}
        run = replace(run, run_id=run.run_id or new_run_id(), agents=complete)
        return self._launch(run, agents, caller, background, self._store.begin)

    def check(self, runs: Sequence[Run], caller: Caller) -> None:
        """Raise what stands against starting these together, UnknownAgent or LimitReached, before any is begun."""
        for run in runs:
            self._agents(run)
            check_sizes(self._lanes.limits, run.scenario, run.agents)
        self._lanes.check(caller, len(runs))

    def resume(self, run_id: str, caller: Caller | None = None) -> str:
        """Go on with a run that was interrupted, stopped or failed.

        Raises UnknownRun, UnknownAgent, StoreError or LimitReached.
        """
        run = self._store.run(run_id)

        def begin(halted: Run) -> Run:
            self._store.resume(halted.run_id)
            return self._store.run(halted.run_id)

        return self._launch(run, self._agents(run), caller, False, begin)

    def fork(
        self,
        run_id: str,
        turns: int,
        agents: Mapping[Seat, AgentConfig] | None = None,
        *,
        message: str | None = None,
        owner: str | None = None,
        caller: Caller | None = None,
    ) -> str:
        """Start a new run from the first `turns` turns of a stored one, played on by `agents` (default: the same),
        `message` replacing what was last said; raises UnknownRun, IllegalTurn or what `start` does."""
        stored = self._store.run(run_id)
        check_message(self._lanes.limits, message or "")
        forked = fork(stored, turns, {**stored.agents, **(agents or {})}, message)
        return self.start(replace(forked, owner=owner), caller=caller)

    def _agents(self, run: Run) -> dict[Seat, Agent]:
        return {seat: self._catalog.create(config) for seat, config in run.agents.items()}

    def _launch(
        self,
        run: Run,
        agents: dict[Seat, Agent],
        caller: Caller | None,
        background: bool,
        begin: Callable[[Run], Run],
    ) -> str:
        """Have a run recorded by `begin` and driven once it has a lane."""
        ticket = self._lanes.enter(caller or Caller(run.owner or run.run_id), background=background)
        try:
            run = begin(run)
        except BaseException:
            self._lanes.leave(ticket)
            raise
        live = LiveRun(run, ticket, self._clock)
        live.driving = self._catalog.drive(run, agents, live.cancel)
        with self._lock:
            self._runs[run.run_id] = live
        self._wait_for_lane(live, None)
        self._tell_places()
        if self._draining:
            self._interrupt(run.run_id)
        return run.run_id

    def answer(self, run_id: str, action: str, offer: Offer | None = None, message: str = "") -> None:
        """Make the turn of the person who is asked in a run.

        Raises IllegalTurn or LimitReached, naming what is wrong, and nothing is lost then; NotAsked if nobody is asked
        (any more).
        """
        check_message(self._lanes.limits, message)
        with self._lock:
            live = self._runs.get(run_id)
            if live is None or live.asked is None:
                raise NotAsked("it is not your turn; it may have taken too long, or the negotiation is over")
            decision = read_answer(replay(live.run.scenario, tuple(live.turns)), action, offer, message)
            live.asked = None
        self._wait_for_lane(live, decision)

    def _wait_for_lane(self, live: LiveRun, answer: Decision | None) -> None:
        """Drive a run once it has a lane; one that goes on comes before others of its visitor."""
        # In the context of who began it, from where ZeroGPU's client reads whose share of time it is.
        go_on = partial(self._go_on, live, answer, copy_context())
        self._lanes.wait(live.ticket, go_on, first=answer is not None)
        if live.halt is not None and self._lanes.withdraw(live.ticket):  # it was told to stop meanwhile
            self._go_on(live, None, copy_context())

    def _go_on(self, live: LiveRun, answer: Decision | None, context: Context) -> None:
        """Drive a run on a thread of its own, until it ends or a person is asked."""
        drive = partial(context.run, self._drive, live, answer)
        thread = threading.Thread(target=drive, name=f"run {live.run.run_id}", daemon=True)
        try:
            with self._lock:
                thread.start()
                self._threads.add(thread)
        except RuntimeError:  # there are no threads left
            if live.halt is not None:  # and none is needed to record that it was stopped
                self._drive(live, None)
                return
            self._fail(live, NO_THREAD)
            self._leave(live)

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

    def watch(self, run_id: str) -> Watch | None:
        """Join a run that is being driven here; None if it is not (any more)."""
        with self._lock:
            live = self._runs.get(run_id)
        return Watch(live) if live is not None else None

    def is_running(self, run_id: str) -> bool:
        """Whether this process drives the run, which has not ended."""
        with self._lock:
            live = self._runs.get(run_id)
        return live is not None and not live.ended

    def owner(self, run_id: str) -> str | None:
        """Whose run it is, while it is driven here."""
        with self._lock:
            live = self._runs.get(run_id)
        return live.run.owner if live else None

    @property
    def watchers(self) -> int:
        """How many watch a run that is driven here."""
        with self._lock:
            return sum(live.watchers for live in self._runs.values())

    def stop(self, run_id: str) -> None:
        """Stop a run at its next token, as its owner's wish."""
        self._halt(run_id, "stopped", "stopped by its owner")

    def delete(self, run_id: str, owner: str | None = None) -> None:
        """Delete a run for its owner (None: the operator), having stopped it if it runs; who watches is told.

        Raises UnknownRun, or StoreError if it cannot be deleted now.
        """
        if self.is_running(run_id) and owner in (None, self.owner(run_id)):
            self._halt(run_id, "stopped", DELETED)
            with self._left:
                self._left.wait_for(lambda: run_id not in self._runs, DELETE_SECONDS)
        self._store.delete(run_id, owner=owner)

    def drain(self) -> None:
        """Begin nothing more, and interrupt what waits for a lane or a person; what runs goes on."""
        self._lanes.close()
        places = self._lanes.places()
        with self._lock:
            self._draining = True
            waiting = [run_id for run_id, live in self._runs.items() if live.asked or live.ticket in places]
        for run_id in waiting:
            self._interrupt(run_id)

    def interrupt(self) -> None:
        """Interrupt every run, and wait until each is recorded."""
        with self._lock:
            running = list(self._runs)
        for run_id in running:
            self._interrupt(run_id)
        while threads := self._driving():
            threads[0].join()

    def close(self) -> None:
        """Interrupt every run, wait until each is recorded, and stop."""
        self._lanes.close()
        with self._lock:
            self._draining = True
        self.interrupt()
        self._closing.set()
        for keeper in self._keepers:
            keeper.join()
        try:
            self._record_ends()
        except ParleyError as error:
            logger.warning("%s; what ended meanwhile is called interrupted at the next start", error)

    def _driving(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._threads)

    def _interrupt(self, run_id: str) -> None:
        self._halt(run_id, "interrupted", SHUT_DOWN)

    def _halt(self, run_id: str, status: Literal["stopped", "interrupted"], reason: str) -> None:
        with self._lock:
            live = self._runs.get(run_id)
            if live is None or live.halt is not None:
                return
            live.halt = Halted(status, reason)
            aside, live.asked = live.asked is not None, None
        live.cancel.cancel()
        if aside or self._lanes.withdraw(live.ticket):
            self._go_on(live, None, copy_context())

    def _drive(self, live: LiveRun, answer: Decision | None) -> None:
        run_id, driving, aside = live.run.run_id, live.driving, False
        assert driving is not None
        try:
            while (event := _next(driving, answer)) is not None:
                answer = None
                recorded = live.halt if isinstance(event, Halted) and event.status == "stopped" and live.halt else event
                if isinstance(recorded, TurnTaken):
                    self._lanes.spend(live.ticket.caller, recorded.turn.tokens)
                    self._store.add_turn(run_id, recorded.turn)
                elif isinstance(recorded, Ended | Halted):
                    self._store.end(run_id, recorded)
                self._note(run_id, recorded)
                if isinstance(recorded, Asked):
                    if aside := self._put_aside(live, recorded):
                        return
                    continue
                live.publish(recorded)
                if isinstance(recorded, Started):
                    for turn in live.run.turns:  # made before: those who watch see the whole run
                        live.publish(TurnTaken(turn))
        except ParleyError as error:  # the store cannot write: show it, and say so
            self._fail(live, str(error))
        except Exception:
            logger.exception("run %s broke", run_id)
            self._fail(live, "an internal error; the log has the details")
        finally:
            if not aside:
                self._leave(live)
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _leave(self, live: LiveRun) -> None:
        """A run is over, in whatever way."""
        run_id = live.run.run_id
        if live.driving is not None:
            live.driving.close()
        self._catalog.manager.forget(run_id)
        self._lanes.leave(live.ticket)
        with self._left:
            if self._runs.get(run_id) is live:  # it may be continued already
                del self._runs[run_id]
            self._left.notify_all()

    def _fail(self, live: LiveRun, reason: str) -> None:
        halted = Halted("failed", reason)
        try:
            self._store.end(live.run.run_id, halted)
        except ParleyError as error:
            logger.warning("run %s: how it ended cannot be recorded yet (%s)", live.run.run_id, error)
            with self._lock:
                self._unrecorded[live.run.run_id] = halted
        finally:
            self._note(live.run.run_id, halted)
            live.publish(halted)

    def _keep(self, work: Callable[[], None]) -> None:
        """Do some work again and again; whatever goes wrong with it once may go right the next time."""
        while not self._closing.wait(KEEPER_SECONDS):
            try:
                work()
            except ParleyError as error:
                logger.warning("%s", error)
            except Exception:
                logger.exception("keeping running negotiations")

    def _look_after(self) -> None:
        """What changes as time passes."""
        self._stop_orphans()
        self._tell_places()

    def _tell_places(self) -> None:
        """Tell those who watch a run that waits for a lane how long it will."""
        places = self._lanes.places()
        with self._lock:
            waiting = [(live, places[live.ticket]) for live in self._runs.values() if live.ticket in places]
            for live, place in waiting:
                queued = Queued(place.visitors, place.ahead, place.expected_seconds, place.own)
                if not live.ended and live.latest != queued:
                    live.publish(queued)

    def _stop_orphans(self) -> None:
        """Stop runs that nobody watches any more, and those that wait too long for a person."""
        with self._lock:
            running = dict(self._runs)
        for run_id, live in running.items():
            asked = live.asked
            if live.orphaned(self._grace):
                self._halt(run_id, "interrupted", "nobody watched any more")
            elif asked is not None and self._clock() >= live.answer_by:
                self._halt(run_id, "interrupted", f"nobody answered for {asked.seconds:g} seconds")

    def _record(self) -> None:
        """Tell the store which runs are alive, and how those ended that it could not be told of before."""
        if self._clock() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = self._clock()
        with self._lock:
            running = list(self._runs)
        if running:
            self._store.beat(running)
        self._record_ends()

    def _record_ends(self) -> None:
        with self._lock:
            unrecorded = dict(self._unrecorded)
        for run_id, halted in unrecorded.items():
            with suppress(NotDriven):
                self._store.end(run_id, halted)
            with self._lock:
                del self._unrecorded[run_id]
