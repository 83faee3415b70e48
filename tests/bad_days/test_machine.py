"""The machine: clocks that jump, memory that runs out, NaNs, a lost network, no more threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from manager.backends.local import loading
from negotiation.game.events import Ended, Halted, TurnTaken, Writing
from tests.bad_days.conftest import Faults, House
from tests.support.hubserver import Hub
from tests.unit.manager.conftest import byte_tokenizer, tiny_model

DAY = 86_400.0


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny real model whose context holds a negotiation."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(context=16_384).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(houses: Callable[..., House], saved: Path) -> House:
    return houses({"tiny": {"model_name": str(saved), "device": "cpu"}})


def writes_again(house: House) -> str:
    """Run the model once it may be retried, and stop it when it writes."""
    house.clock.skip(600)
    run = house.start("tiny")
    house.until(run, Writing)
    house.live.stop(run)
    house.until(run, Halted)
    return run


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_the_clock_jumps(
    houses: Callable[..., House], faults: Faults, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    house = houses(max_loaded_models=3)
    beside, gate = house.beside(), faults.hang("write victim")
    run = house.start("boulware", "victim")
    house.until(run, TurnTaken)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    after = house.start("boulware", "other")
    house.until(after, Ended)
    assert house.store.mark_interrupted() == 0, "a changed clock must not make a living process look dead"
    house.clock.skip(2)
    gate.set()
    house.until(run, Ended)
    assert [run.run_id for run in house.store.summaries()][0 if jump > 0 else -1] == after
    assert house.manager.snapshot().timeline
    house.aftermath({}, beside, run, after)


def test_memory_runs_out_in_a_load(tiny: House, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, load, tried = tiny.beside(), loading.load_folder, []

    def full(*given: Any, **how: Any) -> Any:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(loading, "load_folder", full)
    run = tiny.start("tiny")
    tiny.until(run, Halted)
    monkeypatch.setattr(loading, "load_folder", load)
    again = writes_again(tiny)
    assert tried
    assert tiny.store.run(again).status == "stopped"
    tiny.aftermath({run: "device 'cpu' ran out of memory while loading '.*tiny'"}, beside)


def breaks(model: Any, how: str) -> Any:
    """Make a real model fail in every pass until the returned hook is removed."""

    def hook(_: object, __: object, output: Any) -> None:
        if how == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        output.logits.fill_(float("nan"))

    return model.register_forward_hook(hook)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("memory", "the device ran out of memory while generating; use"),
        ("nan", "the model computed invalid numbers"),
    ],
)
def test_a_real_model_breaks_while_it_writes(tiny: House, how: str, reason: str, temperature: float) -> None:
    beside = tiny.beside()
    with tiny.manager.lease("tiny") as lease:
        hook = breaks(lease._model._engine.model, how)  # type: ignore[attr-defined]
    run = tiny.start("boulware", "tiny", temperature=temperature)
    tiny.until(run, Halted)
    assert len(tiny.store.run(run).turns) == 1
    hook.remove()
    writes_again(tiny)
    tiny.aftermath({run: reason}, beside)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pauses between attempts of the Hub's client."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.mark.parametrize("drops", [1, 50])
def test_the_network_goes_in_the_middle_of_a_download(
    houses: Callable[..., House], hub_server: Hub, saved: Path, impatient: None, drops: int
) -> None:
    hub_server.files["owner/tiny"] = {path.name: path.read_bytes() for path in saved.iterdir()}
    hub_server.drops = [1000] * drops
    house = houses({"tiny": {"model_name": "owner/tiny", "device": "cpu"}})
    beside, run, failed = house.beside(), house.start("tiny"), {}
    if drops == 1:
        house.until(run, Writing)
        house.live.stop(run)
    else:
        failed = {run: "'owner/tiny' is not on this machine and cannot be downloaded"}
        house.until(run, Halted)
        hub_server.drops.clear()
        writes_again(house)
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.incomplete"))
    house.aftermath(failed, beside)


def test_the_system_gives_no_more_threads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, begin = house.beside(), threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("run "):
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    run = house.live.start(house.run("boulware"))
    monkeypatch.undo()
    stored = house.store.run(run)
    assert stored.status == "failed"
    assert "the server has no room for another negotiation now" in stored.reason
    assert not house.live.is_running(run)
    after = house.start("boulware")
    house.until(after, Ended)
    house.aftermath({}, beside, after)
