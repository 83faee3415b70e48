"""The scheduler's decisions, one readable scenario each: no threads and no clock: the tests set the time."""

from __future__ import annotations

import itertools
import math

import pytest

from manager.config.model_spec import WeightsKey
from manager.errors import (
    Cancelled,
    CannotFit,
    CoolingDown,
    Failure,
    GenerationFailed,
    LoadFailed,
    ManagerClosed,
    NestedLease,
    OutOfMemory,
    ParleyError,
    QueueFull,
    WaitTimeout,
)
from manager.scheduling import messages as msg
from manager.scheduling import policy
from manager.scheduling.moves import COOL_DOWN_SECONDS
from manager.scheduling.scheduler import ANNOUNCED_SECONDS, Scheduler
from manager.scheduling.tables import SchedulerLimits
from manager.state import State

A, B, C, D = (WeightsKey("fake", name) for name in "ABCD")
GPU = "cuda:0"


class Stage:
    """A scheduler, the time, and all its effects so far. Each method reports one message."""

    def __init__(self, max_loaded: int = 2, budget: int | None = None, max_queue: int = 100, max_wait: float = 1000.0):
        budgets = {} if budget is None else {GPU: budget}
        self.scheduler = Scheduler(
            SchedulerLimits(max_loaded=max_loaded, budgets=budgets, max_queue=max_queue, max_wait=max_wait)
        )
        self.now = 0.0
        self.effects: list[msg.Effect] = []
        self._numbers = itertools.count(1)

    def tell(self, message: msg.Input) -> list[msg.Effect]:
        """What the scheduler answers; the states it reports are kept with the rest but left out of the answer."""
        answer = self.scheduler.handle(message, self.now)
        self.effects += answer
        return [effect for effect in answer if not isinstance(effect, msg.Changed)]

    def later(self, seconds: float) -> list[msg.Effect]:
        self.now += seconds
        return self.tell(msg.Tick())

    def known(
        self,
        *keys: WeightsKey,
        need: int = 1,
        device: str = GPU,
        load_seconds: float = 10.0,
        allowance: int = 0,
        parking: int | None = None,
        **how: object,
    ) -> None:
        """Register weights whose files were found already."""
        for key in keys:
            self.tell(msg.Register(key, **how))  # type: ignore[arg-type]
            found = msg.Prepared(key, need, device, load_seconds=load_seconds, allowance=allowance, parking=parking)
            self.tell(found)

    def request(
        self,
        key: WeightsKey,
        owner: str | None = None,
        then: WeightsKey | None = None,
        deadline: float | None = None,
    ) -> int:
        number = next(self._numbers)
        self.tell(msg.Request(number, key, owner, then, deadline))
        return number

    def release(self, *numbers: int) -> None:
        for number in numbers:
            self.tell(msg.Release(number))

    def work(self) -> list[msg.Job]:
        """Let the loader do, well and at once, whatever it is given; answers what that was."""
        done: list[msg.Job] = []
        while (job := self.scheduler.task) is not None:
            done.append(job)
            row = self.scheduler.weights[job.weights]
            match job:
                case msg.StartLoad() | msg.StartWake():
                    self.tell(msg.Loaded(job.weights, row.need or 0))
                case msg.StartUnload():
                    self.tell(msg.Unloaded(job.weights))
                case msg.StartPark():
                    self.tell(msg.Parked(job.weights, row.account.host))
                case msg.StartDrop():
                    self.tell(msg.Dropped(job.weights))
                case msg.StartTrim(to_bytes=size):
                    self.tell(msg.Trimmed(job.weights, size))
        return done

    def resident(self, *keys: WeightsKey) -> None:
        """Load, use and release weights, a second apart."""
        for key in keys:
            number = self.request(key)
            self.work()
            self.now += 1
            self.release(number)

    def fail(self, key: WeightsKey, kind: type[ParleyError] = LoadFailed, leaked: int = 0) -> list[msg.Effect]:
        return self.tell(msg.LoadRolledBack(key, Failure(kind, "it broke"), leaked))

    def state(self, key: WeightsKey) -> State:
        return self.scheduler.weights[key].state

    def on_device(self) -> set[WeightsKey]:
        return {row.key for row in self.scheduler.on_device(GPU)}

    def holds(self, number: int) -> bool:
        return number in self.scheduler.leases

    def waits(self, number: int) -> bool:
        return number in self.scheduler.waiting

    def failure(self, number: int) -> Failure:
        (refusal,) = [e for e in self.effects if isinstance(e, msg.Refuse) and e.ticket == number]
        return refusal.failure

    def grants(self) -> list[int]:
        return [effect.ticket for effect in self.effects if isinstance(effect, msg.Grant)]


# -- from a request to a lease ---------------------------------------------------------------------------------


