"""The manager's status: events without gaps, matching snapshots, and subscribers that delay no one."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manager.core import Core
from manager.errors import LoadFailed, ModelUnavailable, Refused
from manager.manager import LLMManager
from manager.state import LoadProgress, State
from manager.status.snapshot import Heartbeat, Resync, Snapshot, StatusEvent, Subscription
from tests.unit.manager.conftest import SECONDS, Clock, MakeManager, Watch, Workshop, bench

FAKE = {"type": "fake"}


class Source:
    """What a manager is to a subscription: it numbers events and takes snapshots."""

    def __init__(self) -> None:
        self.version = 0
        self.snapshots = 0

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        return Snapshot(version=self.version, at=0.0, weights=(), devices=(), queue=())

    def subscribe(self, capacity: int) -> Subscription:
        return Subscription(self.snapshot, capacity, lambda _: None)

    def event(self) -> StatusEvent:
        self.version += 1
        return StatusEvent(number=self.version, at=0.0, kind="granted", weights="w", model_ids=(), state=State.RESIDENT)


def numbers(subscription: Subscription) -> list[int]:
    found = []
    while (event := subscription.get(0)) is not None:
        assert isinstance(event, StatusEvent)
        found.append(event.number)
    return found


# -- one subscription ------------------------------------------------------------------------------------------


def test_events_come_in_order_and_whole() -> None:
    source = Source()
    subscription = source.subscribe(100)
    for _ in range(50):
        subscription.offer(source.event())
    assert numbers(subscription) == list(range(1, 51))


def test_get_returns_none_when_nothing_comes() -> None:
    assert Source().subscribe(1).get(0) is None


def test_one_that_was_overrun_gets_one_resync_and_then_goes_on_without_a_gap() -> None:
    source = Source()
    subscription = source.subscribe(3)
    for _ in range(50):
        subscription.offer(source.event())
    resync = subscription.get(0)
    assert isinstance(resync, Resync)
    assert resync.snapshot.version == 50
    assert subscription.get(0) is None, "one, not many"
    for _ in range(3):
        subscription.offer(source.event())
    assert numbers(subscription) == [51, 52, 53]


def test_a_full_subscription_that_is_not_overrun_loses_nothing() -> None:
    source = Source()
    subscription = source.subscribe(3)
    for _ in range(3):
        subscription.offer(source.event())
    assert numbers(subscription) == [1, 2, 3]


def test_an_overrun_subscription_keeps_nothing() -> None:
    source = Source()
    subscription = source.subscribe(3)
    kept: list[weakref.ref[StatusEvent]] = []
    for _ in range(50):
        event = source.event()
        kept.append(weakref.ref(event))
        subscription.offer(event)
    del event
    assert [ref for ref in kept if ref() is not None] == []
    assert source.snapshots == 0, "a snapshot is taken when it is asked for"


def test_events_offered_while_the_snapshot_is_taken_are_neither_lost_nor_doubled() -> None:
    source = Source()
    subscription: Subscription

    def snapshot() -> Snapshot:
        subscription.offer(source.event())  # numbered before the snapshot, which includes it
        taken = source.snapshot()
        subscription.offer(source.event())  # after it
        return taken

    subscription = Subscription(snapshot, 2, lambda _: None)
    for _ in range(10):
        subscription.offer(source.event())
    resync = subscription.get(0)
    assert isinstance(resync, Resync)
    assert resync.snapshot.version == 11
    assert numbers(subscription) == [12]


def test_one_that_is_overrun_again_while_the_snapshot_is_taken_is_told_again() -> None:
    source = Source()
    subscription: Subscription
    flood = iter([5, 0])

    def snapshot() -> Snapshot:
        taken = source.snapshot()
        for _ in range(next(flood)):
            subscription.offer(source.event())
        return taken

    subscription = Subscription(snapshot, 2, lambda _: None)
    for _ in range(10):
        subscription.offer(source.event())
    first, second = subscription.get(0), subscription.get(0)
    assert isinstance(first, Resync)
    assert isinstance(second, Resync)
    assert (first.snapshot.version, second.snapshot.version) == (10, 15)


def test_closing_wakes_whoever_waits_and_ends_the_iteration() -> None:
    source = Source()
    subscription = source.subscribe(10)
    subscription.offer(source.event())
    got: list[StatusEvent | Resync | Heartbeat] = []
    first = threading.Event()

    def listen() -> None:
        for event in subscription:
            got.append(event)
            first.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert first.wait(SECONDS)
    subscription.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert len(got) == 1
    subscription.close()
    assert subscription.get() is None


# -- a manager's events ----------------------------------------------------------------------------------------


def test_numbers_have_no_gaps_and_every_state_is_seen(make: MakeManager) -> None:
    manager = make(dict.fromkeys("abc", FAKE), 1)
    watch = Watch(manager.subscribe())
    for name in "abcab":
        manager.get_response("Hi", name)
    seen = watch.seen()
    assert [event.number for event in seen] == list(range(1, len(seen) + 1))
    told = [str(event.state) for event in seen if event.kind == "state" and event.model_ids == ("a",)]
    assert told == ["loading", "resident", "draining", "cold", "loading", "resident", "draining", "cold"]
    kinds = [event.kind for event in seen if event.model_ids == ("c",) and event.kind != "progress"]
    assert sorted(kinds) == sorted(["waiting", "state", "state", "granted", "released", "state", "state"])


def test_a_late_subscriber_begins_at_the_version_of_its_snapshot(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    manager.load_model("a")
    watch = Watch(manager.subscribe())
    version = manager.snapshot().version
    manager.load_model("a")
    assert next(event.number for event in watch.seen()) == version + 1
    assert manager.snapshot().version == version + 2


def test_a_cancelled_load_that_is_wanted_again_is_told_as_cold_and_then_loading(
    make: MakeManager, workshop: Workshop
) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    gate = workshop.hold("load A")
    first = manager.request_lease("a")
    watch.until("state", "a", State.LOADING)
    with manager._core.lock:  # the loader cannot report that it stopped before the next request
        first.cancel()
        second = manager.request_lease("a")
    told = [watch.until("state", "a") for _ in range(2)]
    assert [(str(event.state), event.reason) for event in told] == [
        ("cold", "load cancelled: no request was waiting for it"),
        ("loading", "requested"),
    ]
    gate.set()
    lease = second.wait(SECONDS)
    assert lease is not None
    lease.release()


def test_refusals_and_waits_name_reason_and_owner(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A")})
    watch = Watch(manager.subscribe())
    workshop.failing["load A"] = [RuntimeError("broken")]
    gate = workshop.hold("prepare A")
    request = manager.request_lease("a", owner="lane 1")
    assert watch.until("waiting", "a").owner == "lane 1"
    gate.set()
    assert watch.until("refused", "a").reason == "RuntimeError: broken"
    with pytest.raises(RuntimeError):
        request.wait(SECONDS)


def test_a_heartbeat_comes_where_nothing_happens_and_names_the_last_event(make: MakeManager) -> None:
    clock = Clock()
    manager = make({"a": FAKE}, clock=clock, heartbeat_seconds=10)
    manager.load_model("a")
    subscription = manager.subscribe()
    assert subscription.get(0) is None
    clock.now += 10
    with manager._core._changed:
        manager._core._changed.notify_all()
    beat = subscription.get(SECONDS)
    assert isinstance(beat, Heartbeat)
    assert beat.version == manager.snapshot().version
    assert subscription.get(0) is None


def test_heartbeats_cost_a_listener_that_is_gone_nothing() -> None:
    source = Source()
    subscription = source.subscribe(capacity=2)
    for version in range(100):
        subscription.beat(Heartbeat(version, 0.0))
    assert subscription.get(0) == Heartbeat(99, 0.0)
    assert subscription.get(0) is None


def test_what_happened_of_late_is_in_the_snapshot(make: MakeManager) -> None:
    manager = make({"a": {**FAKE, "size_bytes": 3}, "b": FAKE}, 1)
    lease = manager.lease("a", owner="lane 1")
    waiting = manager.request_lease("b", owner="lane 2")
    lease.release()
    assert waiting.wait(SECONDS) is not None
    waiting.cancel()
    entries = manager.snapshot().timeline
    assert [(entry.kind, entry.model_ids) for entry in entries if entry.kind != "wait"] == [
        ("load", ("a",)),
        ("unload", ("a",)),
        ("load", ("b",)),
    ]
    assert [entry.bytes for entry in entries if entry.model_ids == ("a",) and entry.kind != "wait"] == [3, 3]
    assert {entry.owner for entry in entries if entry.kind == "wait"} == {"lane 1", "lane 2"}
    assert all(entry.ended is not None and entry.ended >= entry.begun for entry in entries)


def visible(manager: LLMManager) -> Snapshot:
    """What a snapshot shows, apart from what time alone changes."""
    shown = manager.snapshot()
    queue = tuple(replace(entry, waited=0, expected=None) for entry in shown.queue)
    return replace(shown, at=0, version=0, queue=queue, weights=tuple(r._replace(retry_in=None) for r in shown.weights))


CHANGING: dict[type, tuple[str, ...]] = {
    LLMManager: ("request_lease", "register", "reload", "pin", "unload"),
    Core: ("_release", "_cancel", "_loader_answered", "_loader_progressed"),
}
"""The methods that may change what a snapshot shows."""


def test_every_change_that_can_be_seen_is_told(
    make: MakeManager, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unreported: list[str] = []

    def checked(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: object, *args: Any, **kwargs: Any) -> Any:
            with manager._core.lock:
                before, version = visible(manager), manager.snapshot().version
                result = method(target, *args, **kwargs)
                if visible(manager) != before and manager.snapshot().version == version:
                    unreported.append(f"{name}{args}")
                return result

        return call

    for owner, names in CHANGING.items():
        for name in names:
            monkeypatch.setattr(owner, name, checked(name, getattr(owner, name)))
    manager = make({"a": bench("A", size_bytes=5), "b": bench("B", size_bytes=7)}, 1, budgets={"bench": 9})
    workshop.hold("prepare A")
    watch = Watch(manager.subscribe())
    given_up = manager.request_lease("a")
    watch.until("progress", "a")
    given_up.cancel()
    workshop.open_all()
    workshop.failing = {"prepare B": [Refused("no")], "load A": [LoadFailed("no")], "unload A": [RuntimeError("stuck")]}
    for name in "ab":
        with pytest.raises(ModelUnavailable):
            manager.load_model(name)
    manager.register_model("c", bench("C"))
    for name in "ac":
        with suppress(ModelUnavailable):
            manager.get_response("Hi", name)
    manager.pin("c")
    manager.unload_model("c")
    (tmp_path / "models.yaml").write_text("d: {type: fake}")
    manager.reload(tmp_path / "models.yaml")
    manager.cleanup()
    assert unreported == []


def test_load_progress_is_reported_in_bytes(make: MakeManager) -> None:
    manager = make({"a": {**FAKE, "size_bytes": 1000}})
    watch = Watch(manager.subscribe())
    manager.load_model("a")
    progress = watch.until("progress", "a").progress
    assert progress is not None
    assert (progress.stage, progress.done, progress.total) == ("loading", 0, 1000)
    done = watch.until("progress", "a").progress
    assert done is not None
    assert (done.done, done.fraction) == (1000, 1.0)
    assert watch.until("state", "a", State.RESIDENT).progress is None


def test_fractions_stay_between_nothing_and_all() -> None:
    assert LoadProgress("loading", 5, 10, 1.0).fraction == 0.5
    assert LoadProgress("loading", 12, 10, 1.0).fraction == 1.0
    assert LoadProgress("fetching", 12, 0, 1.0).fraction == 0.0


# -- snapshots -------------------------------------------------------------------------------------------------


def test_a_snapshot_shows_weights_devices_and_queue(make: MakeManager) -> None:
    clock = Clock()
    configs = {"a": {**FAKE, "size_bytes": 6}, "b": {**FAKE, "size_bytes": 7}}
    manager = make(configs, budgets={"cpu": 10}, clock=clock)
    watch = Watch(manager.subscribe())
    with manager.lease("a"):
        first = manager.request_lease("b", owner="x")
        second = manager.request_lease("b")
        watch.until("measured", "b")
        clock.now += 1
        snapshot = manager.snapshot()
        first.cancel()
        second.cancel()
    row = snapshot.of("a")
    assert row is not None
    assert (row.state, row.bytes, row.leases, row.waiting, row.device) == (State.RESIDENT, 6, 1, 0, "cpu")
    (device,) = snapshot.devices
    assert (device.loaded, device.max_loaded, device.bytes, device.budget) == (1, 2, 6, 10)
    assert [(entry.model_id, entry.owner, entry.position) for entry in snapshot.queue] == [
        ("b", "x", 1),
        ("b", None, 2),
    ]
    assert [entry.waited for entry in snapshot.queue] == [1, 1]
    assert snapshot.of("nobody") is None


def test_snapshots_do_not_change(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    before = manager.snapshot()
    manager.load_model("a")
    assert before.version == 0
    assert before.weights[0].state is State.COLD
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.version = 1  # type: ignore[misc]


def test_the_wait_that_is_to_be_expected_shrinks_as_a_load_proceeds(make: MakeManager, workshop: Workshop) -> None:
    manager = make({"a": bench("A"), "b": bench("B")}, 1)
    watch = Watch(manager.subscribe())
    lease = manager.lease("a")
    request = manager.request_lease("b")
    workshop.hold("load B")
    watch.until("waiting", "b")
    while (status := manager.waiting(request)) is not None and status.expected_seconds is None:
        watch.subscription.get(0.01)  # until B was prepared
    assert status is not None
    assert status.state is State.COLD
    waits_for_a_turn = status.expected_seconds or 0.0
    lease.release()
    watch.until("state", "b", State.LOADING)
    status = manager.waiting(request)
    assert status is not None
    assert 0 < (status.expected_seconds or 0.0) < waits_for_a_turn
    request.cancel()


# -- listeners -------------------------------------------------------------------------------------------------


def test_a_slow_subscriber_delays_nobody_and_catches_up(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    slow, quick = manager.subscribe(capacity=5), Watch(manager.subscribe())
    for _ in range(20):
        manager.load_model("a")
    assert len(quick.seen()) >= 40
    resync = slow.get(0)
    assert isinstance(resync, Resync)
    assert resync.snapshot.version == manager.snapshot().version
    manager.load_model("a")
    assert numbers(slow) == [resync.snapshot.version + 1, resync.snapshot.version + 2]


def test_a_subscriber_that_went_away_is_dropped(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    dead = weakref.ref(manager.subscribe())
    gc.collect()
    assert dead() is None
    manager.load_model("a")
    assert len(manager._core.board._subscribers) == 0


def test_cleanup_ends_every_subscription(make: MakeManager) -> None:
    manager = make({"a": FAKE})
    subscription = manager.subscribe()
    manager.load_model("a")
    manager.cleanup()
    assert [event.kind for event in subscription if isinstance(event, StatusEvent)][-2:] == ["state", "state"]


def test_a_subscriber_never_leaves_in_the_midst_of_an_event(make: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = make({"a": FAKE})
    locked: list[bool] = []

    class Subscribers(weakref.WeakSet[Subscription]):
        def discard(self, item: Subscription) -> None:
            locked.append(manager._core.lock._is_owned())  # type: ignore[attr-defined]
            super().discard(item)

    monkeypatch.setattr(manager._core.board, "_subscribers", Subscribers())
    manager.subscribe().close()
    assert locked == [True], "events are sent under the lock, and a set must not change while it is iterated"
