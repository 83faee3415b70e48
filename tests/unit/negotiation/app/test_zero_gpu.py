"""ZeroGPU: models are placed once, and a forked process with a GPU drives negotiations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manager.backends import base
from manager.backends.base import Footprint
from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec, parse_spec
from manager.errors import Refused
from manager.manager import LLMManager
from manager.placed import DEVICE, NOT_PLACED, Placed
from manager.state import State
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.options import ModelOptions
from negotiation.app.machine_profile import GB, Machine, profile
from negotiation.app.zero_gpu import MOST_SECONDS, PREPARING_SECONDS, Task, ZeroGpuCatalog, placeable
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
    assert [event for event in lent if isinstance(event, Waiting)] == [Waiting("a", "lending")]
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


def test_a_refused_gpu_call_gives_its_reason(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    gpu.broken = RuntimeError("You have exceeded your quota (60s requested vs. 12s left)")
    *_, end = driven(lend(first={}), make_run("r", "first", "boulware"))
    assert isinstance(end, Halted)
    assert end.status == "failed"
    assert "60s requested vs. 12s left" in end.reason


def test_gpu_calls_name_no_visitor_and_their_errors_are_not_logged(
    lend: Lend, make_run: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    house, sent = lend(first={}), []

    def call(task: Task) -> Iterator[Event]:
        sent.append(task)
        raise RuntimeError("what somebody wrote")

    house._call = call  # type: ignore[assignment]
    *_, end = driven(house, make_run("r", "first", "boulware", owner="anne"))
    assert "what somebody wrote" in end.reason  # type: ignore[union-attr]
    assert "what somebody wrote" not in caplog.text
    assert len(sent) == 1
    assert "anne" not in repr(sent)


def test_a_run_can_be_continued_after_an_aborted_gpu_call(lend: Lend, gpu: ForkingGPU, make_run: Runs) -> None:
    catalog = lend(first={})
    whole = driven(catalog, make_run("r", "first", "boulware"))
    gpu.kill_after = next(number for number, event in enumerate(whole) if isinstance(event, TurnTaken)) + 3
    events = driven(catalog, make_run("r", "first", "boulware"))
    assert isinstance(events[-1], Halted)
    assert "GPU task aborted" in events[-1].reason
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    assert turns
    gpu.kill_after = None
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


@pytest.mark.parametrize(
    ("rounds", "turns", "models", "seconds"),
    [
        (4, 0, {"a": {}}, PREPARING_SECONDS + 26),
        (4, 0, {"a": {}, "b": {}}, PREPARING_SECONDS + 51),
        (4, 6, {"a": {}}, PREPARING_SECONDS + 6),
        (4, 0, {"a": {"thinking": 1000}}, PREPARING_SECONDS + 66),
        (20, 0, {"a": {}, "b": {}}, MOST_SECONDS),
    ],
)
def test_the_requested_gpu_time_follows_from_the_settings(
    bike: Scenario, rounds: int, turns: int, models: dict[Any, dict[str, Any]], seconds: int
) -> None:
    made: Any = (None,) * turns
    spec = parse_spec("m", {"model_name": "m"})
    chosen: Any = {seat: (spec, ModelOptions(**about)) for seat, about in models.items()}
    task = Task("r", bike.model_copy(update={"rounds": rounds}), 1, made, {"a": "m", "b": "m"}, chosen)
    assert task.seconds == seconds


def test_models_are_placed_in_order_as_long_as_they_fit() -> None:
    def spec(name: str, size: str, **about: Any) -> ModelSpec:
        return parse_spec(name, {"model_name": name, "size": size, **about})

    zero = profile({"SPACE_ID": "x", "SPACES_ZERO_GPU": "1"}, Machine(64 * GB))
    specs = [
        spec("small", "1B"),
        spec("alias", "1B", model_name="small"),
        spec("huge", "8B"),
        spec("middle", "5B"),
        spec("unknown", ""),
        spec("served", "1B", type="openai", base_url="http://127.0.0.1:1/v1"),
        spec("last", "1B"),
    ]
    assert [found.model_id for found in placeable(specs, zero, {})] == ["small", "alias", "middle"]
    assert [found.model_id for found in placeable(specs, zero, {"cuda:0": 5})] == ["small", "alias", "last"]