def test_weights_are_prepared_once_then_loaded_then_granted() -> None:
    stage = Stage()
    stage.tell(msg.Register(A))
    assert stage.tell(msg.Request(1, A)) == [msg.Prepare(A)]
    assert stage.tell(msg.Request(2, A)) == [], "it is being prepared already"
    assert stage.tell(msg.Prepared(A, 5, GPU)) == [msg.StartLoad(A)]
    assert stage.state(A) is State.LOADING
    assert stage.tell(msg.Loaded(A, 6)) == [msg.Grant(1, A), msg.Grant(2, A)]
    assert stage.state(A) is State.RESIDENT
    assert stage.scheduler.ledger.used(GPU) == 6, "what was measured, not what was reserved"


def test_sixteen_requests_cause_one_load() -> None:
    stage = Stage()
    stage.known(A)
    numbers = [stage.request(A) for _ in range(16)]
    assert stage.work() == [msg.StartLoad(A)]
    assert stage.grants() == numbers


def test_resident_weights_are_granted_at_once() -> None:
    stage = Stage()
    stage.known(A)
    stage.resident(A)
    number = stage.request(A)
    assert stage.holds(number)
    assert stage.work() == []


def test_loads_happen_one_at_a_time() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B)
    stage.request(A)
    stage.request(B)
    assert stage.on_device() == {A}
    assert stage.tell(msg.Loaded(A, 1)) == [msg.StartLoad(B), msg.Grant(1, A)]


def test_concurrency_bounds_the_leases_on_weights() -> None:
    stage = Stage()
    stage.known(A, concurrency=2)
    first, second, third, fourth = [stage.request(A) for _ in range(4)]
    stage.work()
    assert [stage.holds(n) for n in (first, second, third, fourth)] == [True, True, False, False]
    stage.release(second)
    assert stage.holds(third)
    assert stage.waits(fourth)


def test_weights_served_elsewhere_take_no_slot_and_are_never_evicted() -> None:
    stage = Stage(max_loaded=1)
    stage.tell(msg.Register(D))
    first = stage.request(D)
    stage.tell(msg.Prepared(D, 0, "remote", remote=True))
    assert stage.holds(first)
    stage.known(A)
    second = stage.request(A)
    assert stage.work() == [msg.StartLoad(A)]
    assert stage.holds(second)
    stage.tell(msg.Unload(D))
    assert stage.state(D) is State.RESIDENT


def test_a_remote_server_that_fails_as_a_whole_cools_down_for_longer_each_time() -> None:
    stage = Stage()
    stage.tell(msg.Register(D))
    first, second = stage.request(D), stage.request(D)
    stage.tell(msg.Prepared(D, 0, "remote", remote=True))
    assert stage.holds(first)
    assert stage.holds(second)
    stage.tell(msg.HealthReported(D, Failure(GenerationFailed, "odd")))
    assert (stage.state(D), stage.scheduler.weights[D].reason) == (State.RESIDENT, "last error: odd")
    waits = []
    for cool in (0.0, 0.0, 90.0):
        stage.tell(msg.HealthReported(D, Failure(GenerationFailed, "down"), cool))
        assert stage.state(D) is State.FAILED
        row = stage.scheduler.weights[D]
        waits.append(row.retry_at - stage.scheduler.tables.now)
        stage.tell(msg.HealthReported(D))
        assert stage.state(D) is State.FAILED, "what was begun before says nothing about now"
        stage.now = row.retry_at
        stage.tell(msg.Tick())
        assert stage.state(D) is State.COLD
        stage.request(D)
        stage.tell(msg.Prepared(D, 0, "remote", remote=True))
    assert waits == [5.0, 10.0, 90.0]
    stage.tell(msg.HealthReported(D))
    stage.tell(msg.HealthReported(D, Failure(GenerationFailed, "down"), 0.0))
    assert stage.scheduler.weights[D].retry_at - stage.scheduler.tables.now == 5.0


def test_health_reports_about_local_weights_are_ignored() -> None:
    stage = Stage()
    stage.known(A)
    stage.request(A)
    stage.work()
    stage.tell(msg.HealthReported(A, Failure(GenerationFailed, "odd"), 0.0))
    assert stage.state(A) is State.RESIDENT


# -- who leaves ------------------------------------------------------------------------------------------------


def test_the_least_recently_used_idle_weights_leave() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C)
    stage.resident(A, B)
    stage.resident(A)  # A is older on the device, but was used later than B
    number = stage.request(C)
    assert stage.work() == [msg.StartUnload(B), msg.StartLoad(C)]
    assert stage.holds(number)
    assert stage.on_device() == {A, C}


def test_recency_counts_from_the_end_of_a_lease() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C)
    long = stage.request(A)
    stage.work()
    stage.now += 1
    stage.resident(B)
    stage.now += 1
    stage.release(long)
    stage.request(C)
    assert stage.work()[0] == msg.StartUnload(B)


def test_nothing_leased_leaves() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A)
    stage.work()
    waiting = stage.request(B)
    stage.tell(msg.Unload(A))
    stage.later(500)
    assert stage.scheduler.tables.job is None
    assert stage.on_device() == {A}
    stage.release(held)
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.holds(waiting)


