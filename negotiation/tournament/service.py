"""The tournament that goes on in the background of this process: one at a time, without anybody watching.

Knows threads; how tournaments are played stands in `tournament.py`, and how they are kept in `tournament_store.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from manager.cancel import CancelToken
from manager.errors import Busy, ParleyError
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller, LimitReached
from negotiation.admission.size_limits import check_sizes
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import LaneAccess, Threads
from negotiation.game.events import EventListener
from negotiation.live.threads import begin_thread
from negotiation.runs.store import Store
from negotiation.tournament import runner as tournament
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.plan import Tournament
from negotiation.tournament.runner import Progress
from negotiation.tournament.store import Counts, TournamentStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """How far the running tournament is; `latest` is what was told last, None before a game has ended."""

    tournament_id: str
    owner: str | None
    latest: Progress | None = None
    retried: int = 0  # how many attempts failed and are made again
    stopping: bool = False


class Tournaments:
    """Starts, resumes, stops and tells of this process's tournament. Safe to use from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        max_loaded: int,
        lanes: Lanes | None = None,
        on_event: EventListener = lambda *_: None,
    ) -> None:
        self.store = TournamentStore(store)
        self.boards = Boards(self.store)
        self._catalog = catalog
        self._max_loaded = max_loaded
        self._lanes = lanes or Lanes()
        self._on_event = on_event
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._cancel = CancelToken()
        self._reason = ""
        self._thread: threading.Thread | None = None

    def start(self, asked: Tournament, owner: str | None, caller: Caller | None = None) -> str:
        """Begin a tournament and return its id.

        Raises Busy while another one runs or if there is no thread for it, LimitReached and StoreError.
        """
        self._check(asked, caller)
        with self._lock:
            self._check_free()
            tournament_id = self.store.begin(asked, owner)
            self._begin(asked, tournament_id, owner, caller)
            return tournament_id

    def resume(self, tournament_id: str, owner: str | None, caller: Caller | None = None) -> None:
        """Play what is missing of a tournament.

        Raises Busy while another one runs here, UnknownTournament, StoreError if another process runs it, ConfigError
        if its models are not what they were, and LimitReached.
        """
        self._check(self.store.get(tournament_id).tournament, caller)
        with self._lock:
            self._check_free()
            asked = tournament.unchanged(self.store.get(tournament_id), self._catalog)
            self.store.resume(tournament_id, asked, idle=True)
            self._begin(asked, tournament_id, owner, caller)

    def running(self) -> Running | None:
        """The tournament that runs here now."""
        with self._lock:
            return self._running

    def stop(self, reason: str = "stopped by its owner", *, wait: bool = False) -> None:
        """Stop what runs at its next token; what was played is kept, and can be resumed."""
        with self._lock:
            thread = self._thread
            if self._running is not None and not self._running.stopping:
                self._reason = reason
                self._cancel.cancel()
                self._running = replace(self._running, stopping=True)
        if wait and thread is not None:
            thread.join()

    def _check(self, asked: Tournament, caller: Caller | None) -> None:
        """Raise LimitReached if a tournament is larger than may be."""
        limits = self._lanes.limits
        if asked.size > limits.games:  # all of them wait in this process's memory
            raise LimitReached(
                f"{asked.size:,} negotiations: {limits.games:,} is the limit of a tournament here; set fewer"
            )
        for scenario in asked.scenarios.values():
            check_sizes(limits, scenario, asked.agents)
        if caller is not None:
            self._lanes.check(caller)

    def _check_free(self) -> None:
        if self._running is not None:
            raise Busy("another tournament is running here; wait for it or stop it")

    def _begin(self, asked: Tournament, tournament_id: str, owner: str | None, caller: Caller | None = None) -> None:
        """Play a tournament that is recorded as running, on a thread; with the lock held."""
        self._cancel = CancelToken()
        access = LaneAccess(self._lanes, caller or Caller(owner or tournament_id), self._on_event)
        try:
            self._thread = begin_thread("tournament", partial(self._play, asked, tournament_id, self._cancel, access))
        except Busy as busy:
            self.store.end(tournament_id, "stopped", str(busy))
            raise
        self._running = Running(tournament_id, owner)

    def _play(self, asked: Tournament, tournament_id: str, cancel: CancelToken, access: LaneAccess) -> None:
        try:
            executor = Threads(self._catalog, asked.limits.at_once, access)
            given = asked, tournament_id, self.store, self._catalog, executor
            with closing(
                tournament.run(*given, max_loaded=self._max_loaded, cancel=cancel, cancelled=lambda: self._reason)
            ) as playing:
                for progress in playing:
                    self._tell(progress)
        except ParleyError as error:  # the tournament is kept with it as its reason
            logger.warning("tournament %s failed: %s", tournament_id, type(error).__name__)
        except Exception:
            logger.exception("tournament %s broke", tournament_id)
        finally:
            with self._lock:
                self._running = self._thread = None

    def _tell(self, progress: Progress) -> None:
        with self._lock:
            assert self._running is not None
            retried = self._running.retried + (progress.status == "retrying")
            self._running = replace(self._running, latest=progress, retried=retried)


@dataclass(frozen=True)
class _Board:
    """A leaderboard, of how many games it is, when it was made and how long that took."""

    board: Leaderboard
    counts: Counts
    made: float
    took: float


class Boards:
    """Leaderboards, worked out once for all who look at them."""

    KEPT = 4
    REST = 9.0
    """While games still end, the figures are worked out anew at most in a tenth of the time."""

    def __init__(self, store: TournamentStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: dict[str, _Board] = {}

    def of(self, tournament_id: str, *, exact: bool = True) -> Leaderboard:
        """The leaderboard of a tournament as it stands; unless `exact`, the last games may be missing.

        Raises UnknownTournament.
        """
        with self._lock:
            kept = self._kept.pop(tournament_id, None)
            counts = self._store.counts(tournament_id)
            began = time.monotonic()
            rests = kept is not None and not exact and began - kept.made < self.REST * kept.took
            if kept is None or (kept.counts != counts and not rests):
                board = Leaderboard(self._store.get(tournament_id).tournament, self._store.games(tournament_id))
                board.work_out()
                ended = time.monotonic()
                kept = _Board(board, counts, ended, ended - began)
            self._kept[tournament_id] = kept
            while len(self._kept) > self.KEPT:
                del self._kept[next(iter(self._kept))]
            return kept.board
