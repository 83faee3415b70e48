"""ZeroGPU: models are placed once, and a forked process with a GPU drives negotiations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gradio.context import LocalContext

from manager.backends import base
from manager.backends.base import Footprint
from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec, parse_spec
from manager.config.registry import Registry
from manager.errors import Refused
from manager.manager import LLMManager
from manager.placed import DEVICE, NOT_PLACED, Placed
from manager.state import State
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Limits
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.options import ModelOptions
from negotiation.app.gpu_time import MOST_SECONDS, NO_CALL, Task
from negotiation.app.machine_profile import GB, Machine, profile
from negotiation.app.settings import SHIPPED
from negotiation.app.zero_gpu import ZeroGpuCatalog, place_fitting
from negotiation.comparison.comparison import Comparison
from negotiation.comparison.service import Comparisons
from negotiation.errors import DoesNotFit
from negotiation.game.events import Asked, Ended, Event, Halted, Started, TurnStarted, TurnTaken, Waiting, Writing
from negotiation.game.session import Negotiation
from negotiation.live.feed import Watch
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario
from tests.support.forking_gpu import ForkingGPU

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

Runs = Callable[..., Run]
Lend = Callable[..., ZeroGpuCatalog]


class PlacedFake(FakeModel):
    """A fake that counts as a huggingface model; `broken` cannot be placed."""

    def prepare(self, progress: Any) -> Footprint:
        if self.spec.model_name == "broken":
            raise Refused("its terms were not accepted")
        return Footprint("cuda:0", 1000)


@pytest.fixture
def gpu() -> ForkingGPU:
    return ForkingGPU()


@pytest.fixture
def lend(gpu: ForkingGPU, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lend]:
    """Makes catalogs of placed models, {id: settings}."""
    with ExitStack() as stack:

        def make(**models: dict[str, Any]) -> ZeroGpuCatalog:
            specs = [parse_spec(name, {"model_name": name, **about}) for name, about in models.items()]
            placed = Placed(tmp_path, PlacedFake)
            placed.place([spec for spec in specs if spec.type == "huggingface" and spec.license != "not placed"])
            monkeypatch.setitem(base._FACTORIES, "huggingface", placed.stand_in)
            manager = stack.enter_context(
                LLMManager({s.model_id: {**models[s.model_id], "model_name": s.model_name} for s in specs})
            )
            for spec in specs:
                if spec in placed:
                    manager.load_model(spec.model_id)
            return ZeroGpuCatalog(manager, placed, gpu)

        yield make


def driven(catalog: Catalog, run: Run, cancel: CancelToken | None = None) -> list[Event]:
    agents = {seat: catalog.create(config) for seat, config in run.agents.items()}
    negotiation = Negotiation(run.run_id, run.scenario, agents, run.seed, run.turns, cancel or CancelToken())
    return list(catalog.drive(negotiation))


def facts(events: list[Event]) -> list[Any]:
    """Return the events without durations."""
    return [
        replace(event.turn, seconds=0.0) if isinstance(event, TurnTaken) else event
        for event in events
        if isinstance(event, Started | TurnStarted | TurnTaken | Ended)
    ]


def test_a_negotiation_takes_one_gpu_call_and_is_the_same_as_without(
    lend: Lend, gpu: ForkingGPU, make_run: Runs, bike: Scenario
) -> None:
    lent = driven(lend(first={}, second={}), make_run("r", "first", "second"))
    with LLMManager({"first": {"type": "fake"}, "second": {"type": "fake"}}) as manager:
        alone = driven(Catalog(manager), make_run("r", "first", "second"))
    assert facts(lent) == facts(alone)
    assert isinstance(lent[-1], Ended)
    assert any(isinstance(event, Writing) for event in lent)
    (asked,) = (event for event in lent if isinstance(event, Waiting))
    assert (asked.stage, asked.done) == ("lending", 0)
    assert asked.total == gpu.durations[0] > 0
    assert gpu.calls == len(gpu.processes) == 1


def test_scripts_alone_need_no_gpu(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    assert isinstance(driven(lend(first={}), make_run("r"))[-1], Ended)
    assert gpu.calls == 0


def test_turns_before_the_first_model_are_taken_without_a_gpu(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    events = driven(lend(first={}), make_run("r", "boulware", "first"))
    kinds = [type(event) for event in events]
    assert kinds[:5] == [Started, TurnStarted, TurnTaken, TurnStarted, Waiting]
    assert [event.index for event in events if isinstance(event, TurnStarted)] == list(range(kinds.count(TurnStarted)))
    assert gpu.calls == 1


def test_a_remote_model_plays_against_one_on_zero_gpu(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    events = driven(lend(first={}, other={"type": "fake"}), make_run("r", "first", "other"))
    turns = [event.turn for event in events if isinstance(event, TurnTaken)]
    assert isinstance(events[-1], Ended)
    assert gpu.calls == sum(turn.agent == "first" for turn in turns)


def test_no_gpu_is_held_while_a_person_is_asked(lend: Lend, gpu: ForkingGPU, make_run: Runs, store: Store) -> None:
    live = LiveRuns(lend(first={}), store, grace=1e9)
    try:
        run_id = live.start(make_run("", "human", "first"))
        watch = live.watch(run_id)
        assert watch is not None
        events = until(watch, Asked)
        assert gpu.calls == 0
        live.answer(run_id, "offer", {"price": 200, "lock": "without"}, "All of it.")
        events += until(watch, Asked, Ended)
        assert gpu.calls == 1
        if isinstance(events[-1], Asked):
            live.answer(run_id, "walk_away")
            events += until(watch, Ended)
            assert gpu.calls == 1
        turns = [event.turn for event in events if isinstance(event, TurnTaken)]
        assert [turn.agent for turn in turns][:2] == ["human", "first"]
        assert store.run(run_id).turns == tuple(turns)
    finally:
        live.close()


def until(watch: Watch, *kinds: type[Event]) -> list[Event]:
    found: list[Event] = []
    while not found or not isinstance(found[-1], kinds):
        events = watch.poll(30)
        assert events, f"nothing came after {found[-1:]}"
        found += events
    return found


def test_stopping_gives_the_gpu_back_and_continuing_asks_for_another(
    lend: Lend, gpu: ForkingGPU, make_run: Runs, store: Store
) -> None:
    catalog = lend(slow={"tokens_per_second": 200})
    live = LiveRuns(catalog, store, grace=1e9)
    try:
        run_id = live.start(make_run("", "slow", "slow"))
        watch = live.watch(run_id)
        assert watch is not None
        until(watch, Writing)
        status = catalog.manager.snapshot().of("slow")
        assert status is not None
        assert (status.state, status.device, status.leases) == (State.RESIDENT, DEVICE, 2)
        live.stop(run_id)
        assert until(watch, Halted)[-1] == Halted("stopped", "stopped by its owner")
        while live.watch(run_id) is not None:  # until the child has ended
            threading.Event().wait(0.01)
        status = catalog.manager.snapshot().of("slow")
        assert status is not None
        assert (status.state, status.leases) == (State.RESIDENT, 0)
        assert live.resume(run_id) == run_id
        again = live.watch(run_id)
        assert again is not None
        until(again, Writing)
        assert gpu.calls == 2
    finally:
        live.close()


class GpuError(Exception):
    """Like the errors of ZeroGPU's client."""

    def __init__(self, title: str, message: str) -> None:
        super().__init__(message)
        self.title, self.message = title, message