def test_weights_loaded_for_a_request_cannot_leave_before_it_ran() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    first = stage.request(A)
    stage.request(B)
    stage.later(500)  # B is long overdue, yet A is being loaded for a request
    stage.tell(msg.Unload(A))
    assert stage.tell(msg.Loaded(A, 1)) == [msg.Grant(first, A)]


def test_pinned_weights_stay_and_their_neighbour_goes() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, pinned=True)
    stage.known(B, C)
    stage.resident(A, B)
    stage.request(C)
    assert stage.work() == [msg.StartUnload(B), msg.StartLoad(C)]


def test_a_device_full_of_pinned_weights_refuses_instead_of_waiting() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, pinned=True)
    stage.known(B)
    stage.resident(A)
    number = stage.request(B)
    assert stage.failure(number).kind is CannotFit
    assert "1 pinned" in stage.failure(number).message
    assert stage.on_device() == {A}


def test_weights_pinned_while_others_wait_for_their_place_refuse_those() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A)
    stage.work()
    number = stage.request(B)
    stage.tell(msg.Register(A, pinned=True))
    assert stage.failure(number).kind is CannotFit
    assert stage.holds(held)


def test_weights_pinned_before_they_load_refuse_those_who_come_to_wait_for_their_place() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(B)
    first = stage.request(A)
    stage.tell(msg.Register(A, pinned=True))
    late = stage.request(B)
    assert stage.waits(late), "B is only leaving, and A not there yet"
    stage.tell(msg.Unloaded(B))
    assert stage.state(A) is State.LOADING
    assert stage.failure(late).kind is CannotFit
    stage.work()
    assert stage.holds(first)


def test_weights_pinned_while_they_drain_for_room_stay() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C)
    first, second = stage.request(A), stage.request(B)
    stage.work()
    waiting = stage.request(C)
    stage.later(policy.PATIENCE_LOADS * 10)
    draining = A if stage.state(A) is State.DRAINING else B
    stage.tell(msg.Register(draining, pinned=True))
    assert stage.state(draining) is State.RESIDENT
    stage.release(first, second)
    assert draining not in {job.weights for job in stage.work()}
    assert stage.holds(waiting)


def test_idle_weights_leave_after_their_time_and_only_then() -> None:
    stage = Stage()
    stage.known(A, idle_seconds=60)
    stage.known(B)
    stage.resident(A, B)
    released = stage.now - 1
    assert stage.scheduler.next_tick() == released + 60
    stage.now = released + 59
    assert stage.later(0) == []
    assert stage.later(1) == [msg.StartUnload(A)]
    stage.work()
    assert stage.on_device() == {B}
    assert stage.scheduler.weights[A].reason == "unloaded after being idle"


def test_held_weights_have_no_idle_time() -> None:
    stage = Stage()
    stage.known(A, idle_seconds=60)
    held = stage.request(A)
    stage.work()
    assert stage.later(600) == []
    stage.release(held)
    assert stage.later(59) == []
    assert stage.later(1) == [msg.StartUnload(A)]


def test_a_request_calls_back_idle_weights_that_have_not_left_yet() -> None:
    stage = Stage()
    stage.known(A, idle_seconds=60)
    stage.known(B)
    stage.resident(A)
    stage.request(B)  # keeps the loader busy
    stage.later(60)
    assert stage.state(A) is State.DRAINING
    number = stage.request(A)
    assert stage.holds(number)
    assert stage.work() == [msg.StartLoad(B)]


def test_only_as_much_leaves_as_the_bytes_need() -> None:
    stage = Stage(max_loaded=4, budget=10)
    stage.known(A, B, need=3)
    stage.known(C, need=4)
    stage.known(D, need=5)
    stage.resident(A, B, C)
    stage.request(D)
    assert stage.work() == [msg.StartUnload(A), msg.StartUnload(B), msg.StartLoad(D)]
    assert stage.scheduler.ledger.used(GPU) == 9


def test_no_weights_are_evicted_unnecessarily() -> None:
    stage = Stage(max_loaded=4, budget=10)
    stage.known(A, need=1)
    stage.known(B, need=8)
    stage.known(C, need=5)
    stage.resident(A, B)
    stage.request(C)
    assert stage.work() == [msg.StartUnload(B), msg.StartLoad(C)], "A is older, but its byte alone would not do"
    assert stage.on_device() == {A, C}


def test_the_measured_size_is_reserved_for_the_next_load() -> None:
    stage = Stage(max_loaded=4, budget=10)
    stage.known(A, need=4)
    stage.known(B, need=5)
    stage.request(A)
    stage.tell(msg.Loaded(A, 6))
    stage.tell(msg.Unload(A))
    stage.release(1)
    stage.work()
    stage.resident(B)
    stage.request(A)
    assert stage.work() == [msg.StartUnload(B), msg.StartLoad(A)], "4 was hoped for, 6 was measured"


