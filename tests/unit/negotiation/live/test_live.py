"""Running negotiations belong to the server, whoever watches them, and each is recorded to its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from manager.errors import LoadFailed
from manager.manager import LLMManager
from negotiation.admission.limits import LimitReached
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.errors import StoreError, UnknownAgent, UnknownRun
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import (
    Ended,
    Event,
    Halted,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.game.protocol import Action, Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.live.feed import Feed, Watch, stored_events
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run, new_run_id
from negotiation.runs.store import Store
from negotiation.scenario.model import Offer, Scenario
from tests.support.watch import PATIENCE, follow, until

Stores = Callable[..., Store]
Runs = Callable[..., Run]
OFFER: Offer = {"price": 150, "lock": "with"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """An agent that repeats its offer until its fifth turn and then accepts, each time only when let through."""

    name = "gate"

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)

    def go(self, turns: int = 1) -> None:
        """Let it take this many turns."""
        self._told.release(turns)

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield Writing(view.seat, 0, f"turn {view.state.turn}")
        forget = view.cancel.on_cancel(self._told.release)
        self._told.acquire()
        forget()
        view.cancel.check()
        if view.state.turn < 5:
            return Decision(Action.OFFER, OFFER, f"Offer {view.state.turn}.")
        return Decision(Action.ACCEPT)


class Broken:
    name = "broken"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        raise self._error


class House(Catalog):
    """The catalog with some test agents."""

    def __init__(self, manager: LLMManager, **own: Agent) -> None:
        super().__init__(manager)
        self.own = own

    def create(self, config: AgentConfig) -> Agent:
        return self.own.get(config.agent) or super().create(config)


class Signals:
    """Signals waiting threads when a method of an object is called."""

    def __init__(self, target: object, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls = threading.Semaphore(0)
        call = getattr(target, method)

        def calling(*given: Any) -> Any:
            try:
                return call(*given)
            finally:
                self._calls.release()

        monkeypatch.setattr(target, method, calling)

    def wait(self) -> None:
        assert self._calls.acquire(timeout=PATIENCE)

    def forget(self) -> None:
        """Ignore the calls so far."""
        while self._calls.acquire(blocking=False):
            pass


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(managers: Callable[..., LLMManager]) -> LLMManager:
    return managers({"fast": {}, "slow": {"tokens_per_second": 5}})


@pytest.fixture
def house(manager: LLMManager, gate: Gate) -> House:
    return House(manager, gate=gate)


@pytest.fixture
def live(house: House, store: Store, clock: Clock, gate: Gate) -> Iterator[LiveRuns]:
    runs = LiveRuns(house, store, grace=10.0, clock=clock)
    yield runs
    gate.go(1000)  # what a failed test left waiting
    runs.close()


def thinking(turn: int) -> Writing:
    """The text that a gate writes while it waits to be let through."""
    return Writing("ab"[turn % 2], 0, f"turn {turn}")  # type: ignore[arg-type]


def timeless(events: list[Event]) -> list[Event]:
    return [
        TurnTaken(replace(event.turn, seconds=0.0)) if isinstance(event, TurnTaken) else event
        for event in events
        if not isinstance(event, Writing | Waiting | TurnStarted | Rejected)
    ]


# -- starting --------------------------------------------------------------------------------------------------


def test_run_ids_cannot_be_guessed() -> None:
    """At least 96 bits, letters and digits only: a leading dash would look like a command-line option."""
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(bytes.fromhex(run_id)) >= 12 for run_id in ids)
    assert all(run_id.isalnum() and len(run_id) <= 64 for run_id in ids)


def test_a_run_is_recorded_before_it_is_driven(live: LiveRuns, store: Store, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate", owner="anne"))
    found = store.run(run_id)
    assert (found.status, found.owner, found.turns) == ("running", "anne", ())
    assert live.is_running(run_id)
    assert live.owner(run_id) == "anne"


def test_a_given_id_is_used(live: LiveRuns, make_run: Runs) -> None:
    assert live.start(make_run("my-run", a="gate", b="gate")) == "my-run"


def test_an_unknown_agent_starts_nothing(live: LiveRuns, store: Store, make_run: Runs) -> None:
    with pytest.raises(UnknownAgent, match="'nobody' is neither a model nor a strategy"):
        live.start(make_run(b="nobody"))
    assert store.summaries() == []


def test_a_run_that_cannot_be_recorded_is_not_started(live: LiveRuns, make_run: Runs) -> None:
    live.start(make_run("twice", a="gate", b="gate"))
    first = follow(live, "twice")
    with pytest.raises(StoreError):
        live.start(make_run("twice", a="gate", b="gate"))
    assert live.is_running("twice")
    assert isinstance(until(first, Writing)[0], Started)


def test_a_run_that_is_not_driven_here_is_not_running(live: LiveRuns) -> None:
    assert live.watch("elsewhere") is None
    assert live.owner("elsewhere") is None
    assert not live.is_running("elsewhere")
    live.stop("elsewhere")


# -- watching --------------------------------------------------------------------------------------------------


def test_a_watcher_sees_everything_in_order(live: LiveRuns, gate: Gate, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        seen: list[Event] = []
        for turn in range(6):
            until(watch, thinking(turn), seen)
            gate.go()
        until(watch, Ended, seen)
    assert seen[0] == Started(run_id, "bike", {"a": "gate", "b": "gate"}, 1)
    assert [type(event) for event in seen] == [Started, *[TurnStarted, Writing, TurnTaken] * 5, TurnStarted, Writing,
        TurnTaken, Ended]  # fmt: skip
    assert [event.turn.index for event in seen if isinstance(event, TurnTaken)] == list(range(6))


def test_a_late_watcher_sees_the_turns_and_the_current_state(live: LiveRuns, gate: Gate, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as early:
        gate.go(3)
        until(early, thinking(3))
        with follow(live, run_id) as late:
            seen = late.poll(0)
    assert [type(event) for event in seen] == [Started, TurnTaken, TurnTaken, TurnTaken, TurnStarted, Writing]
    assert [event.turn.index for event in seen if isinstance(event, TurnTaken)] == [0, 1, 2]
    assert seen[-1] == thinking(3)


def test_a_slow_watcher_misses_no_turn(live: LiveRuns, gate: Gate, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as slow, follow(live, run_id) as quick:
        seen = until(slow, Writing)
        gate.go(6)
        everything = until(quick, Ended)
        seen += slow.poll(0)
    assert timeless(seen) == timeless(everything)
    assert isinstance(seen[-1], Ended)


def test_iterating_ends_with_the_run(live: LiveRuns, gate: Gate, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go(6)
        events = list(watch)
    assert [type(event) for event in events if isinstance(event, TurnTaken | Ended)] == [*[TurnTaken] * 6, Ended]


def test_an_ended_run_is_no_longer_running(
    live: LiveRuns, house: House, gate: Gate, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher of the end can start the next run, even before the driving thread has cleaned up."""
    tidying = threading.Event()
    monkeypatch.setattr(house.manager, "forget", lambda _: tidying.wait(PATIENCE))
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go(6)
        until(watch, Ended)
        assert not live.is_running(run_id)
        with follow(live, run_id) as late:
            assert isinstance(late.poll(0)[-1], Ended)
    tidying.set()