def test_a_refused_gpu_call_gives_its_reason(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    said = "You have exceeded your free ZeroGPU quota (60s requested vs. 12s left). Try again in 3:20:00. "
    gpu.broken = GpuError("ZeroGPU quota exceeded", said)
    *_, end = driven(lend(first={}), make_run("r", "first", "boulware"))
    assert isinstance(end, Halted)
    assert end.status == "failed"
    assert "60 seconds were asked for, and 12 are left of your quota; try again in 3 h 20 min" in end.reason


def test_gpu_calls_name_no_visitor_and_their_errors_are_neither_shown_nor_logged(
    lend: Lend, make_run: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    house, sent = lend(first={}), []

    def call(task: Task) -> Iterator[Event]:
        sent.append(task)
        raise RuntimeError("what somebody wrote")

    house._call = call  # type: ignore[assignment]
    *_, end = driven(house, make_run("r", "first", "boulware", owner="anne"))
    assert isinstance(end, Halted)
    assert end.reason == NO_CALL
    assert "what somebody wrote" not in caplog.text
    assert len(sent) == 1
    assert "anne" not in repr(sent)


def test_a_run_can_be_continued_after_an_aborted_gpu_call(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    catalog = lend(first={})
    whole = driven(catalog, make_run("r", "first", "boulware"))
    gpu.dies_after = TurnTaken
    events = driven(catalog, make_run("r", "first", "boulware"))
    assert isinstance(events[-1], Halted)
    assert events[-1].reason == NO_CALL
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    assert len(turns) == 1
    gpu.dies_after = None
    rest = driven(catalog, replace(make_run("r", "first", "boulware"), turns=turns))
    settled = [event for event in facts(events) + facts(rest) if isinstance(event, TurnTaken | Ended)]
    assert settled == [event for event in facts(whole) if isinstance(event, TurnTaken | Ended)]


def test_nothing_is_loaded_or_evicted_here_whatever_is_played(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    models: dict[str, dict[str, Any]] = {f"m{number}": {} for number in range(5)}  # more than may be loaded elsewhere
    catalog = lend(**models)
    before = catalog.manager.snapshot()
    assert {row.state for row in before.weights} == {State.RESIDENT}
    for number in range(5):
        driven(catalog, make_run(f"r{number}", f"m{number}", f"m{(number + 1) % 5}"))
    after = catalog.manager.snapshot()
    assert {(row.state, row.leases, row.device) for row in after.weights} == {(State.RESIDENT, 0, DEVICE)}
    assert [entry.kind for entry in after.timeline] == [entry.kind for entry in before.timeline]


def test_models_that_were_not_placed_are_not_offered_with_the_reason(lend: Lend) -> None:
    catalog = lend(first={}, broken={}, later={"license": "not placed"})
    assert [spec.model_id for spec in catalog.models()] == ["first"]
    with pytest.raises(DoesNotFit, match=f"it {NOT_PLACED} .its terms were not accepted.; pick"):
        catalog.create(AgentConfig("broken"))
    with pytest.raises(DoesNotFit, match=f"it {NOT_PLACED}; pick"):
        catalog.create(AgentConfig("later"))


def test_a_call_whose_time_runs_short_is_followed_by_another(
    lend: Lend, gpu: ForkingGPU, make_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = lend(first={})
    whole = driven(catalog, make_run("r", "first", "first"))
    assert gpu.calls == 1
    monkeypatch.setattr(Task, "writing_seconds", -1)  # so that each call has time for its first turn only
    split = driven(catalog, make_run("r", "first", "first"))
    assert facts(split) == facts(whole)
    assert gpu.calls - 1 == sum(isinstance(event, TurnTaken) for event in split) > 1
    status = catalog.manager.snapshot().of("first")
    assert status is not None
    assert status.leases == 0


# -- whose GPU time it is ----------------------------------------------------------------------------------------


@pytest.fixture
def visit(gpu: ForkingGPU, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Any]]]:
    """Return a function that makes this thread serve a visitor; it returns for whom GPUs were asked."""
    asked: list[Any] = []
    lent = gpu._run

    def run(*given: Any) -> Any:
        asked.append(LocalContext.request.get(None))
        return lent(*given)

    monkeypatch.setattr(gpu, "_run", run)
    before = LocalContext.request.get(None)

    def serve(name: str) -> list[Any]:
        LocalContext.request.set(name)
        return asked

    yield serve
    LocalContext.request.set(before)


def test_a_run_uses_the_time_of_whoever_starts_continues_or_forks_it(
    lend: Lend, gpu: ForkingGPU, make_run: Runs, store: Store, visit: Callable[[str], list[Any]]
) -> None:
    live = LiveRuns(lend(first={}, slow={"tokens_per_second": 200}), store, grace=1e9)
    try:
        asked = visit("starter")
        run_id = live.start(make_run("", "slow", "slow"))
        watch = live.watch(run_id)
        assert watch is not None
        until(watch, Writing)
        visit("somebody else")
        live.stop(run_id)
        until(watch, Halted)
        live._driver.join()
        visit("continuer")
        live.resume(run_id)
        live.stop(run_id)
        live._driver.join()
        visit("forker")
        fork = live.fork(run_id, 0, {seat: AgentConfig("first") for seat in ("a", "b")})
        watch = live.watch(fork)
        if watch is not None:
            until(watch, Ended)
        assert asked[0] == "starter"
        assert asked[-1] == "forker"
        assert set(asked) <= {"starter", "continuer", "forker"}
    finally:
        live.close()


def test_runs_of_two_visitors_keep_to_their_own_time_even_when_they_wait_for_each_others_lanes(
    lend: Lend, gpu: ForkingGPU, make_run: Runs, store: Store, visit: Callable[[str], list[Any]]
) -> None:
    live = LiveRuns(lend(first={}), store, grace=1e9, lanes=Lanes(Limits(lanes=1)))
    try:
        watches, expected = [], ["anne", "bob"] * 3
        for name in expected:
            asked = visit(name)
            watches.append(live.watch(live.start(make_run("", "first", "first", owner=name))))
        visit("nobody")
        for watch in watches:
            if watch is not None:
                until(watch, Ended)
        assert sorted(asked) == sorted(expected)
    finally:
        live.close()


def test_pairs_in_the_background_use_the_time_of_whoever_asked_for_them(
    lend: Lend, gpu: ForkingGPU, store: Store, bike: Scenario, visit: Callable[[str], list[Any]]
) -> None:
    comparisons = Comparisons(lend(first={}), store)
    try:
        asked = visit("anne")
        agents = AgentConfig("first"), AgentConfig("conceder")
        comparisons.start(Comparison(bike, agents, AgentConfig("boulware"), 2, owner="anne"))
        visit("nobody")
        for thread in threading.enumerate():
            if thread.name == "comparison":
                thread.join(60)
        assert set(asked) == {"anne"}
    finally:
        comparisons.close()


# -- what is asked for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounds", "turns", "models", "seconds"),
    [
        (4, 0, {"a": {}}, 26),
        (4, 6, {"a": {}}, 7),
        (1, 0, {"a": {}, "b": {}}, 13),
        (2, 0, {"a": {"thinking": 1000}}, 33),
        (4, 0, {"a": {"max_new_tokens": 40}}, 7),
        (4, 0, {"a": {"max_new_tokens": 4000}}, 26),
    ],
)
def test_the_requested_gpu_time_follows_from_the_settings(
    bike: Scenario, rounds: int, turns: int, models: dict[Any, dict[str, Any]], seconds: int
) -> None:
    task = asking(bike, rounds, turns, models)
    assert task.seconds == task.preparing + seconds
    assert task.writing_seconds == seconds


def test_a_call_never_asks_for_more_than_a_visitor_without_an_account_has(bike: Scenario) -> None:
    task = asking(bike, 100, 0, {"a": {"thinking": 40_000}, "b": {}})
    assert task.seconds == MOST_SECONDS
    assert MOST_SECONDS * 1.5 < 120  # as ZeroGPU counts seconds on its current GPUs


def asking(bike: Scenario, rounds: int, turns: int, models: dict[Any, dict[str, Any]]) -> Task:
    chosen: Any = {}
    for seat, about in models.items():
        generation = {key: about[key] for key in about.keys() & {"max_new_tokens"}}
        spec = parse_spec("m", {"model_name": "m", "generation_config": generation})
        chosen[seat] = spec, ModelOptions(**{key: about[key] for key in about.keys() - generation.keys()})
    made: Any = (None,) * turns
    return Task("r", bike.model_copy(update={"rounds": rounds}), 1, made, {"a": "m", "b": "m"}, chosen, preparing=5)


# -- which models are placed -------------------------------------------------------------------------------------


def placing(tmp_path: Path, specs: list[ModelSpec], budgets: dict[str, float]) -> list[str]:
    placed = Placed(tmp_path, PlacedFake)
    zero = profile({"SPACE_ID": "x", "SPACES_ZERO_GPU": "1"}, Machine(64 * GB))
    place_fitting(placed, specs, zero, budgets)
    return [spec.model_id for spec in specs if spec in placed]


def test_the_first_model_is_placed_and_then_the_largest_that_fit(tmp_path: Path) -> None:
    def spec(name: str, size: str, **about: Any) -> ModelSpec:
        return parse_spec(name, {"model_name": name, "size": size, **about})

    specs = [
        spec("small", "1B"),
        spec("alias", "1B", model_name="small"),
        spec("huge", "30B"),
        spec("middle", "7B"),
        spec("broken", "8B"),  # and takes no room
        spec("unknown", ""),
        spec("served", "1B", type="openai", base_url="http://127.0.0.1:1/v1"),
        spec("large", "8B"),
        spec("last", "2B"),
    ]
    assert placing(tmp_path, specs, {}) == ["small", "alias", "middle", "large", "last"]
    assert placing(tmp_path, specs, {"cuda:0": 20}) == ["small", "alias", "middle"]
    assert placing(tmp_path, specs, {"cuda:0": 1}) == []


def test_of_the_shipped_models_strong_ones_of_several_makers_are_placed(tmp_path: Path) -> None:
    specs = list(Registry.from_yaml(SHIPPED / "models.yaml"))
    first = specs[0].model_id
    open_to_all = [spec for spec in specs if not spec.gated]
    chosen = placing(tmp_path, open_to_all, {})
    assert chosen[0] == first
    assert {"qwen3-8b", "mistral-7b"} <= set(chosen)
    weights = {spec.weights: spec.parameters * 2 for spec in specs if spec.model_id in chosen}
    assert sum(weights.values()) < 45_097_156_608  # from which on ZeroGPU lends a whole GPU, for twice the quota
