"""Driving runs: whatever fails and whenever it is stopped, a run ends, is recorded, and releases its lane."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Limits
from negotiation.admission.tickets import Stage
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.errors import StoreError
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Asked, Ended, Event, Halted, Queued, Started, TurnTaken
from negotiation.game.session import Negotiation
from negotiation.live.driver import NO_THREAD, SHUT_DOWN, Driver, LiveRun
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Offer
from tests.support.watch import PATIENCE, follow, until

OFFER: Offer = {"price": 150, "lock": "with"}
INTERRUPTED = Halted("interrupted", SHUT_DOWN)
BROKEN = Halted("failed", "an internal error; the log has the details")
Runs = Callable[..., Run]


class Panic(BaseException):
    """Like a panic in a Rust extension: not an Exception."""


class Acting:
    """An agent that does what its test says."""

    def __init__(self, name: str, act: Callable[[View], Decision]) -> None:
        self.name = name
        self._act = act

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        return self._act(view)


class House(Catalog):
    """A catalog with test agents, and generators that fail to close."""

    def __init__(self, manager: LLMManager) -> None:
        super().__init__(manager)
        self.own: dict[str, Agent] = {}
        self.stubborn = False

    def create(self, config: AgentConfig) -> Agent:
        return self.own.get(config.agent) or super().create(config)

    def drive(self, negotiation: Negotiation) -> Generator[Event, Any, None]:
        driving = super().drive(negotiation)
        return self._held(driving) if self.stubborn else driving

    def _held(self, driving: Generator[Event, Any, None]) -> Generator[Event, Any, None]:
        try:
            yield from driving
        finally:
            raise RuntimeError("it does not let go")


class Clock:
    """A clock with a hook for the housekeeping thread."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.looked: Callable[[], object] | None = None

    def __call__(self) -> float:
        if self.looked is not None and threading.current_thread().name.endswith("_clean_up"):
            looked, self.looked = self.looked, None
            looked()
        return time.monotonic() + self.ahead


