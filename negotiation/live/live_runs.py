"""Running negotiations: which there are, who may do what with them, and what becomes of those nobody cares for.

A run belongs to the server, not to whoever watches it. It begins when it has a lane (`lanes.py`), and is driven on a
thread of the server (`driver.py`). Watchers join at any time, replay from the beginning and follow (`watch.py`).
Without a watcher for the grace time a run stops at its next token, unless it was started for the background.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from manager.errors import ParleyError
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller
from negotiation.admission.size_limits import check_message, check_sizes
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.errors import NotAsked
from negotiation.game.agent import Agent
from negotiation.game.events import EventListener, Halted
from negotiation.game.session import Negotiation
from negotiation.live.driver import NOT_ASKED, Driver, LiveRun
from negotiation.live.feed import Watch
from negotiation.live.fork import fork
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import HEARTBEAT_SECONDS, Store
from negotiation.scenario.model import Offer, Seat

logger = logging.getLogger(__name__)

KEEPER_SECONDS = 0.25
DELETED = "it was deleted"
DELETE_SECONDS = 30.0
"""How long deleting a run waits until it has stopped."""


class LiveRuns:
    """All runs that this process drives. `note` is told of every event, for the figures (`metrics.py`)."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        grace: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        lanes: Lanes | None = None,
        on_event: EventListener = lambda *_: None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._grace = grace
        self._clock = clock
        self._lanes = lanes or Lanes()
        self._driver = Driver(catalog, store, self._lanes, clock, on_event, self._over)
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)  # a run is over
        self._runs: dict[str, LiveRun] = {}
        self._closing = threading.Event()
        self._beaten = -math.inf
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
        return self._launch(run, self._agents(run), caller, False, lambda halted: self._store.resume(halted.run_id))

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
        live.driving = self._catalog.drive(
            Negotiation(run.run_id, run.scenario, agents, run.seed, run.turns, live.cancel)
        )
        with self._lock:
            self._runs[run.run_id] = live
        self._driver.go_on(live)
        self._driver.publish_positions(self._all())
        return run.run_id

    # -- what may be done with a run ---------------------------------------------------------------------------

    def answer(self, run_id: str, action: str, offer: Offer | None = None, message: str = "") -> None:
        """Make the turn of the person who is asked in a run.

        Raises IllegalTurn or LimitReached, naming what is wrong, and nothing is lost then; NotAsked if nobody is asked
        (any more).
        """
        check_message(self._lanes.limits, message)
        live = self._find(run_id)
        if live is None:
            raise NotAsked(NOT_ASKED)
        self._driver.answer(live, action, offer, message)

    def watch(self, run_id: str) -> Watch | None:
        """Join a run that is being driven here; None if it is not (any more)."""
        live = self._find(run_id)
        return Watch(live) if live is not None else None

    def is_running(self, run_id: str) -> bool:
        """Whether this process drives the run, which has not ended."""
        live = self._find(run_id)
        return live is not None and not live.ended

    def owner(self, run_id: str) -> str | None:
        """Whose run it is, while it is driven here."""
        live = self._find(run_id)
        return live.run.owner if live else None

    @property
    def watchers(self) -> int:
        """How many watch a run that is driven here."""
        return sum(live.watchers for live in self._all())

    def stop(self, run_id: str) -> None:
        """Stop a run at its next token, as its owner's wish."""
        if (live := self._find(run_id)) is not None:
            self._driver.halt(live, Halted("stopped", "stopped by its owner"))

    def delete(self, run_id: str, owner: str | None = None) -> None:
        """Delete a run for its owner (None: the operator), having stopped it if it runs; who watches is told.

        Raises UnknownRun, or StoreError if it cannot be deleted now.
        """
        live = self._find(run_id)
        if live is not None and not live.ended and owner in (None, live.run.owner):
            self._driver.halt(live, Halted("stopped", DELETED))
            with self._left:
                self._left.wait_for(lambda: self._runs.get(run_id) is not live, DELETE_SECONDS)
        self._store.delete(run_id, owner=owner)

    # -- the end of the program --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Begin nothing more, and interrupt what waits for a lane or a person; what is driven goes on."""
        self._lanes.close()
        self._driver.drain(self._all)

    def interrupt(self) -> None:
        """Interrupt every run, and wait until each is recorded."""
        for live in self._all():
            self._driver.interrupt(live)
        self._driver.join()

    def close(self) -> None:
        """Interrupt every run, wait until each is recorded, and stop."""
        self.drain()
        self.interrupt()
        self._closing.set()
        for keeper in self._keepers:
            keeper.join()
        try:
            self._driver.record_ends()
        except ParleyError as error:
            logger.warning("%s; what ended meanwhile is called interrupted at the next start", error)

    # -- keeping -----------------------------------------------------------------------------------------------

    def _find(self, run_id: str) -> LiveRun | None:
        with self._lock:
            return self._runs.get(run_id)

    def _all(self) -> list[LiveRun]:
        with self._lock:
            return list(self._runs.values())

    def _over(self, live: LiveRun) -> None:
        with self._left:
            if self._runs.get(live.run.run_id) is live:  # it may be continued already
                del self._runs[live.run.run_id]
            self._left.notify_all()

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
        self._driver.publish_positions(self._all())

    def _stop_orphans(self) -> None:
        """Stop runs that nobody watches any more, and those that wait too long for a person."""
        for live in self._all():
            asked = live.asked
            if live.orphaned(self._grace):
                self._driver.halt(live, Halted("interrupted", "nobody watched any more"))
            elif asked is not None and self._clock() >= live.answer_by:
                how = Halted("interrupted", f"nobody answered for {asked.seconds:g} seconds")
                self._driver.halt(live, how, unanswered=asked)

    def _record(self) -> None:
        """Tell the store which runs are alive, and how those ended that it could not be told of before."""
        if self._clock() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = self._clock()
        if running := [live.run.run_id for live in self._all()]:
            self._store.beat(running)
        self._driver.record_ends()
