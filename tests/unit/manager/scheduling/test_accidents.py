"""Accidents that other model managers have had, as their issue trackers and code record them, replayed on this one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from manager.errors import GenerationFailed, LoadFailed, UnknownModel
from manager.generation.request import GenerationRequest, Grammar, as_messages
from manager.lease import Lease, LeaseRequest
from manager.manager import LLMManager
from manager.state import State
from tests.unit.manager.conftest import SECONDS, Clock, MakeManager, Watch, Workshop, bench, byte_tokenizer, tiny_model

ASK = GenerationRequest(as_messages("Hello"))


def state(manager: LLMManager, model_id: str) -> str:
    return str(manager.list_models()[model_id]["state"])


def granted(request: LeaseRequest) -> Lease:
    lease = request.wait(SECONDS)
    assert lease is not None
    return lease


def tick(manager: LLMManager) -> None:
    """Have the manager look at its clock."""
    manager.forget("nobody")
    with manager._core._changed:
        manager._core._changed.notify_all()


def test_a_model_is_not_evicted_between_its_load_and_its_first_use(make: MakeManager, workshop: Workshop) -> None:
    """Ray Serve's multiplexing: by the time the request ran, another one had evicted the model loaded for it."""
    manager = make({"a": bench("A"), "b": bench("B")}, 1)
    watch = Watch(manager.subscribe())
    gate = workshop.hold("load A")
    first = manager.request_lease("a")
    watch.until("state", "a", State.LOADING)
    others = [manager.request_lease("b") for _ in range(20)]
    gate.set()
    watch.until("state", "a", State.RESIDENT)
    assert workshop.count("unload A") == 0
    lease = granted(first)
    assert "".join(lease.generate(ASK)) == "I am A."
    lease.release()
    for other in others:
        granted(other).release()


def test_an_idle_timer_neither_drops_what_is_held_nor_loads_a_second_copy(
    make: MakeManager, workshop: Workshop
) -> None:
    """A keep-alive that ran out during a long answer unloaded the model, and the next request loaded it once more."""
    clock = Clock()
    manager = make({"a": bench("A", idle_seconds=10)}, clock=clock)
    watch = Watch(manager.subscribe())
    lease = manager.lease("a")
    clock.now += 10_000
    tick(manager)
    with manager.lease("a"):
        assert (workshop.count("load A"), workshop.count("unload A")) == (1, 0)
    assert "".join(lease.generate(ASK)) == "I am A."
    lease.release()
    clock.now += 11
    tick(manager)
    watch.until("state", "a", State.COLD)
    assert (workshop.count("load A"), workshop.count("unload A")) == (1, 1)


def test_two_waiters_do_not_claim_one_victim(make: MakeManager, workshop: Workshop) -> None:
    """Two loads each counted on the room of the same idle model, and together took more than there was."""
    manager = make({name: bench(name, size_bytes=4) for name in "ABCD"}, 9, budgets={"bench": 8})
    held = manager.lease("A")
    manager.load_model("B")
    gate = workshop.hold("unload B")
    watch = Watch(manager.subscribe())
    waiting = {name: manager.request_lease(name) for name in "CD"}
    workshop.wait_for("unload B")
    gate.set()
    first, second = "CD" if "C" in watch.until("state", state=State.RESIDENT).model_ids else "DC"
    lease = granted(waiting[first])
    assert waiting[second].wait(0) is None
    assert workshop.count("unload B") == 1
    assert workshop.most_loaded == 2
    lease.release()
    granted(waiting[second]).release()
    held.release()
    assert workshop.most_loaded == 2


def test_a_drain_is_not_lost_when_the_models_settings_change_meanwhile(make: MakeManager, workshop: Workshop) -> None:
    """A drain was kept as a keep-alive of zero; a request overwrote it, and loads hung while health was green."""
    entry = bench("A", idle_seconds=300)
    manager = make({"a": entry, "b": bench("B")}, 1)
    watch = Watch(manager.subscribe())
    held = manager.lease("a")
    manager.unload_model("a")
    again, other = manager.request_lease("a"), manager.request_lease("b")
    manager.register_model("alias", {**entry, "idle_seconds": 900})
    assert state(manager, "a") == "draining"
    held.release()
    watch.until("state", "a", State.COLD)
    for request in (again, other):
        granted(request).release()
    assert manager.snapshot().queue == ()


def test_requesting_an_unknown_model_acquires_nothing(make: MakeManager) -> None:
    """A semaphore was acquired before the id was looked up, and not released for an unknown one."""
    manager = make({"a": {"type": "fake", "concurrency": 1}}, max_queue=1)
    for _ in range(100):
        for ask in (manager.lease, manager.load_model, manager.unload_model, manager.spec):
            with pytest.raises(UnknownModel):
                ask("unknown")
        with pytest.raises(UnknownModel):
            manager.lease("a", next_model="unknown")
    assert manager.snapshot().queue == ()
    with manager.lease("a", timeout=SECONDS):
        pass


