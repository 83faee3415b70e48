"""Memory in the scheduler: budgets, parking in host memory, cached conversations, leaks and overruns."""

from __future__ import annotations

import pytest

from manager.config.model_spec import WeightsKey
from manager.errors import CannotFit, Failure, LoadFailed, OutOfMemory
from manager.scheduling import messages as msg
from manager.state import State
from tests.unit.manager.scheduling.test_scheduler import GPU, A, B, C, D, Stage

HOST = 10


def hold(stage: Stage, key: WeightsKey) -> int:
    """A lease on weights, whatever must be done for it."""
    number = stage.request(key)
    stage.work()
    assert stage.holds(number)
    return number


# -- parking ---------------------------------------------------------------------------------------------------


def test_evicted_weights_are_parked_and_woken_from_there() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A)
    number = stage.request(B)
    assert stage.work() == [msg.StartPark(A), msg.StartLoad(B)]
    assert stage.state(A) is State.PARKED
    assert stage.on_device() == {B}, "parked weights take no place"
    assert stage.scheduler.ledger.parked() == 3
    stage.release(number)
    number = stage.request(A)
    assert stage.work() == [msg.StartPark(B), msg.StartWake(A)]
    assert stage.holds(number)
    assert [e.state for e in stage.effects if isinstance(e, msg.Changed) and e.weights == A][-2:] == [
        State.WAKING,
        State.RESIDENT,
    ]


def test_the_copy_of_woken_weights_is_kept_and_makes_the_next_parking_free_of_room() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=5, parking=HOST)
    stage.resident(A, B, A)
    assert stage.scheduler.ledger.parked() == 10, "both have their copy"
    stage.request(B)
    assert stage.work() == [msg.StartPark(A), msg.StartWake(B)]


def test_weights_that_cannot_be_parked_leave_for_good() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3)
    stage.resident(A)
    stage.request(B)
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.state(A) is State.COLD


def test_the_least_recently_used_copy_makes_room_in_host_memory() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, C, D, need=5, parking=HOST)
    stage.resident(A, B, C)
    assert {key: stage.state(key) for key in (A, B)} == {A: State.PARKED, B: State.PARKED}
    stage.request(D)
    assert stage.work() == [msg.StartDrop(A), msg.StartPark(C), msg.StartLoad(D)]
    assert [stage.state(key) for key in (A, B, C)] == [State.COLD, State.PARKED, State.PARKED]


def test_a_copy_that_cannot_be_freed_stays_charged_until_its_weights_are_loaded_again() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, C, D, need=5, parking=HOST)
    stage.resident(A, B, C)
    stage.request(D)
    assert stage.scheduler.task == msg.StartDrop(A)
    answer = stage.tell(msg.Dropped(A, Failure(LoadFailed, "RuntimeError: stuck")))
    assert answer == [msg.StartDrop(B)], "it is not asked again, and the next copy goes instead"
    assert stage.work() == [msg.StartDrop(B), msg.StartPark(C), msg.StartLoad(D)]
    row = stage.scheduler.weights[A]
    assert stage.state(A) is State.COLD
    assert row.reason == "its copy in host memory could not be freed: RuntimeError: stuck"
    assert stage.scheduler.ledger.parked() == 10
    stage.release(*stage.scheduler.leases)
    stage.resident(A, B)
    assert (stage.state(A), row.account.host, row.account.lost) == (State.PARKED, 5, 0)


def test_copies_of_loaded_weights_go_before_parked_ones() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C, D, need=5, parking=HOST)
    stage.resident(A, B, C)  # A is parked
    held = hold(stage, A)  # B is parked; A is awake, its copy kept
    assert stage.state(B) is State.PARKED
    stage.request(D)  # C leaves
    assert stage.work() == [msg.StartDrop(A), msg.StartPark(C), msg.StartLoad(D)]
    assert stage.state(A) is State.RESIDENT
    stage.release(held)


