"""The loader thread survives errors that no backend may raise, and forgets nothing."""

from __future__ import annotations

import pytest

from manager.state import State
from negotiation.game.events import Ended, Halted
from tests.bad_days.conftest import PATIENCE, Faults, House


class Panic(BaseException):
    """Like a panic in a native library: not an Exception."""


def state(house: House, model_id: str) -> State:
    row = house.manager.snapshot().of(model_id)
    assert row is not None
    return row.state


@pytest.mark.parametrize("stage", ["prepare", "load", "trim"])
def test_hit_on_the_way_in(house: House, faults: Faults, stage: str) -> None:
    beside = house.beside()
    faults.at[f"{stage} victim"] = Panic("native code gave up")
    run = house.start("victim")
    house.until(run, Halted)
    after = house.start("other")
    house.until(after, Ended)
    house.aftermath({run: "Panic: native code gave up"}, beside, after)


@pytest.mark.parametrize("stage", ["park", "unload", "drop"])
def test_hit_on_the_way_out(house: House, faults: Faults, stage: str) -> None:
    beside, run = house.beside(), house.start("victim")
    house.until(run, Ended)
    faults.at[f"{stage} victim"] = Panic("native code gave up")
    events = house.manager.subscribe()
    if stage == "unload":
        house.manager.unload_model("victim")
    after = house.start("other")  # it takes the place of what is still there
    house.until(after, Ended)
    if stage == "drop":
        assert state(house, "victim") is State.PARKED
        house.manager.unload_model("victim")
    while state(house, "victim") is not State.COLD:
        assert events.get(PATIENCE) is not None
    row = house.manager.snapshot().of("victim")
    assert row is not None
    assert ("could not be freed: Panic: native code gave up" in row.reason) == (stage == "drop")
    faults.at.clear()
    house.aftermath({}, beside, run, after, leaked=20 * (stage == "unload"), parked=20 * (stage == "drop"))
