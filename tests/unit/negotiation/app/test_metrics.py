"""Metrics: correct, readable by Prometheus' own parser, and without texts of people or models."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import Caller, Limits
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.app.metrics import Metrics
from negotiation.game.events import Halted, InvalidReply, Turn, TurnStarted, TurnTaken, Writing
from negotiation.game.protocol import Action
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import Store

MARK = "xyzzy-secret"


def read(metrics: Metrics) -> dict[str, float]:
    """Each sample under its name and labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_events_are_counted(managers: Callable[..., LLMManager], store: Store, make_run: Callable[..., Run]) -> None:
    manager = managers({"one": {"size_bytes": 1000}, "two": {"size_bytes": 2000}}, max_loaded_models=1)
    lanes, metrics = Lanes(Limits(lanes=1)), Metrics()
    live = LiveRuns(Catalog(manager), store, lanes=lanes, on_event=metrics.count)
    metrics.watch(manager, lanes, live)
    scenario = make_run().scenario.model_copy(update={"title": MARK, "story": MARK})
    agents = {
        "a": AgentConfig("one", {"hint": MARK, "narrates": "linear"}),
        "b": AgentConfig("two", {"narrates": "linear"}),
    }
    other = lanes.enter(Caller("somebody else"))
    lanes.wait(other, lambda: None)
    run_id = live.start(Run(run_id=f"{MARK}-id", scenario=scenario, agents=agents, seed=1, owner=f"{MARK}-visitor"))  # type: ignore[arg-type]
    with live.watch(run_id) as watch:  # type: ignore[union-attr]
        assert read(metrics)["parley_watchers"] == 1
        assert read(metrics)["parley_visitors"] == 2
        assert read(metrics)["parley_negotiations{background=false,stage=queued}"] == 1
        lanes.leave(other)
        for _ in watch:
            pass
    live.close()
    manager.cleanup()
    metrics.close()  # everything that was told is counted
    turns = store.run(run_id).turns
    found = read(metrics)
    written = {seat: sum(turn.tokens for turn in turns if turn.seat == seat) for seat in "ab"}
    assert written["a"] > 0
    assert found["parley_tokens_total{agent=one}"] == written["a"]
    assert found["parley_tokens_total{agent=two}"] == written["b"]
    assert found["parley_turns_total{agent=one}"] + found["parley_turns_total{agent=two}"] == len(turns)
    assert found["parley_negotiations_ended_total{status=done}"] == 1
    assert found["parley_first_token_seconds_count"] == len(turns)
    assert found["parley_device_max_loaded{device=cpu}"] == 1
    assert found["parley_device_leaked_bytes{device=cpu}"] == 0
    assert found["parley_negotiations{background=false,stage=running}"] == 0
    loads = sum(value for name, value in found.items() if name.startswith("parley_loads_total"))
    unloads = sum(value for name, value in found.items() if name.startswith("parley_unloads_total"))
    evictions = sum(value for name, value in found.items() if name.startswith("parley_evictions_total"))
    assert loads == unloads == found["parley_load_seconds_count{kind=load}"] == len(turns)
    assert evictions == len(turns) - 1
    assert found["parley_wait_seconds_count{outcome=granted}"] == len(turns)
    assert found["process_resident_memory_bytes"] > 0
    assert MARK not in metrics.text().decode()


def test_errors_are_counted_by_type_and_replies_by_kind() -> None:
    metrics = Metrics()
    metrics.count("run", TurnStarted(0, 1, "a", "small"))
    metrics.count("run", Writing("a", 0, MARK))
    invalid = InvalidReply("off_menu", MARK, MARK)
    metrics.count("run", TurnTaken(Turn(0, 1, "a", "small", Action.WALK_AWAY, None, MARK, invalid=(invalid, invalid))))
    metrics.count("run", Halted("failed", MARK, "OutOfMemory"))
    metrics.count("other", Halted("stopped", MARK))
    found = read(metrics)
    assert found["parley_errors_total{type=OutOfMemory}"] == 1
    assert found["parley_invalid_replies_total{kind=off_menu}"] == 2
    assert found["parley_negotiations_ended_total{status=stopped}"] == 1
    assert found["parley_first_token_seconds_count"] == 1
    assert MARK not in metrics.text().decode()


def test_a_load_that_fails_is_counted(managers: Callable[..., LLMManager], store: Store) -> None:
    manager = managers({"broken": {"fail_loads": 1}})
    lanes, metrics = Lanes(), Metrics()
    live = LiveRuns(Catalog(manager), store, lanes=lanes)
    metrics.watch(manager, lanes, live)
    with pytest.raises(Exception, match="broken"):
        manager.load_model("broken")
    live.close()
    manager.cleanup()
    metrics.close()
    failures = [value for name, value in read(metrics).items() if name.startswith("parley_load_failures_total")]
    assert failures == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics"]