def test_a_load_in_flight_counts_against_the_budget() -> None:
    stage = Stage(max_loaded=4, budget=10)
    stage.known(A, B, need=6)
    stage.request(A)
    stage.request(B)
    assert stage.scheduler.ledger.used(GPU) == 6, "reserved before anything was measured"
    assert stage.tell(msg.Loaded(A, 6)) == [msg.Grant(1, A)]
    assert stage.on_device() == {A}


def test_devices_have_their_own_slots() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A)
    stage.known(B, device="cpu")
    stage.resident(A, B)
    assert {stage.state(A), stage.state(B)} == {State.RESIDENT}


def test_what_can_never_fit_is_refused_before_anything_leaves() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=5)
    stage.resident(A)
    stage.tell(msg.Register(B))
    number = stage.request(B)
    assert stage.tell(msg.Prepared(B, 11, GPU)) == [msg.Refuse(number, stage.failure(number))]
    assert stage.failure(number).kind is CannotFit
    assert stage.on_device() == {A}


# -- demand ----------------------------------------------------------------------------------------------------


def test_announced_weights_are_spared_although_used_least_recently() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C)
    stage.resident(A)
    speaking = stage.request(A, owner="x", then=A)
    stage.now += 1
    stage.release(speaking)
    stage.resident(B)
    stage.request(C)
    assert stage.work()[0] == msg.StartUnload(B), "x asks for A next"


def test_the_announced_request_finds_its_weights_still_there() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    speaking = stage.request(A, owner="x", then=A)
    other = stage.request(B)
    stage.now += 1
    stage.release(speaking)
    again = stage.request(A, owner="x")
    assert stage.holds(again), "a waiting request is demand, too, until the older one is due"
    assert stage.waits(other)


def test_announcements_expire() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    speaking = stage.request(A, owner="x", then=A)
    stage.request(B)
    stage.release(speaking)
    assert stage.scheduler.tables.job is None
    wake = stage.scheduler.next_tick()
    assert wake == stage.now + ANNOUNCED_SECONDS
    stage.now = wake
    assert stage.tell(msg.Tick()) == [msg.StartUnload(A)]


def test_announcements_are_forgotten_with_their_owner() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    speaking = stage.request(A, owner="x", then=A)
    stage.request(B)
    stage.release(speaking)
    assert stage.tell(msg.Forget("x")) == [msg.StartUnload(A)]


def test_a_waiter_for_busy_weights_keeps_them_from_a_younger_request() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, concurrency=1)
    stage.known(B)
    first = stage.request(A)
    stage.work()
    second = stage.request(A)
    third = stage.request(B)
    stage.release(first)
    assert stage.holds(second)
    stage.release(second)
    stage.work()
    assert stage.holds(third)


# -- overtaking ------------------------------------------------------------------------------------------------


def test_requests_for_resident_weights_overtake_eight_times_and_no_more() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, load_seconds=1000)  # so that no request becomes due by time
    holders = [stage.request(A)]
    stage.work()
    older = stage.request(B)
    overtaking = [stage.request(A) for _ in range(policy.BYPASS_BOUND)]
    assert all(stage.holds(number) for number in overtaking)
    assert stage.state(A) is State.DRAINING, "the older request is due now and claims the place"
    late = stage.request(A)
    assert stage.waits(late)
    stage.release(*holders, *overtaking)
    assert stage.work()[:2] == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.holds(older)
    assert stage.waits(late)


def test_a_request_becomes_due_by_time_and_drains_a_busy_victim() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C, load_seconds=10)
    first, second = stage.request(A), stage.request(B)
    stage.work()
    since = stage.now
    third = stage.request(C)
    patience = policy.PATIENCE_LOADS * 10
    assert stage.scheduler.next_tick() == since + patience
    stage.later(patience - 1)
    assert {stage.state(A), stage.state(B)} == {State.RESIDENT}
    stage.later(1)
    assert sorted([stage.state(A), stage.state(B)]) == [State.DRAINING, State.RESIDENT], "one is enough"
    stage.release(first, second)
    stage.work()
    assert stage.holds(third)


def test_draining_weights_stay_when_their_room_is_no_longer_needed() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A)
    stage.work()
    older = stage.request(B)
    stage.later(policy.PATIENCE_LOADS * 10)
    younger = stage.request(A)
    assert stage.state(A) is State.DRAINING
    assert stage.waits(younger)
    stage.tell(msg.Cancel(older))
    assert stage.state(A) is State.RESIDENT
    assert stage.holds(younger)
    stage.release(held, younger)
    assert stage.work() == []


def test_a_due_request_is_not_starved_by_loads_on_its_device() -> None:
    stage = Stage(max_loaded=2, budget=10)
    stage.known(A, B, C, need=4)
    stage.known(D, need=10)
    holders = [stage.request(A), stage.request(B)]
    stage.work()
    large = stage.request(D)
    stage.later(policy.PATIENCE_LOADS * 10)
    small = stage.request(C)
    stage.release(holders[0])
    assert stage.work() == [msg.StartUnload(A)], "the free half is not given to the younger request"
    stage.release(holders[1])
    stage.work()
    assert stage.holds(large)
    assert stage.waits(small)


