"""Runs many negotiations at once, in the background: nobody needs to watch them. Knows not why they are run.

Unlike a run that is watched (live.py), one of these is stored as a whole when it has ended; until then nothing of it
is in the database, so nothing half-done is left behind by a process that dies.
"""

from __future__ import annotations

import logging
import queue
import secrets
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from manager.cancel import CancelToken
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.events import Ended, Halted, TurnTaken
from negotiation.runs import Run

logger = logging.getLogger(__name__)


def play(catalog: Catalog, run: Run, cancel: CancelToken) -> Run:
    """Run a negotiation from its beginning; returns it with its turns and how it ended.

    Raises UnknownAgent or ConfigError.
    """
    agents = {seat: catalog.create(config) for seat, config in run.agents.items()}
    done = replace(run, created=time.time(), status="failed", reason="", turns=())
    try:
        for event in catalog.drive(replace(run, turns=()), agents, cancel):
            match event:
                case TurnTaken(turn=turn):
                    done = replace(done, turns=(*done.turns, turn))
                case Ended(ending=ending, by=by, agreement=agreement, measures=measures):
                    done = replace(
                        done, status="done", ending=ending, ended_by=by, agreement=agreement, measures=measures
                    )
                case Halted(status=status, reason=reason):
                    done = replace(done, status=status, reason=reason)
    finally:
        catalog.manager.forget(run.run_id)
    return done


class Executor(Protocol):
    """Where negotiations are run: on threads of this process, or on other machines."""

    def workers(self) -> Mapping[str, int]:
        """Who works, and how many negotiations each may be given at a time. A lost worker's name does not come back."""

    def submit(self, run: Run, worker: str) -> None:
        """Begin to run a negotiation at a worker."""

    def expect(self, worker: str, models: Collection[str]) -> None:
        """Tell a worker's manager which models it will go on needing, so that it parts with others first."""

    def take(self, timeout: float) -> Run | None:
        """A run that ended, failed and stopped ones included; None if there is none within `timeout` seconds."""

    def close(self) -> None:
        """Stop everything at its next token and wait for it."""


class Expected:
    """The models that are known to go on being needed, announced to a manager."""

    def __init__(self, manager: LLMManager) -> None:
        self._manager = manager
        self._owner = f"expected {secrets.token_hex(8)}"
        self._models: set[str] = set()

    def replace(self, models: Collection[str]) -> None:
        """From now on these are needed, and no others."""
        for model in self._models - set(models):
            self._manager.forget(f"{self._owner} {model}")
        for model in set(models) - self._models:
            self._manager.announce(f"{self._owner} {model}", model)
        self._models = set(models)


class Threads:
    """Runs negotiations on threads of this process, which share its manager. An Executor with one worker."""

    def __init__(self, catalog: Catalog, slots: int) -> None:
        self._slots = slots
        self._catalog = catalog
        self._cancel = CancelToken()
        self._expected = Expected(catalog.manager)
        self._ended: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="negotiation")

    def workers(self) -> Mapping[str, int]:
        return {"here": self._slots}

    def submit(self, run: Run, worker: str = "here") -> None:
        future: Future[Run] = self._threads.submit(play, self._catalog, run, self._cancel)
        future.add_done_callback(lambda done: self._ended.put(_result(run, done)))

    def expect(self, worker: str, models: Collection[str]) -> None:
        self._expected.replace(models)

    def take(self, timeout: float) -> Run | None:
        try:
            return self._ended.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._cancel.cancel()
        self._threads.shutdown(cancel_futures=True)
        self._expected.replace(())


def _result(run: Run, done: Future[Run]) -> Run:
    if done.cancelled():
        return replace(run, status="stopped", reason="stopped")
    if (error := done.exception()) is None:
        return done.result()
    logger.error("run %s broke", run.run_id, exc_info=error)
    return replace(run, status="failed", reason=f"an internal error ({type(error).__name__}); the log has the details")