def test_an_exception_that_is_held_does_not_keep_the_memory(make: MakeManager, tmp_path: Path) -> None:
    """Memory stayed taken after unloading, because an exception held the frame that held the model."""
    tiny_model().save_pretrained(tmp_path / "tiny")
    byte_tokenizer().save_pretrained(tmp_path / "tiny")
    manager = make({"a": {"model_name": str(tmp_path / "tiny"), "device": "cpu"}})
    watch = Watch(manager.subscribe())
    broken = GenerationRequest(as_messages("x"), grammar=Grammar(lark="start: ("))
    with pytest.raises(GenerationFailed) as held, manager.lease("a") as lease:
        list(lease.generate(broken))
    assert manager.snapshot().devices[0].bytes > 0
    manager.unload_model("a")
    watch.until("state", "a", State.COLD)
    gc.collect()
    (device,) = manager.snapshot().devices
    assert (device.bytes, device.leaked, device.loaded) == (0, 0, 0)
    assert held.value is not None


def test_writing_counts_as_use(make: MakeManager) -> None:
    """The thesis platform: only loading refreshed recency, so the model that spoke most was the one to go."""
    manager = make({name: {"type": "fake"} for name in "abc"}, 2)
    handle = manager.load_model("a")
    manager.load_model("b")
    handle.get_response("Hi")
    manager.load_model("c")
    assert [state(manager, name) for name in "abc"] == ["resident", "cold", "resident"]


def test_the_old_model_is_not_lost_when_the_new_one_fails(make: MakeManager, workshop: Workshop) -> None:
    """The thesis platform: the old model was dropped before the new one was known to load."""
    manager = make({"old": bench("old"), "new": bench("new")}, 1)
    watch = Watch(manager.subscribe())
    manager.switch_model("old")
    workshop.failing["load new"] = [LoadFailed("broken")]
    with pytest.raises(LoadFailed):
        manager.switch_model("new")
    watch.until("state", "old", State.COLD)
    watch.until("state", "old", State.RESIDENT)
    assert manager.get_response("Hi") == "I am old."


def test_weights_under_two_names_are_freed(make: MakeManager, workshop: Workshop) -> None:
    """The thesis platform: unloading one name left the weights in the memory under the other."""
    manager = make({"one": bench("A", size_bytes=5), "two": bench("A", size_bytes=5)})
    watch = Watch(manager.subscribe())
    manager.load_model("one")
    manager.load_model("two")
    manager.unload_model("two")
    watch.until("state", "one", State.COLD)
    assert manager.snapshot().devices[0].bytes == 0
    assert (workshop.count("load A"), workshop.count("unload A")) == (1, 1)


def test_a_request_that_waits_for_room_does_not_block_those_behind_it(make: MakeManager, workshop: Workshop) -> None:
    """Ollama's one pending loop: a large model that waited for room blocked requests for what was loaded."""
    manager = make({"a": bench("A"), "b": bench("B")}, 1)
    with manager.lease("a"):
        waiting = manager.request_lease("b")
        for _ in range(5):
            with manager.lease("a", timeout=SECONDS) as lease:
                assert "".join(lease.generate(ASK)) == "I am A."
        assert waiting.wait(0) is None
    granted(waiting).release()


def test_a_long_wait_does_not_exceed_the_limit_on_weights(make: MakeManager, workshop: Workshop) -> None:
    """LocalAI: after thirty seconds of waiting for an idle victim, the load went ahead without one."""
    clock = Clock()
    manager = make({"a": bench("A"), "b": bench("B")}, 1, clock=clock)
    watch = Watch(manager.subscribe())
    with manager.lease("a"):
        waiting = manager.request_lease("b")
        watch.until("measured", "b")
        for _ in range(10):
            clock.now += 31
            tick(manager)
        assert workshop.count("load B") == 0
    granted(waiting).release()
    assert workshop.most_loaded == 1


def test_all_methods_can_be_called_concurrently(
    make: MakeManager, workshop: Workshop, together: Callable[[list[Callable[[], Any]]], list[Any]]
) -> None:
    """The thesis platform: only `load_model` held the lock; unloading and listing ran into what was half done."""
    manager = make({name: bench(name) for name in "ABC"}, 2)
    done = threading.Semaphore(0)

    def use(name: str) -> list[str]:
        said = [manager.session(name).get_response("Hi", name) for _ in range(10)]
        done.release()
        return said

    def meddle() -> int:
        count = 0
        while not done.acquire(blocking=False):
            manager.unload_model("ABC"[count % 3])
            manager.list_models()
            manager.snapshot()
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        meddling = pool.submit(meddle)
        said = together([lambda name=name: use(name) for name in "ABC"])  # type: ignore[misc]
        assert meddling.result(SECONDS) > 0
    assert said == [[f"I am {name}."] * 10 for name in "ABC"]
    assert workshop.most_loaded <= 2