def test_nothing_younger_is_granted_beside_a_due_request_that_has_no_claim_yet() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, concurrency=1)
    stage.known(C, pinned=True)
    stage.known(B)
    stage.resident(C)
    first, second = stage.request(A), stage.request(A)
    stage.work()
    due = stage.request(B)
    stage.later(policy.PATIENCE_LOADS * 10)
    stage.tell(msg.Register(D))
    stage.tell(msg.Prepared(D, 0, GPU, remote=True))
    assert stage.holds(stage.request(D)), "remote weights are in no one's way"
    younger = stage.request(C)
    assert stage.waits(younger), "an older request keeps A, so the due one could claim nothing"
    stage.release(first)
    assert stage.holds(second)
    assert stage.state(A) is State.DRAINING
    assert stage.holds(younger), "the claim is made"
    stage.release(second)
    stage.work()
    assert stage.holds(due)


def test_nothing_younger_is_loaded_beside_a_due_request_that_has_no_claim_yet() -> None:
    stage = Stage(max_loaded=3, budget=10)
    stage.known(A, need=5, concurrency=1)
    stage.known(B, need=10)
    stage.known(C, need=5)
    first, second = stage.request(A), stage.request(A)
    stage.work()
    due = stage.request(B)
    stage.later(policy.PATIENCE_LOADS * 10)
    younger = stage.request(C)
    assert stage.scheduler.tables.job is None, "C would fit, and would stand in the way of B"
    stage.release(first, second)
    assert stage.work()[:2] == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.holds(due)
    assert stage.waits(younger)


def test_a_due_request_goes_before_an_older_one_that_is_not() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, C, load_seconds=1)
    stage.known(B, load_seconds=1000)
    held = stage.request(A)
    stage.work()
    older, due = stage.request(B), stage.request(C)
    stage.later(policy.PATIENCE_LOADS * 1)
    stage.release(held)
    stage.work()
    assert stage.holds(due)
    assert stage.waits(older)


# -- failure ---------------------------------------------------------------------------------------------------


def test_a_failed_load_reaches_every_waiter_and_cools_down() -> None:
    stage = Stage()
    stage.known(A)
    numbers = [stage.request(A) for _ in range(3)]
    stage.fail(A)
    assert [stage.failure(n) for n in numbers] == [Failure(LoadFailed, "it broke")] * 3
    assert stage.state(A) is State.FAILED
    refused = stage.request(A)
    assert stage.failure(refused).kind is CoolingDown
    assert stage.failure(refused).message == f"it broke (try again in {COOL_DOWN_SECONDS[0]:.0f} s)"


def test_cooling_down_takes_longer_each_time_up_to_a_limit_and_ends_with_success() -> None:
    stage = Stage()
    stage.known(A)
    waits = []
    for _ in range(9):
        stage.request(A)
        stage.tell(msg.Prepared(A, 1, GPU))
        stage.fail(A)
        wake = stage.scheduler.next_tick()
        assert wake is not None
        waits.append(wake - stage.now)
        stage.now = wake
        stage.tell(msg.Tick())
        assert stage.state(A) is State.COLD
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    held = stage.request(A)
    stage.tell(msg.Prepared(A, 1, GPU))
    stage.work()
    assert stage.holds(held)
    assert stage.scheduler.weights[A].failures == 0


def test_what_cannot_be_prepared_disturbs_nothing() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A)
    stage.resident(A)
    stage.tell(msg.Register(B))
    number = stage.request(B)
    stage.tell(msg.PrepareFailed(B, Failure(CannotFit, "no such file")))
    assert stage.failure(number) == Failure(CannotFit, "no such file")
    assert stage.state(B) is State.FAILED
    assert stage.on_device() == {A}


def test_those_who_left_for_a_failed_load_come_back() -> None:
    stage = Stage(max_loaded=2, budget=10)
    stage.known(A, B, need=5)
    stage.known(C, need=10)
    stage.resident(A, B)
    number = stage.request(C)
    while stage.state(C) is not State.LOADING:
        stage.tell(msg.Unloaded(stage.scheduler.tables.job or A))
    stage.fail(C)
    assert stage.failure(number).kind is LoadFailed
    assert sorted(job.weights.source for job in stage.work()) == ["A", "B"]
    assert stage.on_device() == {A, B}


def test_an_out_of_memory_load_is_tried_once_more_with_everything_idle_gone() -> None:
    stage = Stage(max_loaded=3)
    stage.known(A, B, C, D)
    stage.resident(A, B)
    held = stage.request(D)
    stage.work()
    number = stage.request(C)
    while stage.state(C) is not State.LOADING:
        stage.tell(msg.Unloaded(stage.scheduler.tables.job or A))
    assert stage.on_device() == {B, C, D}
    stage.fail(C, OutOfMemory)
    assert stage.waits(number), "not refused yet"
    assert stage.work() == [msg.StartUnload(B), msg.StartLoad(C)]
    assert stage.holds(number)
    assert stage.on_device() == {C, D}
    assert stage.holds(held)


