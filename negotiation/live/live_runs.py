"""The running negotiations: starting, watching and stopping them, and the cleanup of abandoned ones.

A run belongs to the server, not to its watchers. It starts when it gets a lane (lanes.py) and is driven on a thread of
the server (driver.py). Watchers join at any time, replay from the beginning and follow (feed.py). Without a watcher
for the grace time a run stops at its next token, unless it was started in the background.
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
from negotiation.agents.model import paid_from
from negotiation.agents.purse import Payer, Purse
from negotiation.errors import NotAsked
from negotiation.game.agent import Agent
from negotiation.game.events import EventListener, Halted
from negotiation.game.session import Negotiation
from negotiation.live.driver import NOT_ASKED, Driver, LiveRun
from negotiation.live.feed import Watch
from negotiation.live.fork import fork
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import HEARTBEAT_SECONDS, Store
from negotiation.scenario.model import Offer, Seat

logger = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 0.25
DELETED = "it was deleted"
REMEMBERED = 1000
"""Of how many runs it is known what they cost, in case that they are continued."""
DELETE_SECONDS = 30.0
"""How long deleting a run waits for it to stop."""


class LiveRuns:
    """The runs that this process drives. Thread-safe.

    Args:
        grace: Seconds without a watcher after which a run is interrupted.
        lanes: Default: lanes of its own, with the private limits.
        on_event: Called with a run's id and each of its events.
    """

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
        self._spent: dict[str, float] = {}  # US dollars, by the last runs that cost something
        self._closing = threading.Event()
        self._beaten = -math.inf
        store.mark_interrupted()
        self._housekeepers = [
            threading.Thread(target=self._repeat, args=(work,), name=f"run housekeeping {work.__name__}", daemon=True)
            for work in (self._clean_up, self._record)
        ]
        for thread in self._housekeepers:
            thread.start()

    def start(
        self, run: Run, *, background: bool = False, caller: Caller | None = None, payer: Payer | None = None
    ) -> str:
        """Record a run, drive it once it has a lane, and return its id.

        Args:
            background: Whether the run goes on without watchers and leaves lanes to watched runs.
            caller: Who asks for it; by default the run's owner.
            payer: Whose key pays for models that say `credentials: visitor`, and the limit of the run.

        Raises:
            UnknownAgent, StoreError, LimitReached, CredentialMissing, CredentialExpired: The run cannot start; nothing
                has changed.
        """
        agents, purse = self._agents(run, payer)
        check_sizes(self._lanes.limits, run.scenario, run.agents)
        complete = {
            seat: self._catalog.complete(config).settled(run.scenario.scenario_id, run.seed)
            for seat, config in run.agents.items()
        }
        begun = Provenance.begun(run.scenario)
        run = replace(run, run_id=run.run_id or new_run_id(), agents=complete, provenance=begun)
        return self._launch(run, agents, purse, caller, background, self._store.begin)

    def check(self, runs: Sequence[Run], caller: Caller, payer: Payer | None = None) -> None:
        """Raise UnknownAgent, LimitReached or an error about the payer's key if these runs cannot start together."""
        for run in runs:
            self._agents(run, payer)
            check_sizes(self._lanes.limits, run.scenario, run.agents)
        self._lanes.check(caller, len(runs))

    def resume(self, run_id: str, caller: Caller | None = None, payer: Payer | None = None) -> str:
        """Continue a run that was interrupted, stopped or failed, and return its id.

        Args:
            caller: Who asks for it; by default the run's owner.
            payer: Who pays from now on. Its limit is for the whole run, what it has cost before included.

        Raises:
            UnknownRun, UnknownAgent, StoreError, LimitReached, CredentialMissing, CredentialExpired: The run cannot
                continue.
        """
        run = self._store.run(run_id)
        return self._launch(run, *self._agents(run, payer), caller, False, self._continued)

    def _continued(self, halted: Run) -> Run:
        run = self._store.resume(halted.run_id)
        return run if run.provenance is None else replace(run, provenance=run.provenance.continued())

    def fork(
        self,
        run_id: str,
        turns: int,
        agents: Mapping[Seat, AgentConfig] | None = None,
        *,
        message: str | None = None,
        owner: str | None = None,
        caller: Caller | None = None,
        payer: Payer | None = None,
    ) -> str:
        """Start a new run from the first `turns` turns of a stored one, and return its id.

        Args:
            agents: The agents that continue, by seat; by default the same.
            message: Replaces the last message.
            payer: Who pays for the new run; turns that it begins with cost it nothing.

        Raises:
            UnknownRun: There is no such run.
            IllegalTurn: The run cannot be continued from there.
            UnknownAgent, StoreError, LimitReached, CredentialMissing, CredentialExpired: The new run cannot start.
        """
        stored = self._store.run(run_id)
        check_message(self._lanes.limits, message or "")
        forked = fork(stored, turns, {**stored.agents, **(agents or {})}, message)
        return self.start(replace(forked, owner=owner), caller=caller, payer=payer)

    def _agents(self, run: Run, payer: Payer | None) -> tuple[dict[Seat, Agent], Purse]:
        """Create the agents of a run and the purse that they share, after a look at whether there is a key."""
        with self._lock:
            live = self._runs.get(run.run_id)
            before = self._spent.get(run.run_id, 0.0) if live is None else live.purse.spent
        purse = Purse(payer, max(run.cost, before))  # what an unfinished turn cost is not in the record
        agents = {seat: paid_from(purse, self._catalog.create(config)) for seat, config in run.agents.items()}
        self._catalog.check_payer(run.agents.values(), payer or Payer())
        return agents, purse

    def _launch(
        self,
        run: Run,
        agents: dict[Seat, Agent],
        purse: Purse,
        caller: Caller | None,
        background: bool,
        begin: Callable[[Run], Run],
    ) -> str:
        """Admit a run, record it with `begin`, and drive it once it has a lane."""
        ticket = self._lanes.enter(caller or Caller(run.owner or run.run_id), background=background)
        try:
            run = begin(run)
        except BaseException:
            self._lanes.leave(ticket)
            raise
        live = LiveRun(run, ticket, self._clock, purse)
        live.driving = self._catalog.drive(
            Negotiation(run.run_id, run.scenario, agents, run.seed, run.turns, live.cancel)
        )
        with self._lock:
            self._runs[run.run_id] = live
        self._driver.go_on(live)
        self._driver.publish_positions(self._all())
        return run.run_id

    # -- controlling a run ------------------------------------------------------------------------------------

    def answer(self, run_id: str, action: str, offer: Offer | None = None, message: str = "") -> None:
        """Take the turn of the person who is asked in a run.

        Raises:
            IllegalTurn, LimitReached: The answer is not allowed; the person can answer again.
            NotAsked: No person is asked in this run.
        """
        check_message(self._lanes.limits, message)
        live = self._find(run_id)
        if live is None:
            raise NotAsked(NOT_ASKED)
        self._driver.answer(live, action, offer, message)

    def watch(self, run_id: str) -> Watch | None:
        """Subscribe to a run; None if this process does not drive it."""
        live = self._find(run_id)
        return Watch(live) if live is not None else None

    def is_running(self, run_id: str) -> bool:
        """Return whether this process drives the run and it has not ended."""
        live = self._find(run_id)
        return live is not None and not live.ended

    def owner(self, run_id: str) -> str | None:
        """Return the owner of a run that is driven here, else None."""
        live = self._find(run_id)
        return live.run.owner if live else None

    @property
    def watchers(self) -> int:
        """The number of watchers of all runs that are driven here."""
        return sum(live.watchers for live in self._all())

    def stop(self, run_id: str) -> None:
        """Stop a run at its next token on behalf of its owner."""
        if (live := self._find(run_id)) is not None:
            self._driver.halt(live, Halted("stopped", "stopped by its owner"))

    def delete(self, run_id: str, owner: str | None = None) -> None:
        """Stop a run if it is running, and delete it on behalf of its owner (None: the operator).

        Raises:
            UnknownRun: There is no such run.
            StoreError: It cannot be deleted now, or not by this visitor.
        """
        live = self._find(run_id)
        if live is not None and not live.ended and owner in (None, live.run.owner):
            self._driver.halt(live, Halted("stopped", DELETED))
            with self._left:
                self._left.wait_for(lambda: self._runs.get(run_id) is not live, DELETE_SECONDS)
        self._store.delete(run_id, owner=owner)

    # -- shutting down -----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Start nothing more, and interrupt runs that wait for a lane or a person; running ones continue."""
        self._lanes.close()
        self._driver.drain(self._all)

    def interrupt(self) -> None:
        """Interrupt all runs and wait until their endings are recorded."""
        for live in self._all():
            self._driver.interrupt(live)
        self._driver.join()

    def close(self) -> None:
        """Interrupt all runs, wait until their endings are recorded, and stop."""
        self.drain()
        self.interrupt()
        self._closing.set()
        for thread in self._housekeepers:
            thread.join()
        try:
            self._driver.record_ends()
        except ParleyError as error:
            logger.warning("%s; runs whose ending was not recorded count as interrupted after the next start", error)

    # -- housekeeping ------------------------------------------------------------------------------------------

    def _find(self, run_id: str) -> LiveRun | None:
        with self._lock:
            return self._runs.get(run_id)

    def _all(self) -> list[LiveRun]:
        with self._lock:
            return list(self._runs.values())

    def _over(self, live: LiveRun) -> None:
        with self._left:
            self._spent.pop(live.run.run_id, None)
            if live.purse.spent:
                self._spent[live.run.run_id] = live.purse.spent
            for oldest in list(self._spent)[:-REMEMBERED]:
                del self._spent[oldest]
            if self._runs.get(live.run.run_id) is live:  # it may have been continued already
                del self._runs[live.run.run_id]
            self._left.notify_all()

    def _repeat(self, work: Callable[[], None]) -> None:
        """Repeat some work until closing, whether or not it fails."""
        while not self._closing.wait(HOUSEKEEPING_SECONDS):
            try:
                work()
            except ParleyError as error:
                logger.warning("%s", error)
            except Exception:
                logger.exception("housekeeping of running negotiations failed")

    def _clean_up(self) -> None:
        """Stop abandoned runs and publish queue positions."""
        self._stop_orphans()
        self._driver.publish_positions(self._all())

    def _stop_orphans(self) -> None:
        """Stop runs without watchers, and those that have waited too long for a person."""
        for live in self._all():
            asked = live.asked
            if live.orphaned(self._grace):
                self._driver.halt(live, Halted("interrupted", "nobody was watching"))
            elif asked is not None and self._clock() >= live.answer_by:
                how = Halted("interrupted", f"no answer came within {asked.seconds:g} seconds")
                self._driver.halt(live, how, unanswered=asked)

    def _record(self) -> None:
        """Record heartbeats, and the endings that could not be recorded before."""
        if self._clock() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = self._clock()
        if running := [live.run.run_id for live in self._all()]:
            self._store.beat(running)
        self._driver.record_ends()
