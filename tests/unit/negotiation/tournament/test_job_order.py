"""The order of jobs: nothing lost, nothing stuck, few swaps."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.tournament.job_order import Group, JobOrder, WorkerState
from tests.support.effort import examples


def work_off(
    order: JobOrder[str], workers: list[WorkerState], slots: int, chance: random.Random
) -> tuple[list[str], int]:
    """Do all jobs, ending them in random order; return them as they started and the number of loads."""
    running: list[tuple[WorkerState, Group]] = []
    begun, loads = [], 0
    while len(order) or running:
        for worker in workers:
            while sum(other is worker for other, _ in running) < slots:
                had = set(worker.weights)
                if (picked := order.next(worker)) is None:
                    break
                job, group = picked
                begun.append(job)
                loads += len(group - had)
                running.append((worker, group))
                busy = {weights for other, group in running if other is worker for weights in group}
                assert busy <= worker.weights
                assert len(worker.weights) <= max(worker.capacity, 2)
        assert running, "nothing runs, and nothing is begun"
        worker, group = running.pop(chance.randrange(len(running)))
        worker.end(group)
    return begun, loads


def round_robin(models: int, games: int, alone: bool) -> JobOrder[str]:
    order: JobOrder[str] = JobOrder()
    for x, y in itertools.combinations(range(models), 2):
        for game in range(games):
            order.add(f"{x} {y} {game}", {x, y})
    for x in range(models if alone else 0):
        for game in range(games):
            order.add(f"{x} - {game}", {x})
    return order


@pytest.mark.parametrize(("models", "places", "loads"), [(6, 2, 16), (6, 3, 10), (8, 2, 29), (8, 4, 13), (3, 3, 3)])
@pytest.mark.parametrize("alone", [False, True])
def test_all_pairs_of_models_need_few_loads(models: int, places: int, loads: int, alone: bool) -> None:
    """With room for two, every pairing but the first needs one more load, which is the minimum."""
    order = round_robin(models, 8, alone)
    waiting = len(order)
    begun, taken = work_off(order, [order.add_worker(places)], 8, random.Random(1))
    assert len(set(begun)) == len(begun) == waiting
    assert taken <= loads


def test_a_worker_stays_with_the_weights_it_has() -> None:
    order = round_robin(4, 5, alone=False)
    worker = order.add_worker(2)
    begun = [order.next(worker) for _ in range(5)]
    assert len({group for _, group in filter(None, begun)}) == 1


def test_it_waits_rather_than_swap_weights_in_use() -> None:
    order: JobOrder[str] = JobOrder()
    order.add("one", "xy")
    order.add("two", "xz")
    worker = order.add_worker(2)
    first = order.next(worker)
    assert first is not None
    assert order.next(worker) is None
    worker.end(first[1])
    second = order.next(worker)
    assert second is not None
    assert second[0] == "two"


def test_small_jobs_fill_the_gap_before_a_swap() -> None:
    order: JobOrder[str] = JobOrder()
    for name, group in (("pair", "xy"), ("next", "xz"), ("alone", "x"), ("scripted", "")):
        order.add(name, group)
    worker = order.add_worker(2)
    begun = [order.next(worker) for _ in range(4)]
    assert [picked[0] if picked else None for picked in begun] == ["alone", "pair", "scripted", None]


def test_workers_take_different_weights() -> None:
    order = round_robin(6, 4, alone=False)
    workers = [order.add_worker(2) for _ in range(3)]
    groups = [picked[1] for worker in workers if (picked := order.next(worker))]
    assert len(set(groups)) == 3


def test_a_worker_that_left_reserves_nothing() -> None:
    order = round_robin(2, 2, alone=False)
    gone = order.add_worker(2)
    assert order.next(gone) is not None
    order.remove_worker(gone)
    begun, _ = work_off(order, [order.add_worker(2)], 1, random.Random(0))
    assert len(begun) == 1


GROUPS = st.lists(st.sets(st.integers(0, 5), max_size=2), max_size=40)


@given(groups=GROUPS, places=st.integers(1, 4), slots=st.integers(1, 5), workers=st.integers(1, 3), seed=st.integers())
@examples(150)
def test_every_job_is_done_once(groups: list[Iterable[int]], places: int, slots: int, workers: int, seed: int) -> None:
    order: JobOrder[str] = JobOrder()
    for number, group in enumerate(groups):
        order.add(str(number), group)
    begun, _ = work_off(order, [order.add_worker(places) for _ in range(workers)], slots, random.Random(seed))
    assert Counter(begun) == Counter(map(str, range(len(groups))))
