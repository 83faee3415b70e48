"""Run a tournament: the missing games, their order, and retries of those that fail.

An Executor decides where negotiations run, and store.py how games are stored. The page and the command line both
follow `run`, a generator of `GameProgress`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, replace
from typing import Literal

from manager.cancel import CancelToken
from manager.errors import ConfigError, ParleyError, UnknownModel
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.batch.executor import Executor
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import HEARTBEAT_SECONDS
from negotiation.scenario.model import Seat
from negotiation.tournament.adaptive import next_meetings
from negotiation.tournament.estimate import TimeEstimate
from negotiation.tournament.job_order import Group, JobOrder, WorkerState
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.plan import Game, Meeting, Tournament, digest_of
from negotiation.tournament.store import TournamentRow, TournamentStore, played_game

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class GameProgress:
    """A game ended: it is `done`, has `failed` for good, or will be retried (`retrying`).

    Attributes:
        total: The number of games; in an adaptive tournament, the most that may be played.
        seconds_left: An estimate; None before the first game is done.
    """

    tournament_id: str
    game: Game
    run: Run
    status: Literal["done", "failed", "retrying"]
    done: int
    failed: int
    total: int
    seconds_left: float | None


def begin(tournament: Tournament, store: TournamentStore, *, resume: bool) -> str:
    """Record that a tournament runs and return its id.

    With `resume`, continue the newest tournament of which this one can be a continuation, if there is one.

    Raises:
        ConfigError: There is one with that title to resume, but it differs.
        StoreError: Another process is still running it.
    """
    if resume:
        found = store.latest(digest=tournament.digest)
        if found and tournament.continues(found.tournament):
            store.resume(found.tournament_id, tournament)
            return found.tournament_id
        if found or store.latest(title=tournament.title):
            raise ConfigError(
                f"tournament '{tournament.title}' cannot be resumed: its agents, their settings, its scenarios or its "
                "seats have changed since; change them back, or start again without resuming"
            )
    return store.begin(tournament)


def unchanged(row: TournamentRow, catalog: Catalog) -> Tournament:
    """Return a stored tournament for resuming; raises ConfigError if one of its models is gone or has changed."""
    title = row.tournament.title
    try:
        digest = digest_of(row.tournament, catalog)
    except UnknownModel as error:
        raise ConfigError(f"tournament '{title}' cannot be resumed: {error}") from None
    if digest != row.tournament.digest:
        raise ConfigError(
            f"tournament '{title}' cannot be resumed: its models have changed in models.yaml since; change them "
            "back, or start again"
        )
    return row.tournament


def run(
    tournament: Tournament,
    tournament_id: str,
    store: TournamentStore,
    catalog: Catalog,
    executor: Executor,
    *,
    max_loaded: int,
    cancel: CancelToken | None = None,
    cancelled: Callable[[], str] = lambda: "stopped by its owner",
    clock: Callable[[], float] = time.monotonic,
) -> Generator[GameProgress, None, None]:
    """Play the missing games of a tournament, yield whenever one ends, and record how the tournament ended.

    Closing the iterator, or `cancel`, stops running games at their next token; they count as missing and are played
    when the tournament is resumed.

    Args:
        max_loaded: How many weights a worker keeps loaded.
        cancelled: Gives the reason to record after `cancel`.
    """
    status: Literal["done", "stopped", "failed"] = "stopped"
    reason = ""
    began = beaten = clock()
    minutes = tournament.limits.minutes
    try:
        play = _Play(
            tournament,
            tournament_id,
            store,
            catalog=catalog,
            executor=executor,
            max_loaded=max_loaded,
            clock=clock,
        )
        while not (cancel and cancel.cancelled):
            if minutes is not None and clock() - began >= 60 * minutes:
                reason = f"its time limit of {minutes:g} min was reached"
                break
            play.fill()
            if play.finished:
                status, reason = "done", f"failed games: {play.failed}" if play.failed else ""
                break
            if (ended := executor.take(POLL_SECONDS)) is not None:
                yield play.end(ended)
            if clock() - beaten >= HEARTBEAT_SECONDS:
                beaten = clock()
                store.beat(tournament_id)
    except Exception as error:
        status, reason = "failed", str(error) if isinstance(error, ParleyError) else f"{type(error).__name__}: {error}"
        raise
    finally:
        executor.close()
        store.end(tournament_id, status, reason if reason or status == "done" else cancelled())


@dataclass
class _Try:
    """An attempt at a game."""

    game: Game
    number: int  # from 1
    worker: str = ""
    group: Group = frozenset()


class _Play:
    """The waiting, running and failed games of a tournament."""

    def __init__(
        self,
        tournament: Tournament,
        tournament_id: str,
        store: TournamentStore,
        *,
        catalog: Catalog,
        executor: Executor,
        max_loaded: int,
        clock: Callable[[], float],
    ) -> None:
        self.tournament, self.tournament_id = tournament, tournament_id
        self.store, self.executor, self.max_loaded, self.clock = store, executor, max_loaded, clock
        self.failed = 0
        self._weights = {name: weights_of(catalog, config) for name, config in tournament.agents.items()}
        agents = tournament.agents.items()
        self._models = {weights: config.agent for name, config in agents for weights in self._weights[name]}
        self._order: JobOrder[_Try] = JobOrder()
        self._workers: dict[str, WorkerState] = {}
        self._busy: Counter[str] = Counter()
        self._running: dict[str, _Try] = {}
        self._later: list[tuple[float, _Try]] = []  # attempts and when to start them
        self._estimate = TimeEstimate(clock)
        self._games = {played.game: played for played in store.games(tournament_id)}
        self._may_extend = True  # whether a game ended since `_next_meetings` was asked
        wanted = set(tournament.games())
        self._done = {game for game, played in self._games.items() if played.status == "done"} & wanted
        self._remaining: Counter[int] = Counter()
        adaptive = tournament.adaptive
        first = tournament.seeds if adaptive is None else tournament.seeds[: adaptive.first_pairs]
        began = {game.meeting for game in self._done}  # a meeting that has begun is completed
        for game in tournament.games():
            if game not in self._done and (game.seed in first or game.meeting in began):
                self._add(game)

    @property
    def finished(self) -> bool:
        """Whether no game waits or runs."""
        return not (self._running or self._later or len(self._order))

    def fill(self) -> None:
        """Start games on all workers with free slots."""
        now = self.clock()
        for entry in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove(entry)
            self._order.add(entry[1], self._needs(entry[1].game))
        workers = self.executor.workers()
        if not workers:
            raise ParleyError("no worker is left; start one, then resume the tournament")
        if self._may_extend and not len(self._order):
            self._may_extend = False
            for meeting in self._next_meetings(sum(workers.values()) - len(self._running)):
                for game in self.tournament.games_of(meeting):
                    self._add(game)
        for lost in set(self._workers) - set(workers):
            self._order.remove_worker(self._workers.pop(lost))
        for worker, slots in workers.items():
            if worker not in self._workers:
                self._workers[worker] = self._order.add_worker(self.max_loaded)
            state = self._workers[worker]
            while self._busy[worker] < slots:
                before = set(state.weights)
                if (picked := self._order.next(state)) is None:
                    break
                if state.weights != before:
                    resident = len(state.weights) <= self.max_loaded  # otherwise the weights take turns
                    self.executor.expect(worker, [self._models[each] for each in state.weights if resident])
                attempt, group = picked
                self._submit(replace(attempt, worker=worker, group=group))

    def end(self, ended: Run) -> GameProgress:
        """Record a run that ended, or schedule another attempt at its game."""
        attempt = self._running.pop(ended.run_id)
        game = attempt.game
        self._busy[attempt.worker] -= 1
        if attempt.worker in self._workers:
            self._workers[attempt.worker].end(attempt.group)
        limits = self.tournament.limits
        status: Literal["done", "failed", "retrying"] = "done"
        if ended.status != "done":
            status = "failed" if attempt.number > limits.retries else "retrying"
        if status == "retrying":
            due = self.clock() + limits.retry_seconds * 2 ** (attempt.number - 1)
            self._later.append((due, _Try(game, attempt.number + 1)))
        else:
            self.store.record(self.tournament_id, game, ended, attempt.number)
            self._games[game] = played_game(game, ended, attempt.number)
            self._remaining[len(self._needs(game))] -= 1
            self._may_extend = True
        if status == "done":
            self._done.add(game)
            self._estimate.add(len(self._needs(game)), sum(turn.seconds for turn in ended.turns))
        elif status == "failed":
            self.failed += 1
        return GameProgress(
            tournament_id=self.tournament_id,
            game=game,
            run=ended,
            status=status,
            done=len(self._done),
            failed=self.failed,
            total=self._total(),
            seconds_left=self._estimate.left(self._remaining),
        )

    def _add(self, game: Game) -> None:
        self._order.add(_Try(game, 1), self._needs(game))
        self._remaining[len(self._needs(game))] += 1

    def _submit(self, attempt: _Try) -> None:
        tournament, game = self.tournament, attempt.game
        run_id = new_run_id()
        self._running[run_id] = attempt
        self._busy[attempt.worker] += 1
        agents: dict[Seat, AgentConfig] = {"a": tournament.agents[game.a], "b": tournament.agents[game.b]}
        started = Run(run_id=run_id, scenario=tournament.scenarios[game.scenario_id], agents=agents, seed=game.seed)
        self.executor.submit(started, attempt.worker)

    def _needs(self, game: Game) -> Group:
        return self._weights[game.a] | self._weights[game.b]

    def _total(self) -> int:
        budget = self.tournament.adaptive.negotiations if self.tournament.adaptive else None
        return self.tournament.size if budget is None else min(self.tournament.size, budget)

    def _next_meetings(self, slots: int) -> list[Meeting]:
        """Return the next meetings of an adaptive tournament for `slots` free slots; none otherwise."""
        adaptive = self.tournament.adaptive
        if adaptive is None:
            return []
        seats = 2 if self.tournament.mirrored else 1
        waiting = [*self._running.values(), *(attempt for _, attempt in self._later)]
        room = (self._total() - len(self._done) - self.failed - len(waiting)) // seats
        count = min(room, -(-slots // seats))
        if count <= 0:
            return []
        board = Leaderboard(self.tournament, self._games.values())
        return next_meetings(board, adaptive.close_points, count, {attempt.game.meeting for attempt in waiting})


def weights_of(catalog: Catalog, config: AgentConfig) -> frozenset[Hashable]:
    """Return the weights that an agent needs loaded: none for strategies and models on remote servers."""
    if config.agent in STRATEGIES:
        return frozenset()
    spec = catalog.manager.spec(config.agent)
    return frozenset() if spec.base_url else frozenset([spec.weights])