def test_parked_weights_with_waiting_requests_are_not_dropped_for_others() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=6, parking=HOST)
    stage.resident(A, B)
    assert stage.state(A) is State.PARKED
    stage.request(A)
    assert stage.work() == [msg.StartUnload(B), msg.StartWake(A)], "no room for both copies"


def test_weights_larger_than_all_host_memory_are_not_parked() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=HOST + 1, parking=HOST)
    stage.resident(A)
    stage.request(B)
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(B)]


def test_a_configured_parking_budget_overrides_the_measured_one() -> None:
    stage = Stage(max_loaded=1)
    stage.scheduler.ledger.parking = 0
    stage.known(A, B, need=1, parking=HOST)
    stage.resident(A, B)
    assert stage.state(A) is State.COLD


def test_idle_weights_are_parked_too() -> None:
    stage = Stage()
    stage.known(A, need=3, parking=HOST, idle_seconds=5)
    stage.resident(A)
    assert stage.later(5) == [msg.StartPark(A)]


def test_unloading_on_request_leaves_nothing_in_host_memory() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A, B)
    assert stage.tell(msg.Unload(A)) == [msg.StartDrop(A)]
    stage.work()
    assert stage.state(A) is State.COLD
    assert stage.tell(msg.Unload(B)) == [msg.StartUnload(B)]
    stage.work()
    assert stage.scheduler.ledger.parked() == 0


def test_unloading_weights_that_are_being_parked_leaves_no_copy() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A)
    stage.request(B)
    assert stage.scheduler.task == msg.StartPark(A)
    stage.tell(msg.Unload(A))
    assert stage.work() == [msg.StartPark(A), msg.StartLoad(B), msg.StartDrop(A)]


def test_retired_weights_leave_host_memory_before_they_are_forgotten() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A, B)
    assert stage.tell(msg.Retire(A)) == [msg.StartDrop(A)]
    stage.work()
    stage.tell(msg.Tick())
    assert A not in stage.scheduler.weights


def test_weights_that_could_not_be_parked_are_cold_and_not_tried_again() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A)
    stage.request(B)
    assert stage.tell(msg.Unloaded(A)) == [msg.StartLoad(B)]
    assert (stage.state(A), stage.scheduler.ledger.parked()) == (State.COLD, 0)
    stage.work()
    stage.release(2)
    stage.resident(A)
    stage.request(B)
    assert msg.StartUnload(A) in stage.work()


def test_waking_that_runs_out_of_memory_is_tried_again_from_the_copy() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C, need=3, parking=HOST)
    stage.resident(A, B, C)
    assert stage.state(A) is State.PARKED
    number = stage.request(A)
    stage.tell(msg.Parked(B, 3))
    assert stage.scheduler.task == msg.StartWake(A)
    stage.tell(msg.LoadRolledBack(A, Failure(OutOfMemory, "full"), host=3))
    assert stage.state(A) is State.PARKED
    assert stage.work() == [msg.StartPark(C), msg.StartWake(A)], "everything idle made room"
    assert stage.holds(number)


def test_waking_that_breaks_fails_and_the_next_load_reads_the_files_again() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A, B)
    number = stage.request(A)
    stage.tell(msg.Parked(B, 3))
    stage.tell(msg.LoadRolledBack(A, Failure(LoadFailed, "broken"), host=0))
    assert stage.failure(number).kind is LoadFailed
    stage.later(1000)
    stage.request(A)
    stage.tell(msg.Prepared(A, 3, GPU, parking=HOST))
    assert msg.StartLoad(A) in stage.work()


def test_a_wake_without_waiting_requests_is_aborted_and_the_weights_stay_parked() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST)
    stage.resident(A, B)
    number = stage.request(A)
    stage.tell(msg.Parked(B, 3))
    assert stage.tell(msg.Cancel(number)) == [msg.Refuse(number, stage.failure(number)), msg.Abort(A)]
    stage.tell(msg.LoadRolledBack(A, stage.failure(number), host=3))
    assert stage.state(A) is State.PARKED


