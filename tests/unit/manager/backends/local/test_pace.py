"""Progress by the clock moves, never falls, never says that all is done, and lets the work be aborted."""

from __future__ import annotations

import itertools
import threading

import pytest

from manager.backends.local.pace import paced, share
from manager.errors import Cancelled


def test_it_moves_while_the_work_says_nothing_and_never_reaches_the_end() -> None:
    told: list[int] = []
    moved = threading.Event()

    def progress(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("loading", 1000)
        told.append(done)
        if len(set(told)) > 3:
            moved.set()

    with paced(progress, "loading", 1000, seconds=0.05, tick=0.001):
        assert moved.wait(10)
    assert told == sorted(told)
    assert told[-1] < 1000
    count = len(told)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert len(told) == count


def test_what_the_work_says_counts_where_it_is_more() -> None:
    told: list[int] = []
    seen = threading.Event()

    def progress(_: str, done: int, __: int) -> None:
        told.append(done)
        if told.count(900) > 1:
            seen.set()

    with paced(progress, "loading", 1000, seconds=1e6, tick=0.001) as report:
        report("loading", 900, 1000)
        report("loading", 10, 1000)
        assert seen.wait(10)
    assert told[-1] == 900


def test_an_abort_reaches_the_work_at_its_next_report() -> None:
    refused = threading.Event()

    def progress(_: str, __: int, ___: int) -> None:
        refused.set()
        raise Cancelled("nobody waits for it any more")

    def work() -> None:
        with paced(progress, "loading", 10, seconds=1.0, tick=0.001) as report:
            assert refused.wait(10)
            report("loading", 5, 10)

    with pytest.raises(Cancelled):
        work()


def test_it_slows_down_where_the_work_takes_longer_than_expected() -> None:
    shares = [share(elapsed, 10.0) for elapsed in range(0, 100, 5)]
    assert shares == sorted(shares)
    steps = [after - before for before, after in itertools.pairwise(shares)]
    assert steps == sorted(steps, reverse=True)
    assert shares[-1] < 1