def test_running_out_of_memory_evicts_even_announced_weights() -> None:
    stage = Stage(max_loaded=3)
    stage.known(A, B)
    stage.resident(A)
    stage.release(stage.request(A, owner="x", then=A))
    number = stage.request(B)
    stage.fail(B, OutOfMemory)
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(B)]
    assert stage.holds(number)


def test_a_load_is_tried_twice_and_no_more_although_others_became_idle() -> None:
    stage = Stage(max_loaded=3)
    stage.known(A, B, C)
    stage.resident(A)
    held = stage.request(B)
    stage.work()
    number = stage.request(C)
    stage.fail(C, OutOfMemory)
    stage.tell(msg.Unloaded(A))
    assert stage.state(C) is State.LOADING
    stage.release(held)
    stage.fail(C, OutOfMemory)
    assert stage.failure(number).kind is OutOfMemory


def test_a_second_out_of_memory_is_final_and_its_victims_come_back() -> None:
    stage = Stage(max_loaded=2)
    stage.known(A, B, C)
    stage.resident(A, B)
    number = stage.request(C)
    stage.tell(msg.Unloaded(A))
    stage.fail(C, OutOfMemory)
    stage.tell(msg.Unloaded(B))
    stage.fail(C, OutOfMemory)
    assert stage.failure(number).kind is OutOfMemory
    assert sorted(job.weights.source for job in stage.work()) == ["A", "B"]


def test_a_requested_victim_is_reloaded_for_its_waiters() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    stage.request(B)
    stage.tell(msg.Unloaded(A))
    waiting = stage.request(A)
    stage.fail(B)
    assert stage.work() == [msg.StartLoad(A)]
    assert stage.holds(waiting)


def test_leaked_bytes_stay_charged() -> None:
    stage = Stage(budget=10)
    stage.known(A, need=6)
    stage.known(B, need=4)
    stage.resident(A)
    stage.tell(msg.Unload(A))
    stage.tell(msg.Unloaded(A, leaked=2))
    assert stage.scheduler.ledger.used(GPU) == 2
    stage.resident(B, A)
    assert stage.on_device() == {A}, "2 + 4 + 6 would be too much"


def test_a_leak_refuses_those_who_now_can_never_fit() -> None:
    stage = Stage(max_loaded=2, budget=10)
    stage.known(A, need=3)
    stage.known(B, C, need=6)
    held = stage.request(A)
    stage.work()
    stage.request(B)
    large = stage.request(C)
    stage.fail(B, leaked=5)
    assert stage.failure(large).kind is CannotFit
    assert "0.00 GB leaked" in stage.failure(large).message
    again = stage.request(A)
    assert stage.holds(again), "no request is held back for an impossible one"
    assert stage.holds(held)


def test_an_unload_requested_during_a_failed_load_is_settled() -> None:
    stage = Stage()
    stage.known(A)
    stage.request(A)
    stage.tell(msg.Unload(A))
    stage.fail(A)
    stage.later(COOL_DOWN_SECONDS[0])
    number = stage.request(A)
    stage.tell(msg.Prepared(A, 1, GPU))
    stage.work()
    stage.release(number)
    assert stage.work() == []
    assert stage.state(A) is State.RESIDENT


# -- giving up -------------------------------------------------------------------------------------------------


def test_a_cancelled_request_leaves_the_queue() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A)
    stage.work()
    number = stage.request(B)
    assert stage.tell(msg.Cancel(number)) == [msg.Refuse(number, stage.failure(number))]
    assert stage.failure(number).kind is Cancelled
    stage.release(held)
    assert stage.work() == [], "no request needs the room"


def test_a_load_is_stopped_when_the_last_waiter_leaves() -> None:
    stage = Stage()
    stage.known(A)
    first, second = stage.request(A), stage.request(A)
    assert stage.tell(msg.Cancel(first)) == [msg.Refuse(first, stage.failure(first))]
    assert stage.tell(msg.Cancel(second)) == [msg.Refuse(second, stage.failure(second)), msg.Abort(A)]
    stage.tell(msg.LoadRolledBack(A, Failure(Cancelled, "stopped")))
    assert stage.state(A) is State.COLD, "no failure, no cool-down"
    third = stage.request(A)
    stage.work()
    assert stage.holds(third)


def test_a_request_that_comes_while_a_load_is_being_stopped_gets_its_own() -> None:
    stage = Stage()
    stage.known(A)
    stage.tell(msg.Cancel(stage.request(A)))
    number = stage.request(A)
    assert stage.tell(msg.LoadRolledBack(A, Failure(Cancelled, "stopped"))) == [msg.StartLoad(A)]
    stage.work()
    assert stage.holds(number)


def test_preparing_is_stopped_when_the_last_waiter_leaves_and_begun_anew_for_the_next() -> None:
    stage = Stage()
    stage.tell(msg.Register(A))
    stage.request(A)
    assert msg.Abort(A) in stage.tell(msg.Cancel(1))
    assert stage.tell(msg.Request(2, A)) == [msg.Prepare(A)], "an aborted download that hangs delays no request"


