"""Running negotiations and lanes: waiting is visible, can be stopped, and ends with the program."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.comparison.comparison import Comparison
from negotiation.comparison.service import Comparisons
from negotiation.errors import StoreError, UnknownRun
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Asked, Ended, Event, Halted, Queued, Started, TurnTaken, Writing
from negotiation.game.protocol import Action
from negotiation.live.driver import SHUT_DOWN
from negotiation.live.live_runs import DELETED, LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store, Vote
from tests.support.watch import PATIENCE, follow, until


class Patient:
    """An agent that thinks until it is let through, then walks away."""

    name = "patient"

    def __init__(self) -> None:
        self.told = threading.Event()

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield Writing(view.seat, 0, "Let me think.")
        assert self.told.wait(PATIENCE)
        return Decision(Action.WALK_AWAY)


class House(Catalog):
    """The catalog with a test agent."""

    patient = Patient()

    def create(self, config: AgentConfig) -> Agent:
        return self.patient if config.agent == "patient" else super().create(config)


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> House:
    house = House(managers({"slow": {"tokens_per_second": 5}}))
    house.patient = Patient()
    return house


@pytest.fixture
def open_live(catalog: Catalog, store: Store) -> Iterator[Callable[..., LiveRuns]]:
    opened: list[LiveRuns] = []

    def make(**limits: Any) -> LiveRuns:
        opened.append(LiveRuns(catalog, store, grace=1000.0, lanes=Lanes(Limits(**limits))))
        return opened[-1]

    yield make
    for live in opened:
        live.close()


def test_waiting_runs_publish_their_position_and_start_in_turn(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1)
    first = live.start(make_run(a="slow", b="slow", owner="anne"))
    second = live.start(make_run(a="boulware", b="conceder", owner="ben"))
    with follow(live, second) as watch:
        assert watch.poll(PATIENCE)[-1] == Queued(0, 0)
        live.stop(first)
        events = until(watch, Ended)
    assert isinstance(events[0], Started)
    assert store.run(second).status == "done"


def test_one_negotiation_is_not_starved_by_another_visitors_twenty(
    catalog: House, store: Store, make_run: Callable[..., Run]
) -> None:
    begun: list[str] = []
    over = threading.Semaphore(0)

    def on_event(run_id: str, event: Event) -> None:
        if isinstance(event, Started):
            begun.append(run_id)
        elif isinstance(event, Ended):
            over.release()

    live = LiveRuns(catalog, store, grace=1000.0, lanes=Lanes(Limits(lanes=2)), on_event=on_event)
    try:
        for _ in range(2):  # hold both lanes
            live.start(make_run(a="patient", b="conceder", owner="anne"))
        for _ in range(18):
            live.start(make_run(a="hardliner", b="conceder", owner="anne"))
        single = live.start(make_run(a="hardliner", b="conceder", owner="ben"))
        catalog.patient.told.set()
        for _ in range(21):
            assert over.acquire(timeout=PATIENCE)
    finally:
        live.close()
    assert begun.index(single) <= 3  # after the two that ran, the next two: one of them is Ben's
    assert len(begun) == 21


def test_a_waiting_run_can_be_stopped(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1)
    first = live.start(make_run(a="slow", b="slow"))
    second = live.start(make_run(a="slow", b="slow"))
    with follow(live, second) as watch:
        live.stop(second)
        assert until(watch, Halted)[-1] == Halted("stopped", "stopped by its owner")
    assert live.is_running(first)


def test_a_refused_run_leaves_nothing_behind(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1, queue=1, text_characters=20, rounds=4, reply_tokens=1200)
    live.start(make_run(a="slow", b="slow"))
    live.start(make_run(a="slow", b="slow"))
    kept = len(store.summaries())
    with pytest.raises(LimitReached, match="1 negotiations are waiting"):
        live.start(make_run(a="slow", b="slow"))
    run = make_run(a="slow", b="slow")
    for options, told in (
        ({"hint": "x" * 21}, "option 'hint' has 21 characters; the limit here is 20"),
        ({"thinking": 1}, "option 'thinking' is 1; the limit here is 0"),
    ):
        with pytest.raises(LimitReached, match=told):
            live.start(
                Run(
                    run_id="",
                    scenario=run.scenario,
                    agents={"a": AgentConfig("slow", options), "b": AgentConfig("linear")},
                    seed=1,
                )
            )
    long = run.scenario.model_copy(update={"rounds": 5})
    with pytest.raises(LimitReached, match="5 rounds; the limit here is 4"):
        live.start(Run(run_id="", scenario=long, agents=run.agents, seed=1))
    assert len(store.summaries()) == kept


def test_a_run_waiting_for_a_person_holds_no_lane(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1)
    played = live.start(make_run(a="human", b="conceder", owner="anne"))
    with follow(live, played) as watch:
        until(watch, Asked)
        other = live.start(make_run(a="boulware", b="conceder", owner="ben"))
        with follow(live, other) as second:
            until(second, Ended)
        slow = live.start(make_run(a="slow", b="slow", owner="ben"))
        live.answer(played, "walk_away")
        assert until(watch, Queued)
        live.stop(slow)
        until(watch, Ended)


def test_a_run_stopped_in_the_queue_can_be_continued(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1)
    first = live.start(make_run(a="slow", b="slow"))
    second = live.start(make_run(a="boulware", b="conceder"))
    with follow(live, second) as watch:
        live.stop(second)
        until(watch, Halted)
    live.stop(first)
    store_says(store, second, "stopped")
    live.resume(second)
    with follow(live, second) as watch:
        until(watch, Ended)


def store_says(store: Store, run_id: str, status: str) -> None:
    assert store.run(run_id).status == status


# -- the end of the program ------------------------------------------------------------------------------------


def test_draining_interrupts_waiting_runs_while_running_ones_continue(
    open_live: Callable[..., LiveRuns], catalog: House, store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live(lanes=1)
    running = live.start(make_run(a="patient", b="conceder"))
    waiting = live.start(make_run(a="boulware", b="conceder"))
    with follow(live, running) as watch, follow(live, waiting) as queued:
        until(watch, Writing)
        live.drain()
        assert until(queued, Halted)[-1] == Halted("interrupted", SHUT_DOWN)
        assert live.is_running(running)
        with pytest.raises(LimitReached, match="the server is restarting"):
            live.start(make_run(a="boulware", b="conceder"))
        catalog.patient.told.set()
        until(watch, Ended)
    assert store.run(running).status == "done"
    assert store.run(waiting).status == "interrupted"


def test_draining_does_not_wait_for_a_person(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live()
    played = live.start(make_run(a="human", b="conceder"))
    with follow(live, played) as watch:
        until(watch, Asked)
        live.drain()
        until(watch, Halted)
    assert store.run(played).status == "interrupted"


def test_an_interrupted_run_can_be_continued(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live()
    run_id = live.start(make_run(a="slow", b="slow"))
    live.drain()
    assert live.is_running(run_id)
    live.interrupt()
    store_says(store, run_id, "interrupted")
    again = open_live()
    again.resume(run_id)
    assert again.is_running(run_id)


# -- deleting --------------------------------------------------------------------------------------------------


def test_a_run_is_deleted_with_its_turns_and_votes_while_people_watch(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live()
    run_id = live.start(make_run(a="conceder", b="slow", owner="anne", comparison="both"))
    store.vote(Vote("both", "ben", "1", blind=True))
    store.vote(Vote("another", "ben", "2", blind=True))
    with follow(live, run_id) as watch:
        until(watch, TurnTaken)
        with pytest.raises(StoreError, match="belongs to another visitor"):
            live.delete(run_id, owner="ben")
        assert live.is_running(run_id)
        live.delete(run_id, owner="anne")
        assert until(watch, Halted)[-1] == Halted("stopped", DELETED)
    with pytest.raises(UnknownRun):
        store.run(run_id)
    assert [vote.comparison for vote in store.votes()] == ["another"]
    with store.database.read("look for turns") as connection:
        assert connection.exec_driver_sql("select count(*) from turns").scalar() == 0


def test_the_operator_deletes_any_run(
    open_live: Callable[..., LiveRuns], store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live()
    run_id = live.start(make_run(a="slow", b="slow", owner="anne"))
    live.delete(run_id)
    with pytest.raises(UnknownRun):
        store.run(run_id)


def test_concurrent_deletions_of_a_running_run_leave_nothing(
    open_live: Callable[..., LiveRuns], catalog: Catalog, store: Store, make_run: Callable[..., Run]
) -> None:
    live = open_live()
    run_id = live.start(make_run(a="conceder", b="slow", owner="anne"))
    together = threading.Barrier(6)
    told: list[str] = []

    def delete(owner: str) -> None:
        together.wait(PATIENCE)
        try:
            live.delete(run_id, owner=owner)
            told.append("done")
        except (UnknownRun, StoreError) as error:
            told.append(str(error))

    threads = [threading.Thread(target=delete, args=(owner,)) for owner in ("anne", "anne", "anne", "ben", "ben")]
    with follow(live, run_id) as watch:
        until(watch, Writing)
        for thread in threads:
            thread.start()
        together.wait(PATIENCE)
        assert until(watch, Halted)[-1] == Halted("stopped", DELETED)
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(answer == "done" for answer in told) == 1, told
    assert not live.is_running(run_id)
    with pytest.raises(UnknownRun):
        store.run(run_id)
    assert not sum(row.leases for row in catalog.manager.snapshot().weights)
    assert live.owner(run_id) is None


# -- in the background -----------------------------------------------------------------------------------------


def test_pairs_are_limited_and_count_as_their_visitors(
    catalog: Catalog, store: Store, make_run: Callable[..., Run]
) -> None:
    lanes = Lanes(Limits(pairs=2, comparisons=1, lanes=4, lanes_per_visitor=2))
    kept = Comparisons(catalog, store, lanes)
    scenario = make_run(a="slow", b="slow").scenario
    slow, first, second = AgentConfig("slow"), AgentConfig("boulware"), AgentConfig("conceder")

    def asked(owner: str, pairs: int = 2) -> Comparison:
        return Comparison(scenario, (first, second), slow, pairs, owner=owner)

    try:
        with pytest.raises(LimitReached, match="3 pairs at a time; the limit here is 2"):
            kept.start(asked("anne", 3))
        kept.start(asked("anne"), Caller("anne"))
        with pytest.raises(LimitReached, match="1 comparisons are already running here"):
            kept.start(asked("ben"))
        kept.stop("anne", wait=True)
        kept.start(asked("ben"))
        lanes.close()
        with pytest.raises(LimitReached, match="is restarting"):
            kept.start(asked("carl"))
    finally:
        kept.close()
    assert not lanes.visitors()