def test_only_the_latest_wait_remains_in_the_feed() -> None:
    """However long a run waits, a new watcher gets one event, and memory does not grow."""
    running = Feed(Clock())
    running.publish(Started("run-1", "bike", {}, 1))
    running.publish(TurnStarted(0, 1, "a", "x"))
    with Watch(running) as early:
        for place in range(500, 0, -1):
            running.publish(Waiting("a", "queued", place))
            assert early.poll(0)[-1] == Waiting("a", "queued", place)
        with Watch(running) as late:
            assert late.poll(0) == [
                Started("run-1", "bike", {}, 1),
                TurnStarted(0, 1, "a", "x"),
                Waiting("a", "queued", 1),
            ]


def test_pieces_are_dropped_once_the_turn_is_taken() -> None:
    running = Feed(Clock())
    made = TurnTaken(Turn(0, 1, "a", "x", Action.OFFER, OFFER))
    running.publish(Waiting("a", "queued", 1))
    for event in (Writing("a", 0, "no"), Waiting("a", "queued"), Writing("a", 1, "yes"), made, Writing("b", 0, "well")):
        running.publish(event)
    with Watch(running) as watch:
        assert watch.poll(0) == [made, Writing("b", 0, "well")]
        assert watch.poll(0) == []


# -- recording -------------------------------------------------------------------------------------------------