def test_a_load_that_restores_victims_is_not_aborted() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    stage.request(B)
    stage.tell(msg.Unloaded(A))
    stage.fail(B)
    assert stage.state(A) is State.LOADING
    number = stage.request(A)
    assert stage.tell(msg.Cancel(number)) == [msg.Refuse(number, stage.failure(number))]


def test_cancelling_a_granted_or_unknown_request_changes_nothing() -> None:
    stage = Stage()
    stage.known(A)
    number = stage.request(A)
    stage.work()
    assert stage.tell(msg.Cancel(number)) == []
    assert stage.tell(msg.Cancel(99)) == []
    assert stage.holds(number)


# -- bounded waiting -------------------------------------------------------------------------------------------


def test_a_request_ends_at_its_deadline() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.request(A)
    stage.work()
    number = stage.request(B, deadline=7)
    assert stage.scheduler.next_tick() == 7
    stage.now = 7
    stage.tell(msg.Tick())
    assert stage.failure(number).kind is WaitTimeout


def test_fetching_and_loading_count_against_the_callers_deadline_but_not_against_the_limit() -> None:
    stage = Stage(max_loaded=1, max_wait=20)
    stage.tell(msg.Register(A))
    patient, hasty = stage.request(A), stage.request(A, deadline=70)
    stage.later(50)  # a long download
    stage.tell(msg.Prepared(A, 1, GPU, load_seconds=10))
    assert stage.waits(patient)
    assert stage.waits(hasty)
    stage.later(20)  # a long load
    assert stage.failure(hasty).kind is WaitTimeout
    stage.work()
    assert stage.holds(patient)


def test_waiting_for_room_before_and_after_a_download_adds_up_to_the_limit() -> None:
    stage = Stage(max_loaded=1, max_wait=20)
    stage.known(A)
    stage.tell(msg.Register(B))
    stage.request(A)
    stage.work()
    first = stage.request(B)
    stage.now += 100
    late = stage.request(B)
    stage.now += 100
    stage.tell(msg.Prepared(B, 1, GPU, load_seconds=10))
    assert stage.scheduler.next_tick() == 220
    stage.later(19)
    assert stage.waits(first)
    assert stage.waits(late)
    stage.later(1)
    assert stage.failure(first).kind is stage.failure(late).kind is WaitTimeout


def test_no_request_waits_longer_than_the_limit() -> None:
    stage = Stage(max_loaded=1, max_wait=20)
    stage.known(A, B)
    stage.request(A)
    stage.work()
    number = stage.request(B, deadline=math.inf)
    stage.later(20)
    assert stage.failure(number).kind is WaitTimeout


@pytest.mark.parametrize("timeout", [0.0, 7.0])
def test_a_deadline_that_passed_between_two_ticks_still_wakes_the_clock(timeout: float) -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.request(A)
    stage.work()
    number = stage.request(B, deadline=stage.now + timeout)
    stage.now += timeout + 0.5
    stage.request(A)  # the clock was about to tick, and this came first
    assert stage.waits(number)
    assert stage.scheduler.next_tick() == timeout
    stage.later(0)
    assert stage.failure(number).kind is WaitTimeout


def test_an_idle_time_that_passed_between_two_ticks_still_wakes_the_clock() -> None:
    stage = Stage()
    stage.known(A, idle_seconds=60)
    stage.known(B)
    stage.resident(A)
    stage.now += 100
    stage.request(B)
    wake = stage.scheduler.next_tick()
    assert wake is not None
    assert wake <= stage.now
    stage.later(0)
    assert stage.state(A) is State.DRAINING


def test_a_cool_down_that_passed_between_two_ticks_still_wakes_the_clock() -> None:
    stage = Stage()
    stage.known(A, B)
    stage.request(A)
    stage.fail(A)
    stage.now += 100
    stage.request(B)
    wake = stage.scheduler.next_tick()
    assert wake is not None
    assert wake <= stage.now
    stage.later(0)
    assert stage.state(A) is State.COLD


def test_the_queue_has_a_limit_that_only_counts_those_who_wait() -> None:
    stage = Stage(max_loaded=1, max_queue=2)
    stage.known(A, B)
    stage.request(A)
    stage.work()
    assert [stage.waits(stage.request(B)) for _ in range(2)] == [True, True]
    assert stage.failure(stage.request(B)).kind is QueueFull
    assert stage.holds(stage.request(A)), "no need to wait"


def test_a_session_may_not_wait_for_a_second_lease() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A, owner="x")
    stage.work()
    nested = stage.request(B, owner="x")
    assert stage.failure(nested).kind is NestedLease
    assert stage.holds(stage.request(A, owner="x")), "it is resident, so no request waits"
    assert stage.waits(stage.request(B, owner="y"))
    assert stage.holds(held)


