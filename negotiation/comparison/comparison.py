"""Comparisons: paired negotiations that differ in one agent, and the uncertainty of their difference.

A pair is one seed. Mirrored (the default), it takes four negotiations: each of the two agents meets the opponent in
both seats. The difference of a pair is the first agent's utility minus the second's, averaged over the seats.
Intervals are over pairs, because the two seats of a seed are not independent samples. Verdicts use intervals that hold
however often one looks, because comparisons are watched and extended.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from manager.cancel import CancelToken
from manager.errors import ConfigError
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import OUTSIDE
from negotiation.agents.purse import Payer, Purse
from negotiation.batch.executor import LaneAccess, Threads
from negotiation.diagnostics.prompt_anchors import Anchors, anchors, total
from negotiation.figures.statistics import Interval, mean_interval, more_needed, sign_test
from negotiation.game.measures import fingerprint
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import Store
from negotiation.scenario.model import SEATS, Scenario, Seat, other

AT_ONCE = 16
BLOCK = 8
"""Seeds to run with one agent before switching to the other: few model swaps, and early first pairs."""
POLL_SECONDS = 0.25
Identical = Literal["repeats", "agents"]
Players = tuple[AgentConfig, AgentConfig]
"""The agents in seats a and b."""


@dataclass(frozen=True)
class Comparison:
    """Two agents to compare against the same opponent, over `pairs` seeds starting at `seed`."""

    scenario: Scenario
    agents: tuple[AgentConfig, AgentConfig]
    opponent: AgentConfig
    pairs: int
    seed: int = 1
    mirrored: bool = True
    owner: str | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ConfigError(f"a comparison needs at least one pair, not {self.pairs}")

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats that the compared agents play."""
        return SEATS if self.mirrored else ("a",)

    @property
    def negotiations(self) -> int:
        """The number of negotiations to run."""
        return self.pairs * 2 * len(self.seats)


def difference(lanes: tuple[Players, ...]) -> tuple[AgentConfig, AgentConfig, AgentConfig] | None:
    """Return the two agents in which two lanes differ and their shared opponent; None if the lanes differ otherwise."""
    (first_a, first_b), (second_a, second_b) = lanes
    if first_b == second_b and first_a != second_a:
        return first_a, second_a, first_b
    if first_a == second_a and first_b != second_b:
        return first_b, second_b, first_a
    return None


@dataclass(frozen=True)
class Job:
    """One negotiation of a comparison: agent 0 or 1 in a seat, with a seed."""

    agent: int
    seat: Seat
    seed: int


@dataclass(frozen=True)
class Played:
    """The result of a finished negotiation for the compared agent."""

    utility: float
    agreed: bool
    invalid: Counter[str]
    moves: str
    anchors: Anchors


@dataclass(frozen=True)
class AgentResult:
    """One agent's mean utility, agreement rate, invalid replies by kind, and anchor audit."""

    agent: AgentConfig
    utility: float | None
    agreement: Interval | None
    invalid: Counter[str]
    anchors: Anchors


@dataclass(frozen=True)
class Result:
    """The figures of all complete pairs.

    Attributes:
        difference: Mean difference in utility with its confidence interval, which holds if the number of pairs was
            fixed beforehand; None without complete pairs.
        difference_at_any_time: The same with an interval that holds however often one looks, and whenever one stops.
        p_value: Two-sided sign test over pairs, for a number of pairs fixed beforehand.
        identical: "repeats" if all pairs repeat the same moves; "agents" if the two agents always made the same moves.
        counted_once: Whether all pairs count as one, because scripts repeat themselves and more pairs add no evidence.
            Models draw anew with every seed, and the same moves are evidence each time.
        more_pairs_needed: How many more pairs would tell the agents apart.
        failed: Reasons of the negotiations without a result.
    """

    pairs: int
    negotiations: int
    difference: Interval | None
    difference_at_any_time: Interval | None
    agents: tuple[AgentResult, AgentResult]
    p_value: float
    identical: Identical | None
    counted_once: bool
    more_pairs_needed: int | None
    failed: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonProgress:
    """A negotiation of a comparison ended. The last one has `done == total`, unless the comparison was stopped."""

    run: Run
    job: Job
    done: int
    total: int
    result: Result


class PairTally:
    """The negotiations of a comparison that have ended."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._played: dict[Job, Played] = {}
        self._failed: list[str] = []
        self._result: Result | None = None

    def add(self, job: Job, run: Run) -> None:
        """Count a negotiation, given with its turns."""
        if run.measures is None:
            self._failed.append(run.reason or run.status)
            self._result = None
            return
        seat = job.seat
        self._played[job] = Played(
            utility=run.measures.utility_a if seat == "a" else run.measures.utility_b,
            agreed=run.agreement is not None,
            invalid=Counter(entry.kind for turn in run.turns if turn.seat == seat for entry in turn.invalid),
            moves=fingerprint(run.turns),
            anchors=anchors(run, seat),
        )
        if self._pair(job.seed) is not None:
            self._result = None

    def result(self) -> Result:
        """Return the figures of the complete pairs."""
        self._result = self._result or self._compute()
        return self._result

    def _compute(self) -> Result:
        comparison = self.comparison
        seeds = range(comparison.seed, comparison.seed + comparison.pairs)
        pairs = [pair for pair in map(self._pair, seeds) if pair is not None]
        differences = [fmean(first.utility - second.utility for first, second in pair) for pair in pairs]
        same, repeated = _identical(pairs), len(set(map(_moves, pairs))) == 1
        once = repeated and all(config.by_rule for config in (*comparison.agents, comparison.opponent))
        samples = [0] * len(pairs) if once else list(range(len(pairs)))
        planned, at_any_time = (
            Interval(0.0, 0.0, 0.0)
            if same == "agents"
            else mean_interval(differences, -1.0, 1.0, samples, any_time=any_time)
            for any_time in (False, True)
        )
        first, second = ([[played[agent] for played in pair] for pair in pairs] for agent in (0, 1))
        return Result(
            pairs=len(pairs),
            negotiations=2 * len(comparison.seats) * len(pairs),
            difference=planned,
            difference_at_any_time=at_any_time,
            agents=(_of(comparison.agents[0], first, samples), _of(comparison.agents[1], second, samples)),
            p_value=sign_test(differences[:1] if once else differences),
            identical=same,
            counted_once=once,
            more_pairs_needed=None if once or same == "agents" else more_needed(differences),
            failed=tuple(self._failed),
        )

    def _pair(self, seed: int) -> list[tuple[Played, Played]] | None:
        """Return both agents' results for each seat with a seed; None if a negotiation is missing."""
        found = [tuple(self._played.get(Job(agent, seat, seed)) for agent in (0, 1)) for seat in self.comparison.seats]
        complete = [(first, second) for first, second in found if first is not None and second is not None]
        return complete if len(complete) == len(found) else None


