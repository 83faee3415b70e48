"""Running negotiations: drives them on threads of the server, keeps their events, and fans them out to watchers.

A run belongs to the server, not to whoever watches it. Watchers join at any time, replay from the beginning and
follow. Without a watcher for the grace time a run stops at its next token, unless it was started for the background.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from manager.errors import Busy, ParleyError
from negotiation.agents.base import Agent, Decision
from negotiation.agents.catalog import AgentConfig, Catalog
from negotiation.agents.human import read_answer
from negotiation.errors import NotAsked, NotDriven
from negotiation.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Started,
    TurnTaken,
)
from negotiation.fork import fork
from negotiation.runs import Run
from negotiation.scenario import Offer, Seat
from negotiation.session import replay
from negotiation.store import HEARTBEAT_SECONDS, Store
from negotiation.watch import LiveRun, Watch

logger = logging.getLogger(__name__)

KEEPER_SECONDS = 0.25


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
    """All runs that this process drives."""

    def __init__(
        self, catalog: Catalog, store: Store, grace: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[str, LiveRun] = {}
        self._threads: set[threading.Thread] = set()
        self._closing = threading.Event()
        self._beaten = -math.inf
        self._unrecorded: dict[str, Halted] = {}  # ends that the store could not take yet
        store.mark_interrupted()
        self._keepers = [
            threading.Thread(target=self._keep, args=(work,), name=f"run keeper {work.__name__}", daemon=True)
            for work in (self._stop_orphans, self._record)
        ]
        for keeper in self._keepers:
            keeper.start()

    def start(self, run: Run, *, background: bool = False) -> str:
        """Record a run and begin to drive it; raises UnknownAgent, StoreError or Busy, having started nothing then."""
        agents = self._agents(run)
        complete = {seat: self._catalog.complete(config) for seat, config in run.agents.items()}
        run = self._store.begin(replace(run, run_id=run.run_id or new_run_id(), agents=complete))
        return self._launch(run, agents, background)

    def resume(self, run_id: str) -> str:
        """Go on with a run that was interrupted, stopped or failed; raises UnknownRun, UnknownAgent or StoreError."""
        agents = self._agents(self._store.run(run_id))
        self._store.resume(run_id)
        return self._launch(self._store.run(run_id), agents, background=False)

    def fork(
        self,
        run_id: str,
        turns: int,
        agents: Mapping[Seat, AgentConfig] | None = None,
        *,
        message: str | None = None,
        owner: str | None = None,
    ) -> str:
        """Start a new run from the first `turns` turns of a stored one, played on by `agents` (default: the same),
        `message` replacing what was last said; raises UnknownRun, UnknownAgent, IllegalTurn or StoreError."""
        stored = self._store.run(run_id)
        return self.start(replace(fork(stored, turns, {**stored.agents, **(agents or {})}, message), owner=owner))

    def _agents(self, run: Run) -> dict[Seat, Agent]:
        return {seat: self._catalog.create(config) for seat, config in run.agents.items()}

    def _launch(self, run: Run, agents: dict[Seat, Agent], background: bool) -> str:
        live = LiveRun(run, background, self._clock)
        live.driving = self._catalog.drive(run, agents, live.cancel)
        try:
            with self._lock:
                self._go_on(live, None)
                self._runs[run.run_id] = live
                closing = self._closing.is_set()
        except Busy as error:
            self._fail(live, str(error))
            raise
        if closing:
            self._interrupt(run.run_id)
        return run.run_id

    def answer(self, run_id: str, action: str, offer: Offer | None = None, message: str = "") -> None:
        """Make the turn of the person who is asked in a run.

        Raises IllegalTurn, naming what is wrong, and nothing is lost then; NotAsked if nobody is asked (any more).
        """
        with self._lock:
            live = self._runs.get(run_id)
            if live is None or live.asked is None:
                raise NotAsked("it is not your turn; it may have taken too long, or the negotiation is over")
            decision = read_answer(replay(live.run.scenario, tuple(live.turns)), action, offer, message)
            self._go_on(live, decision)

    def _go_on(self, live: LiveRun, answer: Decision | None) -> None:
        """Drive a run on a thread of its own, until it ends or a person is asked. Called with the lock held.

        Raises Busy, changing nothing, where there is no thread to be had.
        """
        # In the context of who started it, from where ZeroGPU's client reads whose share of time it is.
        drive = partial(copy_context().run, self._drive, live, answer)
        thread = threading.Thread(target=drive, name=f"run {live.run.run_id}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise Busy("the system gives no thread for another negotiation; try again later") from None
        self._threads.add(thread)
        live.asked = None

    def _put_aside(self, live: LiveRun, asked: Asked) -> bool:
        """Leave a run until its person answers; False if it is to be stopped anyway."""
        with self._lock:
            if live.halt is None:
                live.asked, live.answer_by = asked, self._clock() + asked.seconds
                live.publish(asked)
                self._threads.discard(threading.current_thread())
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

    def stop(self, run_id: str) -> None:
        """Stop a run at its next token, as its owner's wish."""
        self._halt(run_id, "stopped", "stopped by its owner")

    def close(self) -> None:
        """Interrupt every run, wait until each is recorded, and stop."""
        with self._lock:
            self._closing.set()
            running = list(self._runs)
        for run_id in running:
            self._interrupt(run_id)
        while threads := list(self._threads):
            threads[0].join()
        for keeper in self._keepers:
            keeper.join()
        try:
            self._record_ends()
        except ParleyError as error:
            logger.warning("%s; what ended meanwhile is called interrupted at the next start", error)

    def _interrupt(self, run_id: str) -> None:
        self._halt(run_id, "interrupted", "the program was shut down")

    def _halt(self, run_id: str, status: Literal["stopped", "interrupted"], reason: str) -> None:
        with self._lock:
            live = self._runs.get(run_id)
            if live is None or live.halt is not None:
                return
            live.halt = Halted(status, reason)
            aside, live.asked = live.asked is not None, None
        live.cancel.cancel()
        if aside:
            try:
                with self._lock:
                    self._go_on(live, None)
            except Busy:  # all that is left to be done is to record it
                self._drive(live, None)

    def _drive(self, live: LiveRun, answer: Decision | None) -> None:
        run_id, driving, aside = live.run.run_id, live.driving, False
        assert driving is not None
        try:
            while (event := _next(driving, answer)) is not None:
                answer = None
                recorded = live.halt if isinstance(event, Halted) and event.status == "stopped" and live.halt else event
                if isinstance(recorded, TurnTaken):
                    self._store.add_turn(run_id, recorded.turn)
                elif isinstance(recorded, Ended | Halted):
                    self._store.end(run_id, recorded)
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

    def _leave(self, live: LiveRun) -> None:
        """A run is over, in whatever way."""
        run_id = live.run.run_id
        if live.driving is not None:
            live.driving.close()
        self._catalog.manager.forget(run_id)
        with self._lock:
            if self._runs.get(run_id) is live:  # it may be continued already
                del self._runs[run_id]
            self._threads.discard(threading.current_thread())

    def _fail(self, live: LiveRun, reason: str) -> None:
        halted = Halted("failed", reason)
        try:
            self._store.end(live.run.run_id, halted)
        except ParleyError as error:
            logger.warning("run %s: how it ended cannot be recorded yet (%s)", live.run.run_id, error)
            with self._lock:
                self._unrecorded[live.run.run_id] = halted
        finally:
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