def test_a_request_that_may_not_wait_evicts_nothing() -> None:
    stage = Stage(max_loaded=2, max_queue=1)
    stage.known(A, B, C)
    stage.tell(msg.Register(D))
    stage.resident(A, B)
    stage.request(A, owner="x")
    assert stage.failure(stage.request(C, owner="x")).kind is NestedLease
    assert stage.failure(stage.request(D, owner="x")).kind is NestedLease
    stage.request(B)
    stage.tell(msg.Unload(B))
    assert stage.waits(stage.request(B))
    assert stage.failure(stage.request(D)).kind is QueueFull
    assert stage.on_device() == {A, B}
    assert stage.scheduler.tables.job is None
    assert not any(isinstance(effect, msg.Prepare) for effect in stage.effects)


# -- leaving on purpose ----------------------------------------------------------------------------------------


def test_unloading_drains_what_is_leased_and_grants_nothing_new() -> None:
    stage = Stage()
    stage.known(A)
    held = stage.request(A)
    stage.work()
    assert stage.tell(msg.Unload(A)) == []
    assert stage.state(A) is State.DRAINING
    number = stage.request(A)
    assert stage.waits(number)
    stage.release(held)
    assert stage.work() == [msg.StartUnload(A), msg.StartLoad(A)]
    assert stage.holds(number)


def test_unloading_absent_weights_does_nothing() -> None:
    stage = Stage()
    stage.known(A)
    assert stage.tell(msg.Unload(A)) == []
    assert stage.tell(msg.Unload(B)) == []
    assert stage.state(A) is State.COLD


def test_retired_weights_serve_those_who_hold_and_wait_and_are_then_forgotten() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, concurrency=1)
    held = stage.request(A)
    stage.work()
    waiting = stage.request(A)
    stage.tell(msg.Retire(A))
    assert stage.state(A) is State.RESIDENT
    stage.release(held)
    assert stage.holds(waiting)
    stage.release(waiting)
    assert stage.work() == [msg.StartUnload(A)]
    assert A not in stage.scheduler.weights


def test_retired_weights_stay_as_long_as_a_running_session_will_come_back_for_them() -> None:
    stage = Stage()
    stage.known(A, B)
    held = stage.request(A, owner="x", then=B)
    stage.work()
    stage.resident(B)
    for key in (A, B):
        stage.tell(msg.Retire(key))
    for turn in range(4):
        stage.release(held)
        held = stage.request((B, A)[turn % 2], owner="x", then=(A, B)[turn % 2])
        assert stage.holds(held)
        assert stage.work() == []
    stage.release(held)
    wake = stage.scheduler.next_tick()
    assert wake == stage.now + ANNOUNCED_SECONDS
    stage.now = wake
    stage.tell(msg.Tick())
    assert {job.weights for job in stage.work()} == {A, B}
    assert [effect for effect in stage.effects if isinstance(effect, msg.Retired)] == [msg.Retired(A), msg.Retired(B)]


def test_retired_weights_that_are_registered_again_stay() -> None:
    stage = Stage()
    stage.known(A)
    held = stage.request(A)
    stage.work()
    stage.tell(msg.Retire(A))
    stage.tell(msg.Register(A))
    stage.release(held)
    assert stage.work() == []
    assert stage.state(A) is State.RESIDENT


def test_closing_refuses_waiting_and_new_requests() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    held = stage.request(A)
    stage.work()
    waiting = stage.request(B)
    stage.tell(msg.Close())
    late = stage.request(A)
    assert {stage.failure(waiting).kind, stage.failure(late).kind} == {ManagerClosed}
    assert stage.holds(held)


def test_nothing_is_restored_after_closing() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    stage.request(B)
    stage.tell(msg.Unloaded(A))
    stage.tell(msg.Close())
    stage.fail(B)
    assert stage.work() == []
    assert stage.on_device() == set()


# -- reports ---------------------------------------------------------------------------------------------------


def test_every_change_of_state_is_reported_with_a_reason() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B)
    stage.resident(A)
    stage.request(B)
    stage.work()
    told = [(e.weights.source, str(e.state), e.reason) for e in stage.effects if isinstance(e, msg.Changed)]
    assert told == [
        ("A", "loading", "requested"),
        ("A", "resident", "loaded"),
        ("A", "draining", "making room for B"),
        ("A", "cold", "evicted to make room"),
        ("B", "loading", "requested"),
        ("B", "resident", "loaded"),
    ]


def test_load_times_are_learnt() -> None:
    stage = Stage()
    stage.known(A, load_seconds=10)
    stage.request(A)
    stage.now += 4
    stage.work()
    assert stage.scheduler.weights[A].load_seconds == 4


def test_positions_count_from_one_in_order_of_arrival() -> None:
    stage = Stage(max_loaded=1)
    stage.known(A, B, C)
    stage.request(A)
    stage.work()
    numbers = [stage.request(B), stage.request(C), stage.request(B)]
    assert [stage.scheduler.tables.position(number) for number in numbers] == [1, 2, 3]
    stage.tell(msg.Cancel(numbers[0]))
    assert stage.scheduler.tables.position(numbers[2]) == 2