def test_turns_and_endings_are_stored_before_they_are_published(
    live: LiveRuns, gate: Gate, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = "run-1"
    watches: list[Watch] = []
    seen: list[Event] = []
    add_turn, end = store.add_turn, store.end

    def look() -> None:
        for watch in watches:
            seen.extend(watch.poll(0))

    def adding(run_id: str, turn: Turn, provenance: Provenance | None) -> None:
        look()
        assert sum(isinstance(event, TurnTaken) for event in seen) == turn.index
        add_turn(run_id, turn, provenance)

    def ending(run_id: str, ended: Ended | Halted) -> None:
        look()
        assert not any(isinstance(event, Ended | Halted) for event in seen)
        end(run_id, ended)

    monkeypatch.setattr(store, "add_turn", adding)
    monkeypatch.setattr(store, "end", ending)
    live.start(make_run(run_id, a="gate", b="gate"))
    with follow(live, run_id) as inside, follow(live, run_id) as outside:
        watches.append(inside)
        gate.go(6)
        until(outside, Ended)
    assert sum(isinstance(event, TurnTaken) for event in seen) == 6
    assert store.run(run_id).status == "done"


def test_stored_events_match_the_published_ones(live: LiveRuns, gate: Gate, store: Store, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        assert [type(event) for event in stored_events(store.run(run_id))] == [Started]
        gate.go(6)
        seen = until(watch, Ended)
    assert timeless(stored_events(store.run(run_id))) == timeless(seen)


@pytest.mark.parametrize("status", ["stopped", "interrupted", "failed"])
def test_a_halted_run_ends_with_halted(store: Store, make_run: Runs, status: Any) -> None:
    store.begin(make_run("run-1"))
    store.end("run-1", Halted(status, "because"))
    assert stored_events(store.run("run-1"))[-1] == Halted(status, "because")


def test_a_deal_is_recorded_with_its_figures(live: LiveRuns, gate: Gate, store: Store, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go(6)
        (end,) = [event for event in until(watch, Ended) if isinstance(event, Ended)]
    found = store.run(run_id)
    assert (found.ending, found.ended_by, found.agreement) == (Ending.AGREEMENT, "b", OFFER)
    assert found.measures == end.measures


# -- failing ---------------------------------------------------------------------------------------------------


def test_an_agents_failure_is_published_and_recorded(
    live: LiveRuns, house: House, gate: Gate, store: Store, make_run: Runs
) -> None:
    house.own["broken"] = Broken(LoadFailed("no such file"))
    run_id = live.start(make_run(a="gate", b="broken"))
    with follow(live, run_id) as watch:
        gate.go()
        assert until(watch, Halted)[-1] == Halted("failed", "no such file")
    found = store.run(run_id)
    assert (found.status, found.reason, len(found.turns)) == ("failed", "no such file", 1)


def test_an_internal_error_is_logged_and_shown_without_details(
    live: LiveRuns, house: House, gate: Gate, store: Store, make_run: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    house.own["broken"] = Broken(ZeroDivisionError("secret"))
    run_id = live.start(make_run(a="gate", b="broken"))
    with follow(live, run_id) as watch, caplog.at_level(logging.ERROR):
        gate.go()
        assert until(watch, Halted)[-1] == Halted("failed", "an internal error; the log has the details")
    assert store.run(run_id).status == "failed"
    assert "ZeroDivisionError: secret" in caplog.text


def refuse(*_: object) -> None:
    raise StoreError("could not record a turn: disk full; check PARLEY_HOME")


def test_a_turn_that_cannot_be_stored_fails_the_run_and_is_not_shown(
    live: LiveRuns, gate: Gate, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go()
        until(watch, thinking(1))
        monkeypatch.setattr(store, "add_turn", refuse)
        gate.go()
        seen = until(watch, Halted)
    assert not any(isinstance(event, TurnTaken) for event in seen)
    assert seen[-1] == Halted("failed", "could not record a turn: disk full; check PARLEY_HOME")
    found = store.run(run_id)
    assert (found.status, found.reason, len(found.turns)) == ("failed", seen[-1].reason, 1)


def test_even_an_end_that_cannot_be_stored_is_shown(
    live: LiveRuns, gate: Gate, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        until(watch, Writing)
        monkeypatch.setattr(store, "end", refuse)
        gate.go(6)
        seen = until(watch, Halted)
    assert not any(isinstance(event, Ended) for event in seen)
    assert seen[-1] == Halted("failed", "could not record a turn: disk full; check PARLEY_HOME")
    assert not live.is_running(run_id)


# -- stopping --------------------------------------------------------------------------------------------------


def test_stopping_ends_a_run_in_the_middle_of_a_turn(live: LiveRuns, gate: Gate, store: Store, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go()
        until(watch, thinking(1))
        live.stop(run_id)
        live.stop(run_id)
        seen = until(watch, Halted)
    assert seen == [Halted("stopped", "stopped by its owner")]
    found = store.run(run_id)
    assert (found.status, found.reason, len(found.turns)) == ("stopped", "stopped by its owner", 1)


def test_stopping_a_model_gives_its_lease_back(live: LiveRuns, manager: LLMManager, make_run: Runs) -> None:
    run_id = live.start(make_run(a="slow", b="slow"))
    with follow(live, run_id) as watch:
        until(watch, Writing)
        assert sum(row.leases for row in manager.snapshot().weights) == 1
        live.stop(run_id)
        until(watch, Halted)
    assert sum(row.leases for row in manager.snapshot().weights) == 0


def test_stopping_ends_the_waiting_for_a_model(live: LiveRuns, manager: LLMManager, make_run: Runs) -> None:
    manager.register_model("limited", {"type": "fake", "concurrency": 1})
    with manager.lease("limited"):
        run_id = live.start(make_run(a="limited", b="limited"))
        with follow(live, run_id) as watch:
            until(watch, Waiting)
            live.stop(run_id)
            assert until(watch, Halted)[-1] == Halted("stopped", "stopped by its owner")
        assert manager.snapshot().queue == ()


class Deaf:
    """An agent that ignores cancellation while it thinks."""

    name = "deaf"

    def __init__(self) -> None:
        self.thought = threading.Event()

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield Writing(view.seat, 0, "let me think")
        assert self.thought.wait(PATIENCE)
        return Decision(Action.OFFER, OFFER)


def test_the_first_reason_to_stop_is_recorded(
    live: LiveRuns, house: House, store: Store, clock: Clock, make_run: Runs, looks: Signals
) -> None:
    deaf = house.own["deaf"] = Deaf()
    run_id = live.start(make_run(a="deaf", b="deaf"))
    with follow(live, run_id) as watch:
        until(watch, Writing)
    live.stop(run_id)
    pass_time(clock, looks, 10.0)
    with follow(live, run_id) as watch:
        deaf.thought.set()
        assert until(watch, Halted)[-1] == Halted("stopped", "stopped by its owner")


# -- without watchers ------------------------------------------------------------------------------------------


@pytest.fixture
def beats(store: Store, monkeypatch: pytest.MonkeyPatch) -> Signals:
    return Signals(store, "beat", monkeypatch)


@pytest.fixture
def ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> Signals:
    return Signals(store, "end", monkeypatch)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Signals:
    """Signals when the housekeeping thread has checked for watchers."""
    return Signals(Feed, "orphaned", monkeypatch)


def pass_time(clock: Clock, looks: Signals, seconds: float) -> None:
    """Advance the clock until the housekeeping thread has checked the run."""
    clock.now += seconds
    looks.forget()
    for _ in range(2):  # the first may have begun to look before
        looks.wait()


def test_a_run_without_watchers_stops_after_the_grace_time(
    live: LiveRuns, store: Store, clock: Clock, make_run: Runs, ends: Signals, manager: LLMManager
) -> None:
    run_id = live.start(make_run(a="slow", b="slow"))
    with follow(live, run_id) as watch:
        until(watch, Writing)
    clock.now += 10.0
    ends.wait()
    found = store.run(run_id)
    assert (found.status, found.reason) == ("interrupted", "nobody was watching")
    assert sum(row.leases for row in manager.snapshot().weights) == 0


def test_a_run_that_was_never_watched_stops_too(
    live: LiveRuns, store: Store, clock: Clock, make_run: Runs, ends: Signals
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    clock.now += 10.0
    ends.wait()
    assert store.run(run_id).status == "interrupted"


def test_a_watcher_may_return_within_the_grace_time(clock: Clock) -> None:
    """Like a page that is reloaded; the grace time restarts when the last watcher leaves."""
    running = Feed(clock)
    clock.now += 9.9
    assert not running.orphaned(10.0)
    watch = Watch(running)
    clock.now += 1000.0
    assert not running.orphaned(10.0)
    with Watch(running):
        watch.close()
        watch.close()
        assert not running.orphaned(0.0)
    clock.now += 9.9
    assert not running.orphaned(10.0)
    clock.now += 0.2
    assert running.orphaned(10.0)


def test_a_watched_run_goes_on(
    live: LiveRuns, gate: Gate, store: Store, clock: Clock, make_run: Runs, looks: Signals
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        pass_time(clock, looks, 1000.0)
        gate.go(6)
        until(watch, Ended)
    assert store.run(run_id).status == "done"


def test_a_background_run_needs_no_watcher(
    live: LiveRuns, gate: Gate, store: Store, clock: Clock, make_run: Runs, looks: Signals, ends: Signals
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"), background=True)
    pass_time(clock, looks, 1000.0)
    gate.go(6)
    ends.wait()
    assert store.run(run_id).status == "done"


@pytest.fixture
def beating(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The runs of each heartbeat."""
    told: list[set[str]] = []
    beat = store.beat

    def noting(run_ids: Any) -> None:
        told.append(set(run_ids))
        beat(run_ids)

    monkeypatch.setattr(store, "beat", noting)
    return told


def test_running_runs_have_a_heartbeat(
    live: LiveRuns, beating: list[set[str]], clock: Clock, make_run: Runs, beats: Signals
) -> None:
    ids = {live.start(make_run(a="gate", b="gate"), background=True) for _ in range(2)}
    clock.now += 2.0
    beats.wait()
    clock.now += 2.0
    beats.wait()
    assert beating[-1] == ids


def test_a_heartbeat_that_fails_stops_nothing(
    live: LiveRuns,
    gate: Gate,
    store: Store,
    clock: Clock,
    make_run: Runs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(store, "beat", refuse)
    failing = Signals(store, "beat", monkeypatch)
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        failing.wait()
        clock.now += 2.0
        failing.wait()
        gate.go(6)
        until(watch, Ended)
    assert "disk full" in caplog.text


# -- the end of the program ------------------------------------------------------------------------------------


def test_closing_interrupts_and_records_every_run(
    house: House, store: Store, clock: Clock, make_run: Runs, gate: Gate
) -> None:
    live = LiveRuns(house, store, clock=clock)
    runs = [live.start(make_run(a="gate", b="slow"), background=background) for background in (False, True)]
    watches = [follow(live, run_id) for run_id in runs]
    gate.go(2)
    for watch in watches:
        until(watch, TurnTaken)
    live.close()
    for run_id, watch in zip(runs, watches, strict=True):
        found = store.run(run_id)
        assert (found.status, found.reason, len(found.turns)) == ("interrupted", "the program was shut down", 1)
        assert watch.poll(0)[-1] == Halted("interrupted", "the program was shut down")
        assert not live.is_running(run_id)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("run ")]


def test_starting_after_closing_is_refused(house: House, store: Store, clock: Clock, make_run: Runs) -> None:
    live = LiveRuns(house, store, clock=clock)
    live.close()
    with pytest.raises(LimitReached, match="the server is restarting"):
        live.start(make_run(a="gate", b="gate"))
    assert store.summaries() == []


def test_starting_up_marks_the_runs_of_a_dead_process(
    house: House, store: Store, clock: Clock, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin(make_run("left"))
    monkeypatch.setattr("negotiation.runs.store.alive", lambda *_: False)
    LiveRuns(house, store, clock=clock).close()
    assert store.run("left").status == "interrupted"


# -- going on --------------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_and_watchers_see_all_of_it(
    live: LiveRuns, gate: Gate, store: Store, bike: Scenario, make_run: Runs
) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        gate.go(3)
        until(watch, thinking(3))
        live.stop(run_id)
        until(watch, Halted)
    assert live.resume(run_id) == run_id
    assert store.run(run_id).status == "running"
    with follow(live, run_id) as watch:
        until(watch, Writing)
        with follow(live, run_id) as late:
            joined = late.poll(0)
        gate.go(3)
        until(watch, Ended)
    assert [type(event) for event in joined] == [Started, *[TurnTaken] * 3, TurnStarted, Writing]
    assert joined[0] == Started(run_id, "bike", {"a": "gate", "b": "gate"}, 1, turns=3)
    assert joined[-1] == thinking(3)
    found = store.run(run_id)
    assert (found.status, [turn.index for turn in found.turns]) == ("done", list(range(6)))


def test_a_continued_run_ends_as_it_would_have(
    live: LiveRuns, store: Store, house: House, make_run: Runs, shipped: dict[str, Scenario], ends: Signals
) -> None:
    scenario = shipped["joint_venture"]
    agents: Any = {"a": house.create(AgentConfig("fast")), "b": house.create(AgentConfig("boulware"))}
    undisturbed = list(negotiate(Negotiation("whole", scenario, agents, 7)))
    turns = [event.turn for event in undisturbed if isinstance(event, TurnTaken)]
    store.begin(make_run("cut", a="fast", b="boulware", scenario=scenario, seed=7))
    for turn in turns[:3]:
        store.add_turn("cut", turn)
    store.end("cut", Halted("interrupted", "the program that ran it ended"))
    ends.forget()
    live.resume("cut")
    ends.wait()
    found = store.run("cut")
    assert [replace(turn, seconds=0) for turn in found.turns] == [replace(turn, seconds=0) for turn in turns]
    assert stored_events(found)[-1] == undisturbed[-1]


def test_a_continued_run_needs_watchers_again(
    live: LiveRuns, store: Store, clock: Clock, make_run: Runs, ends: Signals
) -> None:
    store.begin(make_run("run-1", a="gate", b="gate"))
    store.end("run-1", Halted("failed", "because"))
    ends.forget()
    live.resume("run-1")
    clock.now += 10.0
    ends.wait()
    assert store.run("run-1").reason == "nobody was watching"


def test_running_and_finished_runs_are_not_continued(live: LiveRuns, gate: Gate, store: Store, make_run: Runs) -> None:
    run_id = live.start(make_run(a="gate", b="gate"))
    with follow(live, run_id) as watch:
        with pytest.raises(StoreError, match="cannot be continued: it is running"):
            live.resume(run_id)
        gate.go(6)
        until(watch, Ended)
    with pytest.raises(StoreError, match="it is running or has ended"):
        live.resume(run_id)
    assert store.run(run_id).status == "done"
    with pytest.raises(UnknownRun):
        live.resume("missing")


def test_a_run_whose_agent_is_gone_is_unchanged(live: LiveRuns, store: Store, make_run: Runs) -> None:
    store.begin(make_run("run-1", a="gone"))
    store.end("run-1", Halted("interrupted", "because"))
    with pytest.raises(UnknownAgent):
        live.resume("run-1")
    assert (store.run("run-1").status, store.run("run-1").reason) == ("interrupted", "because")


def test_continuing_at_once_survives_the_first_drivers_cleanup(
    live: LiveRuns, house: House, gate: Gate, store: Store, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidying, first = threading.Event(), threading.Semaphore(1)

    def forget(_: str) -> None:
        if first.acquire(blocking=False):
            tidying.wait(PATIENCE)

    monkeypatch.setattr(house.manager, "forget", forget)
    run_id = live.start(make_run(a="gate", b="gate"))
    (driver,) = [thread for thread in threading.enumerate() if thread.name == f"run {run_id}"]
    with follow(live, run_id) as watch:
        live.stop(run_id)
        until(watch, Halted)
    live.resume(run_id)
    tidying.set()
    driver.join(PATIENCE)
    assert live.is_running(run_id)
    with follow(live, run_id) as watch:
        gate.go(6)
        until(watch, Ended)
