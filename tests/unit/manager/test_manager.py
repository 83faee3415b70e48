"""LLMManager with real threads: who shares what, who waits for what, and how everything ends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from manager.backends import base
from manager.backends.base import register_backend
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.errors import (
    Cancelled,
    ConfigError,
    CoolingDown,
    GenerationFailed,
    LoadFailed,
    ManagerClosed,
    MissingPackage,
    ModelUnavailable,
    NestedLease,
    NoActiveModel,
    QueueFull,
    Refused,
    UnknownModel,
    UnsupportedType,
    WaitTimeout,
)
from manager.generation.request import GenerationRequest, as_messages
from manager.generation.stream import TokenStream
from manager.lease import Lease, LeaseRequest
from manager.manager import LLMManager
from manager.state import State
from tests.unit.manager.conftest import SECONDS, Clock, MakeManager, Watch, Workshop, bench

Together = Callable[[list[Callable[[], Any]]], list[Any]]
ASK = GenerationRequest(as_messages("Hello"))
FAKE = {"type": "fake"}


def leases(manager: LLMManager) -> int:
    return sum(row.leases for row in manager.snapshot().weights)


def state(manager: LLMManager, model_id: str) -> str:
    return str(manager.list_models()[model_id]["state"])


# -- sharing ---------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_before_it_is_requested(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    manager.list_models()
    manager.snapshot()
    assert workshop.log == []
    assert state(manager, "a") == "cold"


def test_sixteen_callers_of_a_cold_model_cause_one_load(
    make: MakeManager, workshop: Workshop, together: Together
) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    gate = workshop.hold("load A")

    def open_when_all_wait() -> None:
        for _ in range(16):
            watch.until("waiting", "a")
        gate.set()

    answers = together([open_when_all_wait, *[lambda: manager.lease("a")] * 16])
    assert len({id(lease) for lease in answers[1:]}) == 16
    assert workshop.log == ["prepare A", "load A"]
    assert manager.snapshot().weights[0].leases == 16


def test_aliases_share_weights_and_keep_their_own_defaults(make: MakeManager) -> None:
    reply = "one two three four five"
    shared = {"type": "fake", "model_name": "shared", "replies": [reply]}
    manager = make({"long": shared, "short": {**shared, "generation_config": {"max_new_tokens": 2}}}, 1)
    watch = Watch(manager.subscribe())
    assert manager.get_response("Count", "long") == reply
    assert manager.get_response("Count", "short") == "one two"
    assert manager.get_response("Count", "short", max_new_tokens=3) == "one two three"
    assert manager.get_response("Count", "long") == reply
    assert [str(e.state) for e in watch.seen() if e.kind == "state"] == ["loading", "resident"]
    (row,) = manager.snapshot().weights
    assert row.model_ids == ("long", "short")


def test_unloading_an_alias_unloads_what_both_share(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"one": bench("A"), "two": bench("A")})
    watch = Watch(manager.subscribe())
    manager.load_model("one")
    with manager.lease("two"):
        manager.unload_model("one")
        assert state(manager, "two") == "draining"
        assert workshop.count("unload A") == 0
    watch.until("state", "two", State.COLD)
    assert state(manager, "one") == state(manager, "two") == "cold"


def test_an_alias_that_is_pinned_keeps_the_weights_of_both(make: MakeManager) -> None:
    manager = make({"one": {**FAKE, "model_name": "A", "pinned": True}, "two": {**FAKE, "model_name": "A"}})
    assert manager.snapshot().weights[0].pinned
    assert [row["pinned"] for row in manager.list_models().values()] == [True, False]


# -- limits ----------------------------------------------------------------------------------------------------


def test_the_least_recently_used_model_makes_room(make: MakeManager) -> None:
    manager = make(dict.fromkeys("abc", FAKE), 2)
    for name in "abac":
        manager.get_response("Hi", name)
    assert [state(manager, name) for name in "abc"] == ["resident", "cold", "resident"]


def test_nothing_leased_is_unloaded_whatever_others_ask(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")}, 1)
    held = manager.lease("a")
    wanting = manager.request_lease("b")
    manager.unload_model("a")
    assert "".join(held.generate(ASK)) == "I am A."
    assert wanting.wait(0) is None
    assert workshop.count("unload A") == workshop.count("load B") == 0
    held.release()
    lease = wanting.wait(SECONDS)
    assert lease is not None
    assert [what for what in workshop.log if "prepare" not in what] == ["load A", "write A", "unload A", "load B"]
    lease.release()


@pytest.mark.parametrize("most", [1, 2])
def test_many_sessions_on_few_slots_all_finish_and_the_limit_holds(
    make: MakeManager, workshop: Workshop, together: Together, most: int
) -> None:
    names = "ABCD"
    manager = make({name: bench(name) for name in names}, most)
    pairs = [(first, second) for first in names for second in names if first < second] + [("A", "B"), ("C", "D")]

    def negotiate(number: int, pair: tuple[str, str]) -> list[str]:
        said = []
        for turn in range(6):
            speaker, other = pair[turn % 2], pair[(turn + 1) % 2]
            with manager.lease(speaker, owner=f"session {number}", next_model=other) as lease:
                said.append("".join(lease.generate(ASK)))
        return said

    said = together([lambda n=n, pair=pair: negotiate(n, pair) for n, pair in enumerate(pairs)])  # type: ignore[misc]
    assert said == [[f"I am {pair[0]}.", f"I am {pair[1]}."] * 3 for pair in pairs]
    assert workshop.most_loaded == most
    assert workshop.count("unload A") > 0
    assert leases(manager) == 0


def test_byte_budgets_hold_per_device(make: MakeManager) -> None:
    sizes = {"a": 6, "b": 5, "c": 4}
    configs = {name: {**FAKE, "size_bytes": size} for name, size in sizes.items()}
    manager = make(configs, 3, budgets={"cpu": 10})
    for name in "abc":
        manager.load_model(name)
        (device,) = manager.snapshot().devices
        assert device.bytes <= 10
    assert [state(manager, name) for name in "abc"] == ["cold", "resident", "resident"]


def test_idle_models_leave_by_themselves(make: MakeManager) -> None:
    manager = make({"a": {**FAKE, "idle_seconds": 0.01}, "b": FAKE})
    watch = Watch(manager.subscribe())
    manager.load_model("b")
    manager.load_model("a")
    assert watch.until("state", "a", State.COLD).reason == "unloaded after being idle"
    assert state(manager, "b") == "resident"


# -- loading beside everything else ----------------------------------------------------------------------------


def test_a_load_blocks_neither_generation_nor_status_nor_registration(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"quick": bench("quick"), "slow": bench("slow")})
    watch = Watch(manager.subscribe())
    manager.load_model("quick")
    gate = workshop.hold("load slow")
    request = manager.request_lease("slow")
    watch.until("state", "slow", State.LOADING)
    assert manager.get_response("Hi", "quick") == "I am quick."
    manager.register_model("new", FAKE)
    assert manager.list_models()["new"]["state"] == "cold"
    assert manager.snapshot().of("slow").state is State.LOADING  # type: ignore[union-attr]
    status = manager.waiting(request)
    assert status is not None
    assert (status.state, status.position) == (State.LOADING, 1)
    gate.set()
    lease = request.wait(SECONDS)
    assert lease is not None
    assert manager.waiting(request) is None
    lease.release()


def test_preparing_one_model_does_not_hold_up_loading_another(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    workshop.hold("prepare A")
    request = manager.request_lease("a")
    assert manager.get_response("Hi", "b") == "I am B."
    request.cancel()


def test_a_download_that_hangs_holds_up_neither_the_next_who_asks_nor_the_end(
    make: MakeManager, workshop: Workshop
) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    gate = workshop.hold("prepare A", deaf=True)
    request = manager.request_lease("a")
    assert watch.until("progress", "a").progress is not None
    request.cancel()
    assert watch.until("progress", "a").progress is None, "the status shows no aborted download"
    assert manager.snapshot().weights[0].progress is None
    again = manager.request_lease("a")
    while workshop.count("prepare A") < 2:
        watch.until("progress", "a")
    gate.set()
    lease = again.wait(SECONDS)
    assert lease is not None
    lease.release()


def test_the_end_does_not_wait_for_a_download_that_hangs(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    gate = workshop.hold("prepare A", deaf=True)
    request = manager.request_lease("a")
    workshop.wait_for("prepare A")
    manager.cleanup()
    with pytest.raises(ManagerClosed):
        request.wait(0)
    assert not gate.is_set()


def test_an_unload_blocks_nobody_else(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    watch = Watch(manager.subscribe())
    manager.load_model("a")
    manager.load_model("b")
    gate = workshop.hold("unload A")
    manager.unload_model("a")
    watch.until("state", "a", State.DRAINING)
    assert manager.get_response("Hi", "b") == "I am B."
    gate.set()
    watch.until("state", "a", State.COLD)


# -- failure ---------------------------------------------------------------------------------------------------


def test_a_failing_load_reaches_every_waiter_and_can_be_retried(
    make: MakeManager, workshop: Workshop, together: Together
) -> None:
    clock = Clock()
    manager = make({"a": bench("A")}, clock=clock)
    watch = Watch(manager.subscribe())
    workshop.failing["load A"] = [LoadFailed("the file is broken")]
    gate = workshop.hold("prepare A")

    def open_when_all_wait() -> None:
        for _ in range(16):
            watch.until("waiting", "a")
        gate.set()

    errors = together([open_when_all_wait, *[lambda: manager.lease("a")] * 16])[1:]
    assert {(type(error), str(error)) for error in errors} == {(LoadFailed, "the file is broken")}
    assert len({id(error) for error in errors}) == 16, "each waiter has an exception of its own"
    assert state(manager, "a") == "failed"
    with pytest.raises(CoolingDown, match=r"the file is broken \(try again in 5 s\)"):
        manager.lease("a")
    assert manager.snapshot().weights[0].retry_in == 5
    clock.now += 2
    assert manager.snapshot().weights[0].retry_in == 3, "a snapshot is of now, not of the last event"
    clock.now += 3
    assert manager.get_response("Hi", "a") == "I am A."
    assert leases(manager) == 0


def test_a_fake_fails_its_first_loads(make: MakeManager) -> None:
    clock = Clock()
    manager = make({"a": {**FAKE, "fail_loads": 2, "replies": ["Back."]}}, clock=clock)
    for cool_down in (5, 10):
        with pytest.raises(LoadFailed, match="fake load"):
            manager.load_model("a")
        clock.now += cool_down
    assert manager.get_response("Hi", "a") == "Back."


def test_what_is_refused_while_preparing_evicts_nobody(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")}, 1)
    manager.load_model("a")
    workshop.failing["prepare B"] = [Refused("no such repository")]
    with pytest.raises(Refused, match="no such repository"):
        manager.load_model("b")
    assert state(manager, "a") == "resident"
    assert workshop.count("unload A") == 0


def test_the_old_model_is_back_after_a_new_one_failed_to_load(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"old": bench("old"), "new": bench("new")}, 1)
    watch = Watch(manager.subscribe())
    manager.load_model("old")
    watch.until("released", "old")
    workshop.failing["load new"] = [LoadFailed("broken")]
    with pytest.raises(LoadFailed):
        manager.load_model("new")
    watch.until("state", "old", State.RESIDENT)
    assert workshop.log[-2:] == ["load new", "load old"]


def test_an_unexpected_error_is_reported_by_its_name(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    workshop.failing = {"load A": [ZeroDivisionError("by zero")], "prepare B": [KeyError("hidden_size")]}
    with pytest.raises(LoadFailed, match="ZeroDivisionError: by zero"):
        manager.load_model("a")
    with pytest.raises(Refused, match="KeyError: 'hidden_size'"):
        manager.load_model("b")


def test_a_failing_unload_leaves_its_bytes_charged_and_the_model_usable(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A", size_bytes=3)}, budgets={"bench": 10})
    watch = Watch(manager.subscribe())
    manager.load_model("a")
    workshop.failing["unload A"] = [RuntimeError("stuck")]
    manager.unload_model("a")
    watch.until("state", "a", State.COLD)
    (device,) = manager.snapshot().devices
    assert (device.bytes, device.leaked) == (3, 3)
    assert manager.get_response("Hi", "a") == "I am A."
    assert state(manager, "a") == "resident"


def test_a_model_that_fails_at_the_start_of_writing_releases_its_lease(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    workshop.failing["write A"] = [RuntimeError("broke")]
    with pytest.raises(RuntimeError, match="broke"):
        manager.get_response("Hi", "a")
    assert leases(manager) == 0


# -- cancelling ------------------------------------------------------------------------------------------------


def test_cancelled_while_queued(make: MakeManager) -> None:
    manager = make({"a": FAKE, "b": FAKE}, 1)
    held = manager.lease("a")
    watch = Watch(manager.subscribe())
    cancel = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(manager.lease, "b", cancel=cancel)
        watch.until("waiting", "b")
        cancel.cancel()
        assert isinstance(future.exception(SECONDS), Cancelled)
    assert manager.snapshot().queue == ()
    held.release()
    assert state(manager, "a") == "resident"
    assert leases(manager) == 0


def test_cancelled_while_loading(make: MakeManager) -> None:
    manager = make({"a": {**FAKE, "load_seconds": 3600}, "b": FAKE})
    watch = Watch(manager.subscribe())
    cancel = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(manager.get_response, "Hi", "a", cancel=cancel)
        watch.until("state", "a", State.LOADING)
        cancel.cancel()
        assert isinstance(future.exception(SECONDS), Cancelled)
    watch.until("state", "a", State.COLD)
    assert manager.get_response("Hi", "b").startswith("This is b"), "the loader goes on"
    assert leases(manager) == 0


def test_a_load_goes_on_while_anybody_waits(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    gate = workshop.hold("load A")
    first, second = manager.request_lease("a"), manager.request_lease("a")
    first.cancel()
    gate.set()
    lease = second.wait(SECONDS)
    assert lease is not None
    assert workshop.count("load A") == 1
    with pytest.raises(Cancelled):
        first.wait(SECONDS)
    lease.release()


def test_cancelled_while_writing(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    workshop.hold("write A")
    cancel = CancelToken()
    stream = manager.stream_response("Hi", "a", cancel=cancel)
    assert next(stream) == "I am A."
    assert leases(manager) == 1
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(stream)
    assert leases(manager) == 0


def test_closing_the_iterator_stops_the_writing(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    workshop.hold("write A")
    stream = manager.stream_response("Hi", "a")
    assert next(stream) == "I am A."
    stream.close()  # type: ignore[attr-defined]
    assert leases(manager) == 0


def test_cancelled_before_it_began(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    manager.load_model("a")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        manager.lease("a", cancel=cancel)
    assert leases(manager) == 0


def test_a_caller_who_is_interrupted_leaves_the_queue(make: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = make({"a": FAKE, "b": FAKE}, 1)

    def interrupted(request: LeaseRequest, timeout: float | None = None) -> Lease | None:
        raise KeyboardInterrupt

    with manager.lease("a"):
        monkeypatch.setattr(LeaseRequest, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            manager.lease("b")
        assert manager.snapshot().queue == ()


def test_cancelling_a_request_after_it_was_granted_gives_the_lease_back(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    request = manager.request_lease("a")
    assert request.wait(SECONDS) is not None
    request.cancel()
    request.cancel()
    assert leases(manager) == 0


def test_leases_survive_a_storm_of_cancelling(make: MakeManager, together: Together) -> None:
    manager = make(dict.fromkeys("abc", FAKE), 1)

    def ask(number: int) -> bool:
        cancel = CancelToken()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(manager.lease, "abc"[number % 3], cancel=cancel)
            cancel.cancel()
            error = future.exception(SECONDS)
        assert error is None or isinstance(error, Cancelled)
        if error is None:
            future.result().release()
        return True

    assert together([lambda n=n: ask(n) for n in range(24)]) == [True] * 24  # type: ignore[misc]
    assert leases(manager) == 0
    assert manager.snapshot().queue == ()


# -- bounded waiting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_a_request_waits_no_longer_than_its_timeout(make: MakeManager, timeout: float) -> None:
    manager = make({"a": FAKE, "b": FAKE}, 1)
    with manager.lease("a"), pytest.raises(WaitTimeout, match=r"waited \d s for b without getting it"):
        manager.lease("b", timeout=timeout)
    assert manager.snapshot().queue == ()


def test_no_request_waits_longer_than_the_manager_allows(make: MakeManager) -> None:
    clock = Clock()
    manager = make({"a": FAKE, "b": FAKE}, 1, max_wait=1000, clock=clock)
    watch = Watch(manager.subscribe())
    with manager.lease("a"):
        request = manager.request_lease("b", timeout=5000)
        watch.until("measured", "b")
        clock.now += 1000
        manager.forget("nobody")  # any message reveals to the scheduler that it is late
        with pytest.raises(WaitTimeout, match="waited 1000 s for b without getting it"):
            request.wait(SECONDS)


def test_a_long_download_does_not_count_as_waiting(make: MakeManager, workshop: Workshop) -> None:
    clock = Clock()
    manager = make({"a": bench("A")}, max_wait=10, clock=clock)
    gate = workshop.hold("prepare A")
    request = manager.request_lease("a")
    workshop.wait_for("prepare A")
    clock.now += 1000
    manager.forget("nobody")  # any message reveals that it is late
    gate.set()
    lease = request.wait(SECONDS)
    assert lease is not None
    lease.release()


def test_the_queue_is_bounded(make: MakeManager) -> None:
    manager = make({"a": FAKE, "b": FAKE}, 1, max_queue=2)
    with manager.lease("a"):
        waiting = [manager.request_lease("b") for _ in range(2)]
        with pytest.raises(QueueFull, match=r"the queue is full \(2 requests are waiting\)"):
            manager.lease("b")
        manager.lease("a").release()
        for request in waiting:
            request.cancel()


def test_a_session_may_not_wait_while_it_holds_a_lease(make: MakeManager) -> None:
    manager = make({"a": FAKE, "b": FAKE}, 1)
    with manager.lease("a", owner="x"):
        with pytest.raises(NestedLease, match="session 'x'"):
            manager.session("x").get_response("Hi", "b")
        assert manager.session("x").get_response("Hi", "a").startswith("This is a"), "it is there: no waiting"


# -- leases ----------------------------------------------------------------------------------------------------


def test_a_lease_belongs_to_no_thread(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    with ThreadPoolExecutor(1) as pool:
        lease = pool.submit(manager.lease, "a").result(SECONDS)
    assert "".join(lease.generate(ASK)).startswith("This is a")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lease.release).result(SECONDS)
    assert leases(manager) == 0


def test_releasing_a_lease_twice_counts_once(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    first, second = manager.lease("a"), manager.lease("a")
    first.release()
    first.release()
    assert leases(manager) == 1
    second.release()


def test_releasing_a_lease_ends_its_streams(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")}, 1)
    workshop.hold("write A")
    lease = manager.lease("a")
    streams = [lease.generate(ASK), lease.generate(ASK)]
    lease.release()
    for stream in streams:
        assert stream.ended
        assert stream.read() == "I am A."
        with pytest.raises(Cancelled):
            stream.read()


def test_a_lease_that_is_garbage_collected_is_released(make: MakeManager, caplog: pytest.LogCaptureFixture) -> None:
    manager = make({"a": FAKE})
    watch = Watch(manager.subscribe())
    lease = manager.lease("a", owner="forgetful")
    del lease
    gc.collect()
    watch.until("released", "a")
    assert leases(manager) == 0
    assert "a lease of a (owner: forgetful) was garbage-collected without being released" in caplog.text


def test_a_lease_dropped_while_the_manager_closes_is_not_lost(
    make: MakeManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manager = make({"a": FAKE})
    held = [manager.lease("a")]
    release = Lease.release

    def release_and_drop(lease: Lease) -> None:
        held.clear()
        release(lease)

    monkeypatch.setattr(Lease, "release", release_and_drop)
    manager.cleanup()  # an exception in its thread would be a warning, and so an error
    assert not held
    assert "garbage-collected" not in caplog.text


def test_a_request_dropped_while_waiting_holds_no_lease(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    gate = workshop.hold("load A")
    manager.request_lease("a")
    gate.set()
    watch.until("granted", "a")
    gc.collect()
    watch.until("released", "a")
    assert leases(manager) == 0


def test_a_stream_keeps_its_lease_only_while_it_is_written(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    gate = workshop.hold("write A")
    stream = manager.lease("a").generate(ASK)
    gc.collect()
    assert stream.read() == "I am A."
    assert leases(manager) == 1
    gate.set()
    assert stream.read() is None
    gc.collect()
    watch.until("released", "a")
    assert leases(manager) == 0


def test_an_interrupted_release_can_be_repeated(make: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = make({"a": FAKE})
    lease = manager.lease("a")
    stream = lease.generate(ASK)

    def interrupted(stream: TokenStream) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TokenStream, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lease.release()
    with pytest.raises(ManagerClosed):
        lease.generate(ASK)
    assert leases(manager) == 1, "it may still be writing"
    lease.release()
    assert stream.ended
    assert leases(manager) == 0


def test_a_released_lease_writes_nothing_and_keeps_nothing_alive(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    lease = manager.lease("a")
    lease.release()
    cancel = CancelToken()
    with pytest.raises(ManagerClosed, match="request a new one"):
        lease.generate(ASK, cancel)
    assert cancel._callbacks == {}, "no callback is left on the token"


def test_a_model_whose_entry_was_removed_can_still_be_leased(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    removed = ModelSpec(model_id="gone", type="fake", replies=("Still here.",))
    with manager.lease(removed, next_model=removed) as lease:
        assert lease.spec is removed
        assert "".join(lease.generate(ASK)) == "Still here."
    with pytest.raises(UnknownModel):
        manager.lease("gone")


# -- the familiar methods --------------------------------------------------------------------------------------


def test_the_active_model_is_the_one_named_last(make: MakeManager) -> None:
    manager = make({"a": FAKE, "b": FAKE})
    with pytest.raises(NoActiveModel, match="no model was named"):
        manager.get_response("Hi")
    assert issubclass(NoActiveModel, RuntimeError)
    manager.load_model("a")
    assert manager.active_model is None, "loading alone activates nothing"
    manager.switch_model("a")
    assert manager.get_response("Hi").startswith("This is a")
    assert manager.get_response("Hi", "b").startswith("This is b")
    assert manager.get_response("Hi").startswith("This is b")
    assert manager.generate_response("a", "Hi").startswith("This is a")
    assert manager.active_model == "a"


def test_the_active_model_stays_when_another_cannot_be_loaded(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    manager.switch_model("a")
    workshop.failing["load B"] = [LoadFailed("broken")]
    with pytest.raises(LoadFailed):
        manager.switch_model("b")
    with pytest.raises(UnknownModel):
        manager.switch_model("c")
    assert manager.get_response("Hi") == "I am A."


def test_sessions_share_weights_but_not_the_active_model(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    first, second = manager.session("first"), manager.session("second")
    first.switch_model("a")
    second.switch_model("b")
    assert (first.get_response("Hi"), second.get_response("Hi")) == ("I am A.", "I am B.")
    assert manager.active_model is None
    assert second.get_response("Hi", "a") == "I am A."
    assert workshop.count("load A") == 1


def test_an_unknown_model_is_a_value_error_that_names_the_known_ones(make: MakeManager) -> None:
    manager = make({"a": FAKE, "b": FAKE})
    calls: list[Callable[[str], object]] = [
        manager.load_model,
        manager.switch_model,
        manager.unload_model,
        manager.lease,
        lambda name: manager.get_response("Hi", name),
        lambda name: manager.stream_response("Hi", name),
        lambda name: manager.lease("a", next_model=name),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"model 'c' is not registered \(registered: a, b\)") as caught:
            call("c")
        assert type(caught.value) is UnknownModel
    assert manager.active_model is None
    assert leases(manager) == 0


def test_a_handle_leases_per_call_and_outlives_an_unload(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    handle = manager.load_model("a")
    assert leases(manager) == 0
    manager.unload_model("a")
    watch.until("state", "a", State.COLD)
    assert handle.get_response("Hi") == "I am A."
    assert "".join(handle.stream_response("Hi")) == "I am A."
    assert workshop.count("load A") == 2
    assert manager.active_model is None, "a handle activates nothing"


def test_generation_settings_are_checked_before_anything_is_loaded(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    with pytest.raises(ConfigError, match="model 'a': generation settings: key 'temprature': unknown key"):
        manager.get_response("Hi", "a", temprature=1)
    with pytest.raises(ConfigError, match="key 'top_p'"):
        manager.stream_response("Hi", "a", top_p=2)
    assert workshop.log == []


def test_unloading_what_is_not_loaded_does_nothing(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    manager.unload_model("a")
    assert workshop.log == []


def test_list_models_describes_every_model(make: MakeManager) -> None:
    entry = {**FAKE, "model_name": "fake-7b", "size_bytes": 5, "label": "Fake", "license": "MIT", "size": "7B"}
    manager = make({"a": entry, "b": FAKE})
    with manager.lease("a"):
        listed = manager.list_models()
    assert listed["a"] == {
        "model_name": "fake-7b",
        "type": "fake",
        "is_loaded": True,
        "state": "resident",
        "device": "cpu",
        "leases": 1,
        "bytes": 5,
        "label": "Fake",
        "license": "MIT",
        "size": "7B",
        "pinned": False,
    }
    assert (listed["b"]["is_loaded"], listed["b"]["state"], listed["b"]["bytes"]) == (False, "cold", 0)


def test_registering(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    watch = Watch(manager.subscribe())
    manager.register_model("b", {**FAKE, "replies": ["New."]})
    assert watch.until("registered").model_ids == ("b",)
    manager.register_model("b", {**FAKE, "replies": ["New."]})
    assert manager.get_response("Hi", "b") == "New."
    with pytest.raises(ConfigError, match="model 'b' is already registered with other settings"):
        manager.register_model("b", {**FAKE, "replies": ["Other."]})
    with pytest.raises(ConfigError, match="model 'c': key 'replise': unknown key"):
        manager.register_model("c", {**FAKE, "replise": []})
    assert list(manager.list_models()) == ["a", "b"]


def test_unsupported_types_are_refused_at_once_and_new_ones_can_be_added(make: MakeManager, tmp_path: Path) -> None:
    entry = {"type": "teapot", "model_name": "x"}
    with pytest.raises(UnsupportedType, match=r"model 'a': key 'type': 'teapot' is not supported \(known: .*fake"):
        LLMManager({"a": entry}, cache_dir=tmp_path)
    manager = make({"a": FAKE})
    with pytest.raises(ValueError, match="teapot"):
        manager.register_model("b", entry)
    with pytest.raises(UnknownModel):
        manager.load_model("b")


def test_a_backend_without_its_package_says_what_to_install(make: MakeManager) -> None:
    def broken(spec: ModelSpec, cache_dir: Path) -> Any:
        raise ModuleNotFoundError("No module named 'exotic.parts'", name="exotic.parts")

    register_backend("broken", broken)
    manager = make({"a": {"type": "broken", "model_name": "x"}})
    with pytest.raises(MissingPackage, match="'exotic' is not installed; run: pip install exotic"):
        manager.load_model("a")


def test_a_backend_whose_module_lacks_a_package_is_refused_with_what_to_run(
    make: MakeManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lacking_backend.py").write_text("import transformers_of_tomorrow\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(base._FACTORIES, "lacking", "lacking_backend:Model")
    manager = make({"a": {"type": "lacking", "model_name": "owner/model"}})
    with pytest.raises(MissingPackage, match=r"'transformers_of_tomorrow' is not installed; run: pip install "):
        manager.load_model("a")


def test_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("echo: {type: fake, replies: [Hello!]}\n")
    with LLMManager.from_yaml(path, max_loaded_models=1, cache_dir=tmp_path) as manager:
        assert manager.get_response("Hi", "echo") == "Hello!"
        assert manager.snapshot().devices[0].max_loaded == 1


# -- the end ---------------------------------------------------------------------------------------------------


def test_cleanup_ends_everything(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B"), "c": bench("C")})
    watch = Watch(manager.subscribe())
    workshop.hold("write A")
    workshop.hold("load B")
    lease = manager.lease("a")
    stream = lease.generate(ASK)
    loading = manager.request_lease("b")
    watch.until("state", "b", State.LOADING)
    queued = manager.request_lease("c")
    manager.cleanup()
    manager.cleanup()
    assert stream.ended
    for request in (loading, queued):
        with pytest.raises(ManagerClosed):
            request.wait(SECONDS)
    with pytest.raises(ManagerClosed, match="closed"):
        manager.get_response("Hi", "a")
    assert [state(manager, name) for name in "abc"] == ["cold", "cold", "cold"]
    assert workshop.count("unload A") == 1
    assert leases(manager) == 0
    assert not {t.name for t in threading.enumerate()} & {"loader", "manager clock", "lost leases"}
    lease.release()


@pytest.mark.parametrize(("settings", "left"), [({}, "cold"), ({"base_url": "http://elsewhere"}, "resident")])
def test_cleanup_waits_for_leases_that_others_are_giving_back(
    make: MakeManager, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], left: str
) -> None:
    manager = make({"a": bench("A", **settings)})
    lease = manager.lease("a")
    begun, go_on = threading.Event(), threading.Event()
    give_back = lease._release

    def late() -> None:
        begun.set()
        assert go_on.wait(SECONDS)
        give_back()

    wait_for = manager._core._changed.wait_for
    over: list[bool] = []

    def waiting(changed: Callable[[], bool], patience: float) -> bool:
        over.append(changed())
        go_on.set()
        return wait_for(changed, patience)

    monkeypatch.setattr(lease, "_release", late)
    monkeypatch.setattr(manager._core._changed, "wait_for", waiting)
    with ThreadPoolExecutor(1) as pool:
        releasing = pool.submit(lease.release)
        assert begun.wait(SECONDS)
        manager.cleanup()
        releasing.result(SECONDS)
    assert over[0] is False, "cleanup waits for the last lease"
    assert leases(manager) == 0
    assert state(manager, "a") == left


def test_the_manager_is_a_context(workshop: Workshop, tmp_path: Path) -> None:
    with LLMManager({"a": bench("A")}, cache_dir=tmp_path) as manager:
        manager.load_model("a")
    assert workshop.log == ["prepare A", "load A", "unload A"]
    with pytest.raises(ManagerClosed):
        manager.load_model("a")


def test_errors_have_the_bases_that_callers_know() -> None:
    assert issubclass(UnknownModel, ValueError)
    assert issubclass(UnsupportedType, ValueError)
    assert issubclass(ModelUnavailable, RuntimeError)
    assert issubclass(GenerationFailed, RuntimeError)


def test_a_lease_is_what_request_lease_becomes(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    request = manager.request_lease("a", owner="x")
    lease = request.wait(SECONDS)
    assert isinstance(lease, Lease)
    assert lease.spec.model_id == "a"
    lease.release()


def test_announced_weights_outlast_unwanted_ones() -> None:
    """Without the announcement, x would leave: it was used before y."""
    for announced, stays in ((None, "y"), ("x", "x")):
        with LLMManager({name: {"type": "fake"} for name in "xyz"}, max_loaded_models=2) as manager:
            for model in "xy":
                manager.lease(model).release()
            if announced:
                manager.announce("somebody", announced)
            manager.lease("z").release()
            loaded = {name for name, about in manager.list_models().items() if about["is_loaded"]}
            assert loaded == {stays, "z"}


def test_an_announcement_is_forgotten() -> None:
    with LLMManager({name: {"type": "fake"} for name in "xyz"}, max_loaded_models=2) as manager:
        for model in "xy":
            manager.lease(model).release()
        manager.announce("somebody", "x")
        manager.forget("somebody")
        manager.lease("z").release()
        assert not manager.list_models()["x"]["is_loaded"]
        with pytest.raises(UnknownModel):
            manager.announce("somebody", "none")
