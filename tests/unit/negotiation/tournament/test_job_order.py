"""The order of work: nothing lost, nothing stuck, few swaps."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negotiation.tournament.job_order import Desk, Group, Order


def work_off(order: Order[str], desks: list[Desk], slots: int, chance: random.Random) -> tuple[list[str], int]:
    """Work everything off, ending jobs in any order; the jobs as they began, and how many loads it took."""
    running: list[tuple[Desk, Group]] = []
    begun, loads = [], 0
    while len(order) or running:
        for desk in desks:
            while sum(other is desk for other, _ in running) < slots:
                had = set(desk.weights)
                if (picked := order.next(desk)) is None:
                    break
                job, group = picked
                begun.append(job)
                loads += len(group - had)
                running.append((desk, group))
                busy = {weights for other, group in running if other is desk for weights in group}
                assert busy <= desk.weights
                assert len(desk.weights) <= max(desk.places, 2)
        assert running, "nothing runs, and nothing is begun"
        desk, group = running.pop(chance.randrange(len(running)))
        desk.end(group)
    return begun, loads


def round_robin(models: int, games: int, alone: bool) -> Order[str]:
    order: Order[str] = Order()
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
    """With two places every pairing but the first needs one load more, which is the least there is."""
    order = round_robin(models, 8, alone)
    waiting = len(order)
    begun, taken = work_off(order, [order.desk(places)], 8, random.Random(1))
    assert len(set(begun)) == len(begun) == waiting
    assert taken <= loads


def test_a_worker_stays_with_the_weights_it_has() -> None:
    order = round_robin(4, 5, alone=False)
    desk = order.desk(2)
    begun = [order.next(desk) for _ in range(5)]
    assert len({group for _, group in filter(None, begun)}) == 1


def test_it_waits_rather_than_swap_what_is_running() -> None:
    order: Order[str] = Order()
    order.add("one", "xy")
    order.add("two", "xz")
    desk = order.desk(2)
    first = order.next(desk)
    assert first is not None
    assert order.next(desk) is None
    desk.end(first[1])
    second = order.next(desk)
    assert second is not None
    assert second[0] == "two"


def test_what_needs_little_fills_the_gap_before_a_swap() -> None:
    order: Order[str] = Order()
    for name, group in (("pair", "xy"), ("next", "xz"), ("alone", "x"), ("scripted", "")):
        order.add(name, group)
    desk = order.desk(2)
    begun = [order.next(desk) for _ in range(4)]
    assert [picked[0] if picked else None for picked in begun] == ["alone", "pair", "scripted", None]


def test_workers_take_different_weights() -> None:
    order = round_robin(6, 4, alone=False)
    desks = [order.desk(2) for _ in range(3)]
    groups = [picked[1] for desk in desks if (picked := order.next(desk))]
    assert len(set(groups)) == 3


def test_a_worker_that_left_reserves_nothing() -> None:
    order = round_robin(2, 2, alone=False)
    gone = order.desk(2)
    assert order.next(gone) is not None
    order.leave(gone)
    begun, _ = work_off(order, [order.desk(2)], 1, random.Random(0))
    assert len(begun) == 1


GROUPS = st.lists(st.sets(st.integers(0, 5), max_size=2), max_size=40)


@given(groups=GROUPS, places=st.integers(1, 4), slots=st.integers(1, 5), desks=st.integers(1, 3), seed=st.integers())
@settings(deadline=None, derandomize=True, max_examples=150)
def test_any_work_is_done_once(groups: list[Iterable[int]], places: int, slots: int, desks: int, seed: int) -> None:
    order: Order[str] = Order()
    for number, group in enumerate(groups):
        order.add(str(number), group)
    begun, _ = work_off(order, [order.desk(places) for _ in range(desks)], slots, random.Random(seed))
    assert Counter(begun) == Counter(map(str, range(len(groups))))
