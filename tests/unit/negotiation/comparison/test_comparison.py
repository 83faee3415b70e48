"""Comparisons run the right negotiations and report their difference with its uncertainty."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.comparison import comparison
from negotiation.comparison.comparison import Comparison, ComparisonProgress, Job, PairTally, jobs
from negotiation.diagnostics.prompt_anchors import Anchors
from negotiation.errors import UnknownAgent
from negotiation.figures.statistics import Interval
from negotiation.game.agent import Decision, View
from negotiation.game.events import InvalidReply, Measures, Turn
from negotiation.game.protocol import Action, Ending
from negotiation.runs.record import Run
from negotiation.runs.store import RunFilter, Store
from negotiation.scenario.model import SEATS, Scenario

Managers = Callable[..., LLMManager]
BAD = json.dumps({"thought": "", "action": "offer", "offer": {"price": 999, "lock": "with"}, "message": ""})


@pytest.fixture
def catalog(managers: Managers) -> Catalog:
    return Catalog(managers({"left": {}, "right": {}, "clumsy": {"replies": [BAD, "what?"]}}))


@pytest.fixture
def asked(bike: Scenario) -> Callable[..., Comparison]:
    def make(first: str = "left", second: str = "right", opponent: str = "boulware", **about: Any) -> Comparison:
        about.setdefault("pairs", 3)
        return Comparison(bike, (AgentConfig(first), AgentConfig(second)), AgentConfig(opponent), **about)

    return make


Ask = Callable[..., Comparison]


def test_a_pair_is_one_seed_in_both_seats(asked: Ask) -> None:
    found = list(jobs(asked(pairs=2, seed=5)))
    assert sorted((job.seed, job.agent, job.seat) for job in found) == sorted(
        itertools.product((5, 6), (0, 1), ("a", "b"))
    )
    assert {job.seat for job in jobs(asked(mirrored=False))} == {"a"}


@pytest.mark.parametrize("pairs", [1, 8, 9, 40])
def test_every_negotiation_is_run_once_and_agents_take_turns_in_blocks(asked: Ask, pairs: int) -> None:
    found = list(jobs(asked(pairs=pairs)))
    assert len(set(found)) == len(found) == asked(pairs=pairs).negotiations
    changes = sum(before.agent != after.agent for before, after in itertools.pairwise(found))
    assert changes == -(-pairs // comparison.BLOCK)


def test_all_negotiations_are_run_stored_and_reported(asked: Ask, catalog: Catalog, store: Store) -> None:
    told = list(comparison.run(asked(owner="me"), catalog, store))
    assert [progress.done for progress in told] == list(range(1, 13))
    assert {progress.total for progress in told} == {12}
    stored = store.summaries(RunFilter(visible_to="me", own=True))
    assert {run.run_id for run in stored} == {progress.run.run_id for progress in told}
    assert {run.status for run in stored} == {"done"}
    for progress in told:
        run = store.run(progress.run.run_id)
        assert run == progress.run
        seats = {"a": run.agents["a"].agent, "b": run.agents["b"].agent}
        assert seats.pop(progress.job.seat) == ("left", "right")[progress.job.agent]
        assert list(seats.values()) == ["boulware"]
        assert run.seed == progress.job.seed


def test_the_two_of_a_seed_and_seat_open_side_by_side(asked: Ask, catalog: Catalog, store: Store) -> None:
    told = list(comparison.run(asked(pairs=2), catalog, store))
    for progress in told:
        lanes = store.comparison(progress.run.run_id)
        assert [run.lane for run in lanes] == [1, 2]
        assert len({run.seed for run in lanes}) == 1
        assert {run.agents[progress.job.seat].agent for run in lanes} == {"left", "right"}


def test_the_figures_are_those_of_the_runs(asked: Ask, catalog: Catalog, store: Store) -> None:
    *_, last = comparison.run(asked(pairs=5), catalog, store)
    differences, utilities = [], dict[str, float]()
    for seed in range(1, 6):
        of_seed = [run for summary in store.summaries() if (run := store.run(summary.run_id)).seed == seed]
        got = {"left": 0.0, "right": 0.0, "boulware": 0.0}
        for run in of_seed:
            assert run.measures is not None
            for seat, utility in zip(SEATS, (run.measures.utility_a, run.measures.utility_b), strict=True):
                got[run.agents[seat].agent] += utility
        differences.append((got["left"] - got["right"]) / 2)
        utilities = {name: utilities.get(name, 0.0) + value for name, value in got.items()}
    result = last.result
    assert (result.pairs, result.negotiations) == (5, 20)
    assert result.difference is not None
    assert result.difference.mean == pytest.approx(fmean(differences))
    assert [agent.utility for agent in result.agents] == [
        pytest.approx(utilities[name] / 10) for name in ("left", "right")
    ]


def test_the_same_comparison_gives_the_same_figures(asked: Ask, catalog: Catalog, store: Store) -> None:
    first, second = ([*comparison.run(asked(), catalog, store, at_once=n)][-1].result for n in (1, 5))
    assert first == second


def test_an_agent_compared_with_itself_makes_the_same_moves(asked: Ask, catalog: Catalog, store: Store) -> None:
    *_, last = comparison.run(asked("left", "left"), catalog, store)
    assert last.result.identical == "agents"
    assert last.result.difference == last.result.difference_at_any_time == Interval(0, 0, 0)
    assert last.result.p_value == 1
    assert last.result.more_pairs_needed is None


def test_repeats_are_reported_and_count_once(asked: Ask, catalog: Catalog, store: Store, shipped: Any) -> None:
    """Deterministic strategies make the same moves with every seed."""
    car = replace(asked("boulware", "conceder", pairs=6), scenario=shipped["company_car"])
    *_, last = comparison.run(car, catalog, store)
    assert last.result.identical == "repeats"
    assert last.result.counted_once
    difference = last.result.difference
    assert difference is not None
    assert difference.low < 0 < difference.mean < difference.high
    assert last.result.more_pairs_needed is None


def test_invalid_replies_count_for_their_agent(asked: Ask, catalog: Catalog, store: Store) -> None:
    *_, last = comparison.run(asked("clumsy", "left", opponent="clumsy", pairs=1), catalog, store)
    clumsy, left = last.result.agents
    assert set(clumsy.invalid) == {"off_menu", "not_json"}
    assert left.invalid.total() == 0


def test_failures_are_reported_and_their_pairs_left_out(asked: Ask, managers: Managers, store: Store) -> None:
    catalog = Catalog(managers({"left": {}, "broken": {"fail_loads": 99}}))
    *_, last = comparison.run(asked("left", "broken", pairs=2), catalog, store)
    assert (last.result.pairs, last.result.difference, len(last.result.failed)) == (0, None, 4)
    assert "broken" in last.result.failed[0]
    assert {run.status for run in store.summaries()} == {"done", "failed"}


def test_unknown_agents_are_refused_before_anything_starts(asked: Ask, catalog: Catalog, store: Store) -> None:
    with pytest.raises(UnknownAgent, match="nobody"):
        next(comparison.run(asked(opponent="nobody"), catalog, store))
    assert store.summaries() == []


def test_people_are_not_compared(asked: Ask, catalog: Catalog, store: Store) -> None:
    with pytest.raises(ConfigError, match="cannot include people"):
        next(comparison.run(asked(opponent="human"), catalog, store))


def test_a_comparison_needs_a_pair(asked: Ask) -> None:
    with pytest.raises(ConfigError, match="at least one pair"):
        asked(pairs=0)


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_it_can_be_stopped(asked: Ask, managers: Managers, store: Store, how: str) -> None:
    """Finished negotiations count, running ones do not, and no thread remains."""
    catalog = Catalog(managers({"left": {}, "endless": {"tokens_per_second": 0.01}}))
    cancel = CancelToken()
    told = comparison.run(asked("left", "endless", pairs=2), catalog, store, cancel)
    first = next(told)
    if how == "cancel":
        cancel.cancel()
        rest = list(told)
        assert all(progress.run.measures for progress in rest)
    else:
        told.close()
    assert first.run.run_id in {run.run_id for run in store.summaries()}
    assert {run.status for run in store.summaries()} == {"done"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("negotiation")]
    assert not catalog.manager.snapshot().queue


def test_the_number_of_running_negotiations_is_bounded(
    asked: Ask, catalog: Catalog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three meet at a barrier for three; a fourth would wait forever."""
    barrier, inside, most = threading.Barrier(3), Counter[str](), []

    class Meeting:
        name = "left"

        def act(self, view: View) -> Generator[Any, None, Decision]:
            yield from ()
            inside["now"] += 1
            barrier.wait(timeout=30)
            most.append(inside["now"])
            barrier.wait(timeout=30)
            inside["now"] = 0
            barrier.wait(timeout=30)
            return Decision(Action.WALK_AWAY)

    monkeypatch.setattr(catalog, "create", lambda config: Meeting())
    list(comparison.run(asked(), catalog, store, at_once=3))
    assert most == [3] * 12


