"""Background comparisons on threads, one per owner, which can grow by more pairs (comparison.py has the figures)."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from functools import partial

from manager.cancel import CancelToken
from manager.errors import ParleyError
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller, LimitReached
from negotiation.admission.size_limits import check_sizes
from negotiation.agents.catalog import Catalog
from negotiation.agents.purse import Payer
from negotiation.batch.executor import LaneAccess
from negotiation.comparison import comparison
from negotiation.comparison.comparison import Comparison, Job, PairTally, Result
from negotiation.game.events import EventListener
from negotiation.live.threads import begin_thread
from negotiation.runs.record import Run
from negotiation.runs.store import Store

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Negotiations of a comparison that run at the same time."""
REMEMBERED = 200
"""Comparisons to remember, including finished ones."""


@dataclass(frozen=True)
class ComparisonStatus:
    """The progress of a comparison: `done` of `goal` negotiations have ended."""

    comparison: Comparison
    done: int
    goal: int
    result: Result
    running: bool
    error: str = ""


class _Growing:
    """One owner's comparison with all its negotiations."""

    def __init__(self, asked: Comparison) -> None:
        self.asked = asked
        self.played: list[tuple[Job, Run]] = []
        self.goal = 0
        self.error = ""
        self.cancel = CancelToken()
        self.thread: threading.Thread | None = None
        self.tally = PairTally(asked)
        self.caller = Caller(asked.owner or "")

    def grow(self, asked: Comparison, more: int) -> None:
        """Continue as `asked`, with `more` further negotiations."""
        self.asked, self.tally = asked, PairTally(asked)
        self.goal = len(self.played) + more
        for job, run in self.played:
            self.tally.add(job, run)

    def status(self) -> ComparisonStatus:
        running = self.thread is not None
        return ComparisonStatus(self.asked, len(self.played), self.goal, self.tally.result(), running, self.error)


class Comparisons:
    """The comparisons of this process."""

    def __init__(
        self, catalog: Catalog, store: Store, lanes: Lanes | None = None, on_event: EventListener = lambda *_: None
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._lanes = lanes or Lanes()
        self._on_event = on_event
        self._lock = threading.Lock()
        self._growing: dict[str, _Growing] = {}

    def start(self, asked: Comparison, caller: Caller | None = None, payer: Payer | None = None) -> None:
        """Start the pairs of a comparison, which needs an owner.

        The same comparison continues with the next seeds; a different one replaces it. What still runs is stopped
        first.

        Args:
            asked: The comparison.
            caller: Who asks for it; by default its owner.
            payer: Who pays for models that say `credentials: visitor`, and the limit of these pairs together.

        Raises:
            UnknownAgent, ConfigError, LimitReached, Busy, CredentialMissing, CredentialExpired: The comparison cannot
                start; nothing has changed.
        """
        assert asked.owner is not None
        payer = payer or Payer()
        caller = caller or Caller(asked.owner)
        self._check(asked, caller)
        self._catalog.check_payer((*asked.agents, asked.opponent), payer)
        while True:
            self.stop(asked.owner, wait=True)
            with self._lock:
                growing = self._growing.get(asked.owner)
                if growing is not None and growing.thread is not None:
                    continue  # another request started it in the meantime
                self._check_room(caller)
                self._begin(growing, asked, caller, payer)
                return

    def _begin(self, growing: _Growing | None, asked: Comparison, caller: Caller, payer: Payer) -> None:
        """Replace the owner's last comparison, or continue it; called with the lock held."""
        assert asked.owner is not None
        if growing is not None and replace(growing.asked, pairs=asked.pairs) == asked:
            begun = replace(asked, seed=asked.seed + growing.asked.pairs)
            whole = replace(asked, pairs=growing.asked.pairs + asked.pairs)
        else:
            growing, begun, whole = _Growing(asked), asked, asked
        growing.cancel, growing.error, growing.caller = CancelToken(), "", caller
        growing.thread = begin_thread("comparison", partial(self._run, growing, begun, payer))
        growing.grow(whole, begun.negotiations)
        self._growing.pop(asked.owner, None)
        self._growing[asked.owner] = growing  # move to the end: the first are forgotten first

    def _check(self, asked: Comparison, caller: Caller) -> None:
        """Raise an error if the comparison itself is not allowed."""
        limits = self._lanes.limits
        if asked.pairs > limits.pairs:
            raise LimitReached(f"{asked.pairs:,} pairs at a time; the limit here is {limits.pairs:,}; ask for fewer")
        for config in (*asked.agents, asked.opponent):
            self._catalog.create(config)
        check_sizes(
            limits, asked.scenario, dict(zip(("1", "2", "opponent"), (*asked.agents, asked.opponent), strict=True))
        )
        self._lanes.check(caller)

    def _check_room(self, caller: Caller) -> None:
        """Raise LimitReached if too many comparisons run, and forget the oldest finished ones."""
        most = self._lanes.limits.comparisons
        running = [growing for growing in self._growing.values() if growing.thread is not None]
        there = sum(bool(caller.address) and growing.caller.address == caller.address for growing in running)
        crowded = there >= max(1, most // 2) and self._lanes.limits.open_per_address
        if len(running) >= most or crowded:
            raise LimitReached(
                f"{len(running)} comparisons are already running here; try again when one of them has ended"
            )
        ended = [
            owner for owner, growing in self._growing.items() if growing.thread is None and owner != caller.visitor
        ]
        for owner in ended[: max(0, len(self._growing) - REMEMBERED)]:
            del self._growing[owner]

    def status(self, owner: str | None) -> ComparisonStatus | None:
        """Return the progress of an owner's comparison, if there is one."""
        with self._lock:
            growing = self._growing.get(owner or "")
            return None if growing is None else growing.status()

    def stop(self, owner: str | None, *, wait: bool = False) -> None:
        """Stop an owner's comparison at the next token; finished negotiations count."""
        with self._lock:
            growing = self._growing.get(owner or "")
            if growing is None or growing.thread is None:
                return
            thread, cancel = growing.thread, growing.cancel
        cancel.cancel()
        if wait:
            thread.join()

    def close(self) -> None:
        """Stop all comparisons and wait for them."""
        self.stop_all()
        self.stop_all(wait=True)

    def stop_all(self, *, wait: bool = False) -> None:
        """Stop all comparisons at the next token; finished negotiations count."""
        with self._lock:
            owners = list(self._growing)
        for owner in owners:
            self.stop(owner, wait=wait)

    def _run(self, growing: _Growing, begun: Comparison, payer: Payer) -> None:
        error, access = "", LaneAccess(self._lanes, growing.caller, self._on_event)
        try:
            for progress in comparison.run(begun, self._catalog, self._store, growing.cancel, AT_ONCE, access, payer):
                with self._lock:
                    growing.played.append((progress.job, progress.run))
                    growing.tally.add(progress.job, progress.run)
        except ParleyError as failure:
            error = str(failure)
        except Exception:
            logger.exception("a comparison failed with an internal error")
            error = "an internal error; the log has the details"
        finally:
            with self._lock:
                growing.error, growing.thread = error, None