def test_wake_times_are_learnt_separately_from_load_times() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, need=3, parking=HOST, load_seconds=40)
    row = stage.scheduler.weights[A]
    assert row.load_seconds == 40
    stage.resident(A, B)
    assert row.load_seconds < 1, "a guess: there is a copy"
    stage.request(A)
    stage.tell(msg.Parked(B, 3))
    stage.now += 0.25
    stage.tell(msg.Loaded(A, 3))
    assert row.load_seconds == 0.25


# -- cached conversations --------------------------------------------------------------------------------------


def test_a_load_reserves_free_memory_for_conversations() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=4, allowance=3)
    stage.known(B, need=2, allowance=8)
    stage.request(A)
    stage.request(B)
    assert stage.work()[:2] == [msg.StartLoad(A, cache=3), msg.StartLoad(B, cache=1)]
    assert stage.scheduler.ledger.free(GPU) == 0


def test_caches_are_trimmed_before_weights_are_evicted() -> None:
    stage = Stage(max_loaded=3, budget=10)
    stage.known(A, need=3, allowance=4)
    stage.known(B, need=2, allowance=1)
    stage.known(C, need=3)
    stage.resident(A, B)
    assert stage.scheduler.ledger.used(GPU) == 10
    stage.request(C)
    assert stage.work() == [msg.StartTrim(A, 1), msg.StartLoad(C)], (
        "the least recently used first, and no more than needed"
    )
    assert stage.on_device() == {A, B, C}


def test_caches_of_weights_in_use_are_trimmed_too() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=3, allowance=7)
    stage.known(B, need=5)
    hold(stage, A)
    hold(stage, B)
    assert stage.scheduler.weights[A].account.cache == 2


def test_a_cache_that_cannot_be_trimmed_is_not_trimmed_again_and_weights_are_evicted() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=3, allowance=6)
    stage.known(B, need=5)
    stage.resident(A)
    number = stage.request(B)
    assert stage.scheduler.task == msg.StartTrim(A, 2)
    stage.tell(msg.Trimmed(A, 6))
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.holds(number)


def test_weights_with_a_cache_that_cannot_be_trimmed_are_unloaded_when_over_budget() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=9, allowance=1)
    stage.known(B, need=9)
    number = stage.request(A)
    stage.tell(msg.Loaded(A, 10))
    assert stage.scheduler.task == msg.StartTrim(A, 0)
    stage.release(number)
    other = stage.request(B)
    assert stage.state(A) is State.DRAINING
    stage.tell(msg.Cancel(other))
    stage.tell(msg.Trimmed(A, 1))
    assert stage.state(A) is State.DRAINING, "no request waits for its room, but it exceeds the budget"
    assert stage.work() == [msg.StartUnload(A)]


def test_caches_grow_again_when_there_is_room() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=3, allowance=7)
    stage.known(B, need=5)
    stage.resident(A, B)
    assert stage.scheduler.weights[A].account.cache == 2
    stage.tell(msg.Unload(B))
    assert stage.work() == [msg.StartUnload(B), msg.StartTrim(A, 7)]


def test_weights_whose_cache_is_being_trimmed_can_still_be_called_back() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=3, allowance=6, idle_seconds=5)
    stage.known(B, need=5)
    stage.resident(A)
    stage.request(B)
    assert stage.scheduler.task == msg.StartTrim(A, 2)
    stage.later(5)
    assert stage.state(A) is State.DRAINING
    number = stage.request(A)
    assert stage.holds(number)


def test_without_a_budget_the_whole_allowance_is_given() -> None:
    stage = Stage()
    stage.known(A, need=3, allowance=7)
    stage.request(A)
    assert stage.work() == [msg.StartLoad(A, cache=7)]


# -- measured, not hoped ---------------------------------------------------------------------------------------


