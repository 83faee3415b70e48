"""Run many negotiations at once in the background, without watchers.

Unlike a watched run (live_runs.py), a run is stored as a whole once it has ended, so a process that dies leaves no
partial runs behind.
"""

from __future__ import annotations

import logging
import queue
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from manager.cancel import CancelToken
from manager.errors import Busy
from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller, Limits
from negotiation.admission.tickets import LaneTicket
from negotiation.agents.catalog import Catalog
from negotiation.agents.model import paid_from
from negotiation.agents.purse import Purse
from negotiation.game.events import Ended, EventListener, Halted, TurnTaken
from negotiation.game.session import Negotiation
from negotiation.live.threads import ThreadGroup
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LaneAccess:
    """Access of background work to the server's lanes, on behalf of a visitor.

    Attributes:
        on_event: Called with a run's id and each of its events.
    """

    lanes: Lanes
    caller: Caller
    on_event: EventListener = lambda *_: None

    @classmethod
    def all(cls, slots: int) -> LaneAccess:
        """Return exclusive access to `slots` lanes."""
        # Background work gets half of its visitor's lanes, and never the last quarter of all.
        return cls(Lanes(Limits(lanes=4 * slots, lanes_per_visitor=2 * slots)), Caller("all"))


def play(
    catalog: Catalog,
    run: Run,
    cancel: CancelToken,
    on_event: EventListener = lambda *_: None,
    purse: Purse | None = None,
) -> Run:
    """Run a negotiation from its beginning and return the run with its turns and ending.

    Args:
        on_event: Called with the run's id and each event.
        purse: Pays for the models' requests.

    Raises:
        UnknownAgent: An agent is neither a registered model nor a strategy.
        ConfigError: An agent's options are wrong.
    """
    paid = purse or Purse()
    agents = {seat: paid_from(paid, catalog.create(config)) for seat, config in run.agents.items()}
    settled = {seat: config.settled(run.scenario.scenario_id, run.seed) for seat, config in run.agents.items()}
    begun = Provenance.begun(run.scenario)
    done = replace(run, agents=settled, created=time.time(), status="failed", reason="", turns=(), provenance=begun)
    try:
        for event in catalog.drive(Negotiation(run.run_id, run.scenario, agents, run.seed, cancel=cancel)):
            on_event(run.run_id, event)
            match event:
                case TurnTaken(turn=turn):
                    done = replace(done.written(event), turns=(*done.turns, turn))
                case Ended() | Halted():
                    done = done.end(event)
    finally:
        catalog.manager.forget(run.run_id)
    return done


class Executor(Protocol):
    """A place where negotiations run: threads of this process, or other machines."""

    def workers(self) -> Mapping[str, int]:
        """Return how many negotiations each worker can take at a time. The name of a lost worker is never reused."""

    def submit(self, run: Run, worker: str) -> None:
        """Start a negotiation on a worker."""

    def expect(self, worker: str, models: Collection[str]) -> None:
        """Announce the models that a worker will need, so that its manager unloads others first."""

    def take(self, timeout: float) -> Run | None:
        """Return a run that ended, failed or was stopped; None if there is none within `timeout` seconds."""

    def close(self) -> None:
        """Stop everything at its next token and wait until it has stopped."""


class ExpectedModels:
    """Announces to a manager the models that will be needed."""

    def __init__(self, manager: LLMManager) -> None:
        self._manager = manager
        self._owner = f"expected {secrets.token_hex(8)}"
        self._models: set[str] = set()

    def replace(self, models: Collection[str]) -> None:
        """Announce these models instead of the ones before."""
        for model in self._models - set(models):
            self._manager.forget(f"{self._owner} {model}")
        for model in set(models) - self._models:
            self._manager.announce(f"{self._owner} {model}", model)
        self._models = set(models)


class Threads:
    """An Executor with one worker: threads of this process, which share its manager.

    Each negotiation starts when it gets a lane through `access`; by default there is a lane for every slot. `purse`
    pays for all of them.
    """

    def __init__(
        self, catalog: Catalog, slots: int, access: LaneAccess | None = None, purse: Purse | None = None
    ) -> None:
        self._slots = slots
        self._purse = purse
        self._catalog = catalog
        self._access = access or LaneAccess.all(slots)
        self._tickets: set[LaneTicket] = set()
        self._cancel = CancelToken()
        self._expected = ExpectedModels(catalog.manager)
        self._ended: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._threads = ThreadGroup()

    def workers(self) -> Mapping[str, int]:
        return {"here": self._slots}

    def submit(self, run: Run, worker: str = "here") -> None:
        ticket = self._access.lanes.enter(self._access.caller, background=True)
        self._tickets.add(ticket)
        # In the context of whoever submits it, because the lane may be given by somebody else's thread.
        play_it = partial(copy_context().run, self._play, run, ticket)
        self._access.lanes.wait(ticket, partial(self._begin, run, ticket, play_it))

    def _begin(self, run: Run, ticket: LaneTicket, play_it: Callable[[], None]) -> None:
        try:
            self._threads.begin(f"negotiation {run.run_id}", play_it)
        except Busy as busy:  # no thread is available, or the group was closed
            self._end(_failed(run, str(busy)), ticket)

    def _play(self, run: Run, ticket: LaneTicket) -> None:
        try:
            ended = play(self._catalog, run, self._cancel, self._access.on_event, self._purse)
        except BaseException as error:  # a panic in a Rust extension is not an Exception
            logger.exception("run %s failed with an internal error", run.run_id)
            kind = type(error).__name__
            ended = _failed(run, f"an internal error ({kind}); the log has the details")
            self._access.on_event(run.run_id, Halted("failed", ended.reason, kind))
        self._end(ended, ticket)

    def _end(self, ended: Run, ticket: LaneTicket) -> None:
        self._access.lanes.spend(self._access.caller, sum(turn.tokens for turn in ended.turns))
        self._tickets.discard(ticket)
        self._access.lanes.leave(ticket)
        self._ended.put(ended)

    def expect(self, worker: str, models: Collection[str]) -> None:
        self._expected.replace(models)

    def take(self, timeout: float) -> Run | None:
        try:
            return self._ended.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._cancel.cancel()
        for ticket in list(self._tickets):
            if self._access.lanes.withdraw(ticket):
                self._access.lanes.leave(ticket)
        self._threads.close()
        self._expected.replace(())


def _failed(run: Run, reason: str) -> Run:
    return replace(run, created=time.time(), status="failed", reason=reason)