@pytest.fixture
def house(managers: Callable[..., LLMManager]) -> House:
    return House(managers({"slow": {"tokens_per_second": 5}}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(Limits(lanes=1))


@pytest.fixture
def live(house: House, store: Store, lanes: Lanes, clock: Clock) -> Iterator[LiveRuns]:
    runs = LiveRuns(house, store, grace=1000.0, clock=clock, lanes=lanes)
    yield runs
    runs.close()


def over(live: LiveRuns, lanes: Lanes, store: Store, run_id: str) -> tuple[str, str]:
    """Return how a run is stored, after checking that this process holds nothing of it."""
    live._driver.join()
    assert live.watch(run_id) is None
    assert sum(lanes.count(stage, background=False) for stage in Stage) == 0
    run = store.run(run_id)
    return run.status, run.reason


def refuse(*_: object) -> None:
    raise StoreError("could not record a turn: disk full")


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


# -- what breaks -----------------------------------------------------------------------------------------------


def test_a_panic_ends_the_run_like_any_fault(
    live: LiveRuns, house: House, lanes: Lanes, store: Store, make_run: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    looked = threading.Event()

    def panic(_: View) -> Decision:
        assert looked.wait(PATIENCE)
        raise Panic("at src/lib.rs:1")

    house.own["panic"] = Acting("panic", panic)
    run_id = live.start(make_run(a="panic"))
    with follow(live, run_id) as watch:
        looked.set()
        assert until(watch, Halted)[-1] == BROKEN
    assert over(live, lanes, store, run_id) == ("failed", BROKEN.reason)
    assert "at src/lib.rs:1" in caplog.text


def test_a_lane_is_released_even_if_cleanup_fails(
    live: LiveRuns, house: House, lanes: Lanes, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.stubborn = True
    monkeypatch.setattr(store, "add_turn", refuse)
    run_id = live.start(make_run())
    assert over(live, lanes, store, run_id) == ("failed", "could not record a turn: disk full")


@pytest.mark.parametrize("waiting", [False, True])
def test_without_a_thread_a_run_fails_and_the_next_has_its_lane(
    live: LiveRuns, lanes: Lanes, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch, waiting: bool
) -> None:
    first = live.start(make_run(a="human")) if waiting else None
    if first is not None:
        until(follow(live, first), Asked)
    with monkeypatch.context() as broken:
        no_threads(broken)
        if first is None:
            first = live.start(make_run())
        else:
            live.answer(first, "offer", OFFER)
    assert over(live, lanes, store, first) == ("failed", NO_THREAD)
    second = live.start(make_run())
    assert over(live, lanes, store, second)[0] == "done"


def test_without_a_thread_it_is_recorded_that_a_run_was_stopped(
    live: LiveRuns, lanes: Lanes, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = live.start(make_run(a="human"))
    until(follow(live, run_id), Asked)
    with monkeypatch.context() as broken:
        no_threads(broken)
        live.stop(run_id)
    assert over(live, lanes, store, run_id) == ("stopped", "stopped by its owner")


# -- stopping in between ---------------------------------------------------------------------------------------


def between(lanes: Lanes, happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a function once, just before a run waits for its lane."""
    wait, times = lanes.wait, iter([happens])

    def waiting(*given: Any, **how: Any) -> None:
        next(times, lambda: None)()
        wait(*given, **how)

    monkeypatch.setattr(lanes, "wait", waiting)


@pytest.mark.parametrize("how", ["stop", "drain"])
def test_an_answer_during_a_stop_learns_how_the_run_ended(
    live: LiveRuns, lanes: Lanes, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It waits for a lane that is never granted."""
    run_id = live.start(make_run(a="human"))
    with follow(live, run_id) as watch:
        until(watch, Asked)
        slow = live.start(make_run(a="slow", b="slow"))
        between(lanes, live.drain if how == "drain" else lambda: live.stop(run_id), monkeypatch)
        live.answer(run_id, "offer", OFFER)
        halted = until(watch, Halted)[-1]
    assert halted == (INTERRUPTED if how == "drain" else Halted("stopped", "stopped by its owner"))
    live.stop(slow)
    assert over(live, lanes, store, run_id) == (halted.status, halted.reason)


def test_a_run_that_starts_during_shutdown_is_interrupted(
    live: LiveRuns, lanes: Lanes, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(lanes, live.drain, monkeypatch)
    run_id = live.start(make_run())
    assert over(live, lanes, store, run_id) == ("interrupted", SHUT_DOWN)


def test_draining_interrupts_waiting_background_runs_too(live: LiveRuns, store: Store, make_run: Runs) -> None:
    live.start(make_run(a="slow", b="slow"))
    waiting = live.start(make_run(), background=True)
    with follow(live, waiting) as watch:
        live.drain()
        assert until(watch, Halted)[-1] == INTERRUPTED
    assert store.run(waiting).status == "interrupted"


def test_an_answer_at_the_last_moment_counts(live: LiveRuns, clock: Clock, make_run: Runs) -> None:
    run_id = live.start(make_run(a="human", b="conceder"))
    with follow(live, run_id) as watch:
        (asked,) = [event for event in until(watch, Asked) if isinstance(event, Asked)]
        clock.looked = lambda: live.answer(run_id, "offer", OFFER)
        clock.ahead = asked.seconds
        seen = until(watch, Asked)
    assert not any(isinstance(event, Halted) for event in seen)
    assert sum(isinstance(event, TurnTaken) for event in seen) == 2


def test_a_started_run_publishes_no_queue_position(
    live: LiveRuns, lanes: Lanes, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it gets its lane between reading its position and publishing it."""
    begins, begin, places = threading.Event(), Driver._begin, lanes.positions
    looked = threading.Event()

    def beginning(self: Driver, live: LiveRun, *given: Any) -> None:
        if live.run.run_id == "second":
            begins.set()
        begin(self, live, *given)

    def looking() -> Any:
        found = places()
        if found and not looked.is_set():
            looked.set()
            threading.Thread(target=lanes.leave, args=(first,)).start()
            assert begins.wait(PATIENCE)
        return found

    monkeypatch.setattr(Driver, "_begin", beginning)
    first = live._find(live.start(make_run(a="slow", b="slow"))).ticket  # type: ignore[union-attr]
    monkeypatch.setattr(lanes, "positions", looking)
    live.start(make_run("second"))
    with follow(live, "second") as watch:
        seen = until(watch, Ended)
    assert not any(isinstance(event, Queued) for event in seen[[*map(type, seen)].index(Started) :])