def played(scenario: Scenario, seed: int, utility: float, offer: int) -> Run:
    """Return a finished run with a utility and its own moves."""
    measures = Measures(utility, utility, 1, 0, 0, rational_a=True, rational_b=True)
    turn = Turn(0, 1, "a", "any", Action.OFFER, {"price": offer}, invalid=(InvalidReply("empty", "", ""),))
    return Run(
        run_id="run",
        scenario=scenario,
        agents={},
        seed=seed,
        status="done",
        ending=Ending.AGREEMENT,
        agreement={},
        measures=measures,
        turns=(turn,),
    )


def test_a_worked_example(asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seeds, one seat: differences 0.1, 0.2 and 0.3."""
    monkeypatch.setattr(comparison, "anchors", lambda run, seat: Anchors())
    tally = PairTally(asked(mirrored=False))
    scenario = asked().scenario
    for seed in (1, 2, 3):
        tally.add(Job(0, "a", seed), played(scenario, seed, 0.5 + seed / 10, seed))
        assert tally.result().pairs == seed - 1
        tally.add(Job(1, "a", seed), played(scenario, seed, 0.5, -seed))
    result = tally.result()
    assert result.difference is not None
    assert (result.difference.mean, result.difference.low) == pytest.approx((0.2, -0.0484), abs=1e-3)
    assert result.p_value == pytest.approx(0.25)
    assert result.difference_at_any_time == Interval(result.difference.mean, -1, 1)  # three pairs are too few
    assert result.more_pairs_needed == 5
    assert result.agents[0].utility == pytest.approx(0.7)
    assert result.agents[0].invalid == {"empty": 3}
    assert result.identical is None


def test_progress_narrows(asked: Ask, catalog: Catalog, store: Store) -> None:
    told: list[ComparisonProgress] = list(comparison.run(asked(pairs=12), catalog, store, at_once=1))
    known = [progress.result.difference_at_any_time for progress in told]
    assert known[:16] == [None] * 16  # the first block is one agent's
    first = next(interval for interval in known if interval is not None)
    last = known[-1]
    assert last is not None
    assert last.high - last.low < first.high - first.low
