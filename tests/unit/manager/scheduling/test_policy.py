"""The policy's promises: no request starves, thrashing ends, and loads serve as many turns as possible."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.support.optimum import best
from benchmarks.support.simulation import Baseline, Figures, Ours, Turns, key, turns_of
from manager.scheduling import messages as msg
from manager.scheduling.policy import BYPASS_BOUND, PATIENCE_LOADS, worth_a_load
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import SchedulerLimits, Weights

SIX_PAIRS = list(itertools.combinations(range(4), 2))
EVENINGS = {
    "eight over four": [*SIX_PAIRS, (0, 1), (2, 3)],
    "two over four": [(0, 1), (2, 3)],
    "a chain of three": [(0, 1), (1, 2), (2, 3)],
    "one beside a soliloquy": [(0, 1), (2, 2)],
    "sixteen over six": [*itertools.combinations(range(6), 2), (0, 1)],
}


def ours(pairs: list[tuple[int, int]], load_seconds: float, places: int = 2, seed: int = 0) -> Figures:
    return Ours(places, load_seconds).run(turns_of(pairs, seed))


def baseline(pairs: list[tuple[int, int]], load_seconds: float) -> Figures:
    return Baseline(2, load_seconds).run(turns_of(pairs, 0))


@pytest.mark.parametrize("load_seconds", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("pairs", EVENINGS.values(), ids=EVENINGS.keys())
def test_all_turns_happen_and_no_request_is_bypassed_more_often_than_the_bound(
    pairs: list[tuple[int, int]], load_seconds: float
) -> None:
    figures = ours(pairs, load_seconds)
    assert len(figures.waits) == 20 * len(pairs)
    assert figures.longest_bypass <= BYPASS_BOUND
    assert figures.loads <= baseline(pairs, load_seconds).loads


def test_one_place_for_eight_negotiations_of_two_models_finishes() -> None:
    figures = ours(EVENINGS["eight over four"], 2.0, places=1)
    assert len(figures.waits) == 160


@pytest.mark.parametrize("seed", range(5))
def test_two_negotiations_without_a_common_model_do_not_take_places_from_each_other_at_every_turn(seed: int) -> None:
    turns = turns_of(EVENINGS["two over four"], seed)
    common, figures = Baseline(2, 5.0).run(turns), Ours(2, 5.0).run(turns)
    assert common.loads == len(common.waits), "a load for each turn"
    assert figures.loads <= common.loads / 3
    assert figures.makespan <= 0.7 * common.makespan


def test_negotiations_of_the_same_two_models_load_each_once() -> None:
    assert ours([(0, 1)] * 8, 2.0).loads == 2


def test_a_request_waits_no_longer_for_a_stream_of_others_than_its_patience() -> None:
    """One holder after the other keeps the only place busy, slowly enough that the bypass bound is far."""
    scheduler = Scheduler(SchedulerLimits(max_loaded=1))
    busy, wanted = key(0), key(1)
    for weights in (busy, wanted):
        scheduler.handle(msg.Register(weights), 0)
        scheduler.handle(msg.Prepared(weights, 1, "gpu", load_seconds=2.0), 0)
    scheduler.handle(msg.Request(1, busy, "x", busy), 0)
    scheduler.handle(msg.Loaded(busy, 1), 2)
    scheduler.handle(msg.Request(2, wanted), 2)
    number, now = 1, 2.0
    while scheduler.tables.job is None:
        now += 3
        following = number + 2
        scheduler.handle(msg.Request(following, busy, "y", busy), now)
        scheduler.handle(msg.Release(number), now)
        number = following
        assert now <= 2 + PATIENCE_LOADS * 2 + 3
    assert scheduler.tables.job == busy, "it leaves"


@pytest.mark.parametrize(
    ("waiting", "load_seconds", "demand", "worth"),
    [
        (1, 10.0, 0, True),  # no session would miss it
        (1, 0.5, 1, True),  # quick loads are made freely
        (1, 10.0, 1, False),  # slow ones are put off ...
        (6, 10.0, 1, True),  # ... until enough wait
        (4, 2.0, 2, True),
        (1, 2.0, 1, False),  # as fast: who is at work goes on
    ],
)
def test_a_load_is_worth_it_when_it_serves_turns_faster(
    waiting: int, load_seconds: float, demand: int, worth: bool
) -> None:
    target = Weights(key(0), cold_seconds=load_seconds)
    row = Weights(key(1), turn_seconds=1.0, cold_seconds=load_seconds)
    assert worth_a_load(target, waiting, row, demand) is worth


def test_weights_that_are_slow_to_reload_are_not_evicted_for_quick_ones() -> None:
    quick, slow = Weights(key(0), cold_seconds=0.5), Weights(key(1), turn_seconds=1.0, cold_seconds=30.0)
    assert not worth_a_load(quick, 1, slow, 1)
    slow.parks, slow.wake_seconds = True, 0.5
    assert worth_a_load(quick, 1, slow, 1), "a copy stays in host memory and wakes quickly"


@pytest.mark.parametrize(
    ("pairs", "turns", "load"),
    [
        ([(0, 1), (2, 3)], 8, 1),
        ([(0, 1), (2, 3)], 8, 2),
        ([(0, 1), (2, 3)], 12, 5),
        ([(0, 1), (2, 2)], 8, 5),
        ([(0, 1), (1, 2), (2, 3)], 4, 5),
        ([(0, 1), (2, 3), (0, 2)], 4, 2),
    ],
)
def test_evenings_end_within_one_and_a_half_times_the_best_possible(
    pairs: list[tuple[int, int]], turns: int, load: int
) -> None:
    sessions: list[Turns] = [[(pair[turn % 2], 1.0) for turn in range(turns)] for pair in pairs]
    models = [[model for model, _ in session] for session in sessions]
    assert Ours(2, load).run(sessions).makespan <= 1.5 * best(models, 2, load, "makespan")


def test_the_best_possible_order_is_found() -> None:
    """Two sessions, four models, loads of one turn: worked out by hand."""
    sessions = [[0, 1, 0, 1], [2, 3, 2, 3]]
    assert best(sessions, places=4, load=1, measure="loads") == 4
    assert best(sessions, places=2, load=1, measure="loads") == 4, "one after the other"
    assert best([[0, 1, 0, 1]], places=2, load=2, measure="makespan") == 8, "nothing is loaded unasked"
    assert best([[0, 1, 0, 1]], places=1, load=2, measure="makespan") == 12, "a load before each turn"
    assert best([[0, 0, 0], [1]], places=1, load=1, measure="loads", bound=0) == 3, "no request may be overtaken"
