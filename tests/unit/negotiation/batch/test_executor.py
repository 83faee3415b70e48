"""Unwatched negotiations on threads: as many at once as there are slots, and none left at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from manager.errors import Busy
from manager.manager import LLMManager
from negotiation.admission.tickets import Stage
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import LaneAccess, Threads
from negotiation.live.threads import ThreadGroup
from negotiation.runs.record import Run

PATIENCE = 60.0


@pytest.mark.parametrize("slots", [1, 2, 3, 5])
def test_every_slot_has_a_lane_by_default(
    managers: Callable[..., LLMManager], make_run: Callable[..., Run], slots: int
) -> None:
    access = LaneAccess.all(slots)
    pool = Threads(Catalog(managers({"slow": {"tokens_per_second": 0.1}})), slots, access)
    for number in range(slots + 2):
        pool.submit(make_run(f"run-{number}", a="slow", b="slow"))
    running, waiting = (access.lanes.count(stage, background=True) for stage in (Stage.RUNNING, Stage.WAITING))
    pool.close()
    assert (running, waiting) == (slots, 2)
    assert access.lanes.visitors() == 0


def test_runs_that_cannot_start_end_as_failed(
    managers: Callable[..., LLMManager], make_run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def note(run_id: str, event: object) -> None:
        told.append(type(event).__name__)
        if len(told) == 1:
            raise SystemError("a panic")

    access = LaneAccess(LaneAccess.all(1).lanes, LaneAccess.all(1).caller, note)
    pool = Threads(Catalog(managers({})), 1, access)
    pool.submit(make_run("broken"))
    ended = pool.take(PATIENCE)
    pool.close()
    assert ended is not None
    assert (ended.status, ended.reason) == ("failed", "an internal error (SystemError); the log has the details")
    assert told == ["Started", "Halted"]
    assert "SystemError: a panic" in caplog.text


def test_joining_a_thread_group_includes_threads_started_in_the_meantime() -> None:
    crew, done, gate = ThreadGroup(), [], threading.Event()

    def first() -> None:
        assert gate.wait(PATIENCE)
        crew.begin("second", lambda: done.append("second"))
        done.append("first")

    crew.begin("first", first)
    gate.set()
    crew.join()
    assert sorted(done) == ["first", "second"]
    crew.close()
    with pytest.raises(Busy):
        crew.begin("third", lambda: done.append("third"))
    assert sorted(done) == ["first", "second"]