def jobs(comparison: Comparison) -> Iterator[Job]:
    """Yield all negotiations of a comparison, ordered for few model swaps."""
    seeds = range(comparison.seed, comparison.seed + comparison.pairs)
    for number, first in enumerate(range(0, len(seeds), BLOCK)):
        for agent in (0, 1) if number % 2 == 0 else (1, 0):
            for seed in seeds[first : first + BLOCK]:
                yield from (Job(agent, seat, seed) for seat in comparison.seats)


def run(
    comparison: Comparison,
    catalog: Catalog,
    store: Store,
    cancel: CancelToken | None = None,
    at_once: int = AT_ONCE,
    access: LaneAccess | None = None,
    payer: Payer | None = None,
) -> Generator[ComparisonProgress, None, None]:
    """Run a comparison in the background and store each negotiation when it ends.

    Closing the iterator, or `cancel`, stops running negotiations at their next token.

    Args:
        at_once: How many negotiations run at the same time.
        access: The lanes to use; by default one for each of `at_once`.
        payer: Who pays for models that say `credentials: visitor`, and the limit of all negotiations together.

    Raises:
        CredentialMissing, CredentialExpired, CredentialRejected, OutOfCredit, SpendingLimit: Nothing more can be paid
            for. What has ended was stored.
        UnknownAgent: An agent is neither a registered model nor a strategy. Nothing has started.
        ConfigError: An agent is a person or has wrong options. Nothing has started.
    """
    if {config.agent for config in (*comparison.agents, comparison.opponent)} & set(OUTSIDE):
        raise ConfigError(
            "a comparison runs unattended and cannot include people or outside programs; choose a model or a strategy"
        )
    first, second, opponent = map(catalog.complete, (*comparison.agents, comparison.opponent))
    comparison = replace(comparison, agents=(first, second), opponent=opponent)
    tally, waiting, running = PairTally(comparison), deque(jobs(comparison)), dict[str, Job]()
    group, done = new_run_id(), 0
    purse = Purse(payer)
    executor = Threads(catalog, at_once, access, purse)
    try:
        while (waiting or running) and not (cancel and cancel.cancelled):
            while waiting and len(running) < at_once:
                job = waiting.popleft()
                entry = _run(comparison, job, group)
                running[entry.run_id] = job
                executor.submit(entry)
            ended = executor.take(POLL_SECONDS)
            if ended is None:
                continue
            store.record(ended)
            job, done = running.pop(ended.run_id), done + 1
            tally.add(job, ended)
            yield ComparisonProgress(ended, job, done, comparison.negotiations, tally.result())
            if purse.trouble is not None:
                raise purse.trouble
    finally:
        executor.close()


def _run(comparison: Comparison, job: Job, group: str) -> Run:
    """Return the run of a job. The two runs of a seed and seat are lanes of one comparison and open side by side."""
    agents = {job.seat: comparison.agents[job.agent], other(job.seat): comparison.opponent}
    together = f"{group}-{job.seat}{job.seed}"
    return Run(
        run_id=new_run_id(),
        scenario=comparison.scenario,
        agents={"a": agents["a"], "b": agents["b"]},
        seed=job.seed,
        owner=comparison.owner,
        comparison=together,
        lane=job.agent + 1,
    )


def _identical(pairs: Sequence[Sequence[tuple[Played, Played]]]) -> Identical | None:
    if pairs and all(first.moves == second.moves for pair in pairs for first, second in pair):
        return "agents"
    return "repeats" if len(pairs) > 1 and len(set(map(_moves, pairs))) == 1 else None


def _moves(pair: Sequence[tuple[Played, Played]]) -> tuple[tuple[str, str], ...]:
    return tuple((first.moves, second.moves) for first, second in pair)


def _of(config: AgentConfig, pairs: Sequence[Sequence[Played]], samples: Sequence[int]) -> AgentResult:
    """Return an agent's result in all pairs; pairs with the same sample count as one."""
    played = [game for pair in pairs for game in pair]
    clusters = [sample for pair, sample in zip(pairs, samples, strict=True) for _ in pair]
    return AgentResult(
        agent=config,
        utility=fmean(game.utility for game in played) if played else None,
        agreement=mean_interval([float(game.agreed) for game in played], 0.0, 1.0, clusters),
        invalid=sum((game.invalid for game in played), Counter()),
        anchors=total(game.anchors for game in played),
    )
