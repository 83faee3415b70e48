"""People as agents: they are asked and waited for without holding anything, and time out cleanly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import MAX_MESSAGE, HumanAgent, read_answer
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import IllegalTurn, NotAsked
from negotiation.game.events import Asked, Ended, Halted, TurnTaken
from negotiation.game.protocol import Action, Ending, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.live.feed import Watch
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Offer, Scenario
from tests.support.watch import PATIENCE, until

OFFER: Offer = {"price": 150, "lock": "with"}
Runs = Callable[..., Run]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(managers: Callable[..., LLMManager]) -> LLMManager:
    return managers({"model": {}})


@pytest.fixture
def live(manager: LLMManager, store: Store, clock: Clock) -> Iterator[LiveRuns]:
    runs = LiveRuns(Catalog(manager), store, grace=10.0, clock=clock)
    yield runs
    runs.close()


@pytest.fixture
def play(live: LiveRuns, bike: Scenario) -> Callable[..., Watch]:
    """Starts a run between a person and another agent, and watches it."""

    def start(run_id: str, other: str = "hardliner", seconds: float = 60.0, **about: Any) -> Watch:
        person = AgentConfig("human", {"answer_seconds": seconds})
        live.start(Run(run_id=run_id, scenario=bike, agents={"a": person, "b": AgentConfig(other)}, seed=1, **about))
        return live.watch(run_id)  # type: ignore[return-value]

    return start


def driving(run_id: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"run {run_id}" and thread.ident]


# -- alone -----------------------------------------------------------------------------------------------------


def test_the_answer_is_played(bike: Scenario) -> None:
    agents: Any = {"a": HumanAgent(), "b": STRATEGIES["hardliner"]}
    driven = negotiate(Negotiation("run", bike, agents))
    events = [next(driven), next(driven), next(driven)]
    assert events[-1] == Asked("a", 600.0)
    taken = driven.send(read_answer(GameState(bike), "offer", OFFER, "Well?"))
    assert isinstance(taken, TurnTaken)
    assert (taken.turn.action, taken.turn.offer, taken.turn.message) == (Action.OFFER, OFFER, "Well?")
    assert (taken.turn.agent, taken.turn.tokens, taken.turn.prompt) == ("human", 0, ())


def test_a_negotiation_without_anyone_to_answer_fails_with_the_reason(bike: Scenario) -> None:
    agents: Any = {"a": HumanAgent(), "b": STRATEGIES["hardliner"]}
    assert list(negotiate(Negotiation("run", bike, agents)))[-1] == Halted(
        "failed", "the person did not answer in time"
    )


@pytest.mark.parametrize(
    ("action", "offer", "message", "says"),
    [
        ("accept", None, "", "there is no offer on the table"),
        ("offer", None, "", "'offer' needs an offer"),
        ("walk_away", OFFER, "", "'walk_away' takes no offer"),
        ("offer", {"price": 155, "lock": "with"}, "", "'price' cannot be '155'"),
        ("offer", {"price": 150}, "", "'lock' is missing"),
        ("Accept", None, "", "the action must be one of offer, walk_away"),
        ("walk_away", None, "x" * (MAX_MESSAGE + 1), "longer than 2,000 characters"),
    ],
)
def test_an_answer_that_is_not_legal_is_refused(
    bike: Scenario, action: str, offer: Any, message: str, says: str
) -> None:
    with pytest.raises(IllegalTurn, match=says):
        read_answer(GameState(bike), action, offer, message)


def test_a_persons_message_is_cleaned_like_a_models(bike: Scenario) -> None:
    assert read_answer(GameState(bike), "walk_away", message="a\0b\ud83dc\nd").message == "ab�c\nd"


# -- on the server ---------------------------------------------------------------------------------------------


def test_a_person_who_thinks_holds_no_lease_and_no_thread(
    play: Callable[..., Watch], live: LiveRuns, manager: LLMManager
) -> None:
    with play("run", "model") as watch:
        until(watch, Asked)
        for thread in driving("run"):
            thread.join(PATIENCE)
        assert driving("run") == []
        assert live.is_running("run")
        snapshot = manager.snapshot()
        assert snapshot.queue == ()
        assert sum(row.leases for row in snapshot.weights) == 0


def test_a_person_plays_to_the_end(play: Callable[..., Watch], live: LiveRuns, store: Store) -> None:
    with play("run", "conceder") as watch:
        until(watch, Asked)
        live.answer("run", "offer", {"price": 200, "lock": "without"}, "Take it.")
        seen = until(watch, Asked)
        assert [event.turn.seat for event in seen if isinstance(event, TurnTaken)] == ["a", "b"]
        live.answer("run", "accept", message="Fine.")
        end = until(watch, Ended)[-1]
    assert isinstance(end, Ended)
    assert end.ending is Ending.AGREEMENT
    assert end.by == "a"
    found = store.run("run")
    assert [(turn.agent, turn.message) for turn in found.turns if turn.seat == "a"] == [
        ("human", "Take it."),
        ("human", "Fine."),
    ]
    assert found.agents["a"].options == {"answer_seconds": 60.0}


def test_a_wrong_answer_loses_nothing(play: Callable[..., Watch], live: LiveRuns) -> None:
    with play("run") as watch:
        until(watch, Asked)
        wrong: list[tuple[str, Offer | None]] = [("accept", None), ("offer", {**OFFER, "price": 155}), ("shrug", None)]
        for action, offer in wrong:
            with pytest.raises(IllegalTurn):
                live.answer("run", action, offer)
        live.answer("run", "offer", OFFER)
        assert any(isinstance(event, TurnTaken) for event in until(watch, Asked))


def test_an_answer_comes_once_and_in_time(play: Callable[..., Watch], live: LiveRuns) -> None:
    with pytest.raises(NotAsked):
        live.answer("nothing", "walk_away")
    with play("run") as watch:
        until(watch, Asked)
        live.answer("run", "walk_away")
        until(watch, Ended)
        with pytest.raises(NotAsked, match="it is not your turn"):
            live.answer("run", "walk_away")


def test_only_one_of_many_answers_counts(play: Callable[..., Watch], live: LiveRuns) -> None:
    with play("run") as watch:
        until(watch, Asked)
        together, played = threading.Barrier(8), []

        def answer() -> None:
            together.wait(PATIENCE)
            try:
                live.answer("run", "walk_away")
            except NotAsked:
                return
            played.append(1)

        threads = [threading.Thread(target=answer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert played == [1]
        until(watch, Ended)


def test_a_late_answer_interrupts_the_run_which_can_be_continued(
    play: Callable[..., Watch], live: LiveRuns, store: Store, clock: Clock
) -> None:
    with play("run", seconds=30.0) as watch:
        until(watch, Asked)
        live.answer("run", "offer", OFFER)
        until(watch, Asked)
        clock.now += 30.0
        assert until(watch, Halted)[-1] == Halted("interrupted", "no answer came within 30 seconds")
    found = store.run("run")
    assert (found.status, len(found.turns)) == ("interrupted", 2)
    while driving("run"):
        driving("run")[0].join(PATIENCE)
    live.resume("run")
    with live.watch("run") as again:  # type: ignore[union-attr]
        until(again, Asked)
        live.answer("run", "walk_away")
        until(again, Ended)
    assert len(store.run("run").turns) == 3


def test_a_run_that_waits_for_a_person_can_be_stopped(play: Callable[..., Watch], live: LiveRuns, store: Store) -> None:
    with play("run") as watch:
        until(watch, Asked)
        live.stop("run")
        assert until(watch, Halted)[-1] == Halted("stopped", "stopped by its owner")
    assert store.run("run").status == "stopped"


def test_shutting_down_records_runs_that_wait_for_a_person(
    play: Callable[..., Watch], live: LiveRuns, store: Store
) -> None:
    watches = [play(f"run-{number}") for number in range(5)]
    for watch in watches:
        until(watch, Asked)
    live.close()
    assert {store.run(f"run-{number}").status for number in range(5)} == {"interrupted"}
    for watch in watches:
        watch.close()


def test_waiting_ends_when_no_one_watches(
    play: Callable[..., Watch], store: Store, clock: Clock, live: LiveRuns
) -> None:
    watch = play("run")
    until(watch, Asked)
    watch.close()
    clock.now += 11
    while live.is_running("run"):
        for thread in driving("run"):
            thread.join(PATIENCE)
    assert store.run("run").reason == "nobody was watching"


def test_late_watchers_see_that_a_person_is_asked(play: Callable[..., Watch], live: LiveRuns) -> None:
    with play("run") as watch:
        until(watch, Asked)
        with live.watch("run") as late:  # type: ignore[union-attr]
            assert until(late, Asked)[-1] == Asked("a", 60.0)
        live.answer("run", "offer", OFFER)
        until(watch, Asked)
        with live.watch("run") as later:  # type: ignore[union-attr]
            assert [type(event) for event in until(later, Asked)].count(Asked) == 1
