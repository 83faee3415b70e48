"""Backends that hang while loading, generating or unloading, until the test releases them."""

from __future__ import annotations

import pytest

from manager.state import State
from negotiation.game.events import Ended, Halted, TurnTaken
from tests.bad_days.conftest import Faults, House


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("generation.stream.LET_GO_SECONDS", "core.CLOSE_SECONDS"):
        monkeypatch.setattr(f"manager.{name}", 0.1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negotiation.agents.model.SILENCE_SECONDS", 0.1)


def leases(house: House) -> int:
    return sum(row.leases for row in house.manager.snapshot().weights)


def test_a_load_that_hangs_ends_whoever_waits_and_nobody_else(house: House, faults: Faults, impatient: None) -> None:
    beside, gate = house.beside(), faults.hang("load victim")
    house.go_on()
    run = house.start("victim")
    house.until(beside, Ended)
    house.until(run, Halted)
    row = house.manager.snapshot().of("victim")
    assert row is not None
    assert row.state is State.LOADING, "status is still told"
    gate.set()
    house.aftermath({run: "loading 'victim' made no progress for 0.1 s"}, beside)


def test_a_text_that_hangs_is_given_up_and_its_weights_stay_in_use_until_it_ends(
    house: House, faults: Faults, impatient: None
) -> None:
    gate = faults.hang("write victim")
    run = house.start("boulware", "victim")
    house.until(run, Halted)
    assert len(house.store.run(run).turns) == 1
    assert leases(house) == 1
    other = house.start("other")
    house.until(other, Ended)
    house.manager.unload_model("victim")
    assert house.manager.list_models()["victim"]["state"] == "draining", "nothing in use is unloaded"
    gate.set()
    house.aftermath({run: "'victim' made no progress for 0.1 s"}, other)


@pytest.mark.parametrize("stage", ["load", "write"])
def test_stopping_does_not_wait_for_what_hangs(house: House, faults: Faults, stage: str) -> None:
    beside, gate = house.beside(), faults.hang(f"{stage} victim")
    run = house.start("boulware", "victim")
    faults.wait_for(f"{stage} victim")
    house.live.stop(run)
    house.until(run, Halted)
    gate.set()
    house.aftermath({run: "stopped by its owner"}, beside, status="stopped")


@pytest.mark.parametrize("stage", ["load", "write", "unload"])
def test_the_end_of_the_program_does_not_wait_for_what_hangs(house: House, faults: Faults, stage: str) -> None:
    gate = faults.hang(f"{stage} victim")
    run = house.start("boulware", "victim")
    house.until(run, TurnTaken)
    if stage == "unload":
        house.until(run, Ended)
        house.manager.unload_model("victim")
    faults.wait_for(f"{stage} victim")
    house.close()
    stored = house.store.run(run)
    if stage != "unload":
        assert (stored.status, stored.reason, len(stored.turns)) == ("interrupted", "the program was shut down", 1)
    gate.set()
    house.threads_ended()
    house.store.close()  # which reading has opened again


def test_while_weights_hang_on_their_way_out_others_go_on(house: House, faults: Faults) -> None:
    beside, gate = house.beside(), faults.hang("unload victim")
    run = house.start("victim")
    house.until(run, Ended)
    house.manager.unload_model("victim")
    faults.wait_for("unload victim")
    house.go_on()
    house.until(beside, Ended)
    again = house.start("steady")
    house.until(again, Ended)
    gate.set()
    house.aftermath({}, run, beside, again)
