"""The background tournament of this process, one at a time, on a thread (runner.py plays it, store.py stores it)."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from manager.cancel import CancelToken
from manager.errors import Busy, ConfigError, ParleyError
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
from negotiation.tournament.runner import GameProgress
from negotiation.tournament.store import Counts, TournamentStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """The state of the running tournament; `latest` is the newest progress, None before the first game ended."""

    tournament_id: str
    owner: str | None
    latest: GameProgress | None = None
    retried: int = 0  # failed attempts that are made again
    stopping: bool = False


class Tournaments:
    """Starts, resumes and stops this process's tournament. Thread-safe.

    Args:
        max_loaded: How many weights the manager keeps loaded.
        on_event: Called with a run's id and each of its events.
    """

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
        """Start a tournament and return its id.

        Raises:
            Busy: Another tournament is running here, or no thread is available.
            ConfigError: One of its models needs a visitor's own key.
            LimitReached: It is too large.
            StoreError: It cannot be recorded.
        """
        self._check(asked, caller)
        with self._lock:
            self._check_free()
            tournament_id = self.store.begin(asked, owner)
            self._begin(asked, tournament_id, owner, caller)
            return tournament_id

    def resume(self, tournament_id: str, owner: str | None, caller: Caller | None = None) -> None:
        """Play the missing games of a tournament.

        Raises:
            UnknownTournament: There is no such tournament.
            Busy: Another tournament is running here, or no thread is available.
            StoreError: Another process is running it.
            ConfigError: One of its models has changed, or needs a visitor's own key.
            LimitReached: It is too large.
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
        """Stop the tournament at the next token; it can be resumed."""
        with self._lock:
            thread = self._thread
            if self._running is not None and not self._running.stopping:
                self._reason = reason
                self._cancel.cancel()
                self._running = replace(self._running, stopping=True)
        if wait and thread is not None:
            thread.join()

    def _check(self, asked: Tournament, caller: Caller | None) -> None:
        """Raise LimitReached if a tournament is too large, ConfigError if nobody would pay for one of its models."""
        limits = self._lanes.limits
        if asked.size > limits.games:  # all of them are held in memory
            raise LimitReached(
                f"the tournament has {asked.size:,} negotiations; the limit here is {limits.games:,}; choose fewer"
            )
        models = self._catalog.manager.list_models()
        for model_id in (config.agent for config in asked.agents.values() if config.agent in models):
            if self._catalog.manager.spec(model_id).needs_own_key:
                raise ConfigError(f"'{model_id}' needs each visitor's own key, which tournaments lack; leave it out")
        for scenario in asked.scenarios.values():
            check_sizes(limits, scenario, asked.agents)
        if caller is not None:
            self._lanes.check(caller)

    def _check_free(self) -> None:
        if self._running is not None:
            raise Busy("another tournament is running here; wait for it or stop it")

    def _begin(self, asked: Tournament, tournament_id: str, owner: str | None, caller: Caller | None = None) -> None:
        """Play a tournament that is recorded as running on a thread; called with the lock held."""
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
                    self._follow(progress)
        except ParleyError as error:  # recorded as the tournament's reason
            logger.warning("tournament %s failed: %s", tournament_id, type(error).__name__)
        except Exception:
            logger.exception("tournament %s failed with an internal error", tournament_id)
        finally:
            with self._lock:
                self._running = self._thread = None

    def _follow(self, progress: GameProgress) -> None:
        with self._lock:
            assert self._running is not None
            retried = self._running.retried + (progress.status == "retrying")
            self._running = replace(self._running, latest=progress, retried=retried)


@dataclass(frozen=True)
class _Board:
    """A leaderboard, the number of its games, and when and in how many seconds it was computed."""

    board: Leaderboard
    counts: Counts
    computed: float
    seconds: float


class Boards:
    """Leaderboards, computed once for all visitors."""

    CACHED = 4
    PAUSE = 9.0
    """Pause between computations while games still end, in multiples of the last one's duration."""

    def __init__(self, store: TournamentStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._cache: dict[str, _Board] = {}

    def of(self, tournament_id: str, *, exact: bool = True) -> Leaderboard:
        """Return the current leaderboard of a tournament; unless `exact`, the last games may be missing.

        Raises:
            UnknownTournament: There is no such tournament.
        """
        with self._lock:
            cached = self._cache.pop(tournament_id, None)
            counts = self._store.counts(tournament_id)
            began = time.monotonic()
            pausing = cached is not None and not exact and began - cached.computed < self.PAUSE * cached.seconds
            if cached is None or (cached.counts != counts and not pausing):
                board = Leaderboard(self._store.get(tournament_id).tournament, self._store.games(tournament_id))
                board.compute()
                ended = time.monotonic()
                cached = _Board(board, counts, ended, ended - began)
            self._cache[tournament_id] = cached
            while len(self._cache) > self.CACHED:
                del self._cache[next(iter(self._cache))]
            return cached.board