def test_exceeding_the_estimate_unloads_idle_weights() -> None:
    stage = Stage(max_loaded=3, budget=10)
    stage.known(A, B, C, need=3)
    stage.resident(A, B)
    number = stage.request(C)
    assert stage.tell(msg.Loaded(C, 5)) == [msg.StartUnload(A), msg.Grant(number, C)]
    stage.work()
    assert stage.on_device() == {B, C}


def test_exceeding_the_estimate_trims_caches_first() -> None:
    stage = Stage(max_loaded=3, budget=10)
    stage.known(A, need=3, allowance=3)
    stage.known(B, need=3)
    stage.resident(A)
    stage.request(B)
    stage.tell(msg.Loaded(B, 5))
    assert stage.work() == [msg.StartTrim(A, 2)]
    assert stage.on_device() == {A, B}


def test_exceeding_the_estimate_drains_weights_in_use() -> None:
    stage = Stage(max_loaded=2, budget=10)
    stage.known(A, B, need=5)
    first = hold(stage, A)
    second = stage.request(B)
    assert stage.tell(msg.Loaded(B, 7)) == [msg.Grant(second, B)]
    assert (stage.state(A), stage.state(B)) == (State.DRAINING, State.RESIDENT)
    assert stage.tell(msg.Release(first)) == [msg.StartUnload(A)]


def test_weights_larger_than_the_device_serve_their_waiters_and_are_unloaded() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=5)
    number = stage.request(A)
    assert stage.tell(msg.Loaded(A, 12)) == [msg.Grant(number, A)]
    later = stage.request(A)
    assert stage.tell(msg.Release(number)) == [msg.StartUnload(A)]
    stage.work()
    assert stage.failure(later).kind is CannotFit


@pytest.mark.parametrize("outcome", ["unloaded", "parked", "failed"])
def test_leaked_bytes_are_charged_until_they_are_freed(outcome: str) -> None:
    stage = Stage(max_loaded=2, budget=10)
    stage.known(A, B, need=6, parking=HOST)
    if outcome == "failed":
        stage.request(A)
        stage.tell(msg.LoadRolledBack(A, Failure(LoadFailed, "broke"), leaked=5))
    else:
        stage.resident(A)
        number = stage.request(B)
        stage.tell(msg.Unloaded(A, leaked=5) if outcome == "unloaded" else msg.Parked(A, 6, leaked=5))
        assert stage.failure(number).kind is CannotFit
        assert "leaked" in stage.failure(number).message
    assert stage.scheduler.ledger.used(GPU) == 5
    stage.tell(msg.Recovered(A, GPU, 3))
    assert stage.scheduler.ledger.leaked == {GPU: 2}
    stage.tell(msg.Recovered(A, GPU, 2))
    assert stage.scheduler.ledger.leaked == {}
    hold(stage, B)


# -- budgets ---------------------------------------------------------------------------------------------------


def test_a_device_without_a_budget_gets_its_measured_capacity() -> None:
    stage = Stage()
    stage.tell(msg.Register(A))
    stage.tell(msg.Register(B))
    stage.tell(msg.Prepared(A, 5, GPU, capacity=8))
    stage.tell(msg.Prepared(B, 1, GPU, capacity=2))
    assert stage.scheduler.ledger.budget(GPU) == 8, "as it was found first"


def test_a_configured_budget_overrides_the_measured_capacity() -> None:
    stage = Stage(budget=4)
    stage.tell(msg.Register(A))
    stage.tell(msg.Prepared(A, 5, GPU, capacity=8))
    assert stage.failure(stage.request(A)).kind is CannotFit


def test_devices_may_hold_different_numbers_of_weights() -> None:
    stage = Stage(max_loaded=2)
    stage.scheduler.tables.limits.max_loaded_on["cuda:1"] = 1  # type: ignore[index]
    stage.known(A, B)
    stage.known(C, D, device="cuda:1")
    stage.resident(A, B, C, D)
    assert {key for key in (A, B, C, D) if stage.state(key) is State.RESIDENT} == {A, B, D}
