"""Parking real weights through the memory port: weights return unchanged, and all memory is freed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from manager.backends.base import register_backend
from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import devices
from manager.backends.local.devices import DeviceMemory, HostCopy
from manager.backends.local.storages import Remains, held_by, storages_of, total_bytes
from manager.config.model_spec import GenerationConfig, parse_spec
from manager.errors import Cancelled, LoadFailed, OutOfMemory
from manager.generation.request import GenerationRequest, as_messages
from manager.generation.stream import TokenStream
from manager.state import State
from tests.unit.manager.arena import Arena
from tests.unit.manager.conftest import CACHE, MakeManager, Watch, byte_tokenizer, tiny_model

pytestmark = pytest.mark.weights


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models with tied weights, one without."""
    made = {}
    for seed, name in enumerate("abc"):
        made[name] = tmp_path_factory.mktemp("parked") / name
        tiny_model(seed=seed, tied=name != "c").save_pretrained(made[name])
        byte_tokenizer().save_pretrained(made[name])
    return made


@pytest.fixture
def arena() -> Arena:
    return Arena()


def loaded(folder: Path, arena: Arena) -> HuggingFaceModelWrapper:
    spec = parse_spec("m", {"model_name": str(folder), "device": "cpu"})
    model = HuggingFaceModelWrapper(spec, CACHE, lambda device: arena)
    model.prepare(silent)
    model.load(silent)
    return model


def inside(model: HuggingFaceModelWrapper) -> Any:
    assert model._engine is not None
    return model._engine.model


def answer(model: HuggingFaceModelWrapper) -> str:
    stream = TokenStream()
    model.generate(GenerationRequest(as_messages("Hi"), GenerationConfig(max_new_tokens=24), 1), stream)
    return "".join(stream)


def contents(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: tensor.detach().clone() for name, tensor in tensors}


# -- there and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "c"])
def test_what_wakes_is_what_was_parked(folders: dict[str, Path], arena: Arena, name: str) -> None:
    model = loaded(folders[name], arena)
    before, text, size = contents(inside(model)), answer(model), arena.bytes()
    assert model.park() >= size
    assert arena.bytes() == 0
    with pytest.raises(LoadFailed, match="is not loaded"):
        answer(model)
    assert model.wake(silent) == size == arena.bytes()
    after = contents(inside(model))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any("inv_freq" in name for name in after), "buffers that no file holds, too"
    assert answer(model) == text != ""
    assert model.unload() == 0


def test_tied_weights_stay_tied_and_are_copied_once(folders: dict[str, Path], arena: Arena) -> None:
    model = loaded(folders["a"], arena)
    assert arena.bytes() == total_bytes(storages_of(inside(model)))
    model.park()
    model.wake(silent)
    head, embedding = inside(model).lm_head.weight, inside(model).model.embed_tokens.weight
    assert head is embedding
    with torch.no_grad():
        embedding[0, 0] = 7.0
    assert head[0, 0] == 7.0
    assert arena.bytes() == sum({p.untyped_storage()._cdata: p.nbytes for p in storages(model)}.values())
    model.unload()


def storages(model: HuggingFaceModelWrapper) -> list[torch.Tensor]:
    return [*inside(model).parameters(), *inside(model).buffers()]


def test_views_and_tensors_that_are_no_buffers_come_back_too(arena: Arena) -> None:
    module = torch.nn.Linear(4, 4)
    module.plain = torch.arange(6.0)
    module.several = [torch.ones(3), "no tensor"]
    module.half = module.weight.detach()[2:]
    arena.bring(module)
    found = storages_of(module)
    before = [module.plain.clone(), module.several[0].clone(), module.weight.detach().clone()]
    copy = arena.copy_out(found)
    arena.drop(found)
    arena.copy_in(copy, found, lambda done: None)
    assert all(torch.equal(a, b) for a, b in zip(before, [module.plain, module.several[0], module.weight], strict=True))
    assert module.half.untyped_storage()._cdata == module.weight.untyped_storage()._cdata


def test_a_second_parking_copies_nothing(folders: dict[str, Path], arena: Arena) -> None:
    model = loaded(folders["a"], arena)
    text = answer(model)
    for _ in range(3):
        model.park()
        model.wake(silent)
    assert (arena.out, arena.back) == (1, 3)
    assert answer(model) == text
    model.drop()
    assert model.host_bytes == 0
    assert answer(model) == text, "dropping the copy of weights that are there costs them nothing"
    model.unload()


def test_chunks_of_host_memory_are_filled_across_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "CHUNK", 64)
    memory, sizes = DeviceMemory("cpu"), [1, 63, 64, 65, 200, 7]
    there = [torch.randint(0, 256, (size,), dtype=torch.uint8) for size in sizes]
    before = [tensor.clone() for tensor in there]
    blocks = [tensor.untyped_storage() for tensor in there]
    copy = memory.copy_out(blocks)
    assert copy.bytes == 6 * 64 + 16, "400 bytes: whole chunks, then a power of two"
    memory.drop(blocks)
    assert [block.nbytes() for block in blocks] == [0] * 6
    seen: list[int] = []
    memory.copy_in(copy, blocks, seen.append)
    assert all(torch.equal(a, b) for a, b in zip(before, there, strict=True))
    assert seen == sorted(seen)
    assert seen[-1] == 400


def test_nothing_is_copied_for_nothing() -> None:
    assert HostCopy([], pinned=False).bytes == 0
    assert HostCopy([0], pinned=False).bytes == 0


# -- what goes wrong -------------------------------------------------------------------------------------------


def test_waking_without_room_leaves_the_copy_and_nothing_on_the_device(folders: dict[str, Path], arena: Arena) -> None:
    model = loaded(folders["a"], arena)
    text, size = answer(model), arena.bytes()
    host = model.park()
    arena.size = size - 1
    with pytest.raises(OutOfMemory, match=r"ran out of memory while waking '.*a'") as held:
        model.wake(silent)
    assert (arena.bytes(), model.host_bytes) == (0, host)
    assert held.value.__context__ is None
    arena.size = size
    model.wake(silent)
    assert answer(model) == text
    model.unload()


def test_waking_can_be_stopped(folders: dict[str, Path], arena: Arena) -> None:
    model = loaded(folders["a"], arena)
    text = answer(model)
    model.park()

    def stop(stage: str, done: int, total: int) -> None:
        assert (stage, 0 < done <= total) == ("waking", True)
        raise Cancelled("nobody waits")

    with pytest.raises(Cancelled):
        model.wake(stop)
    assert arena.bytes() == 0
    model.wake(silent)
    assert answer(model) == text
    model.unload()


def test_a_device_that_breaks_while_waking_leaves_nothing(folders: dict[str, Path], arena: Arena) -> None:
    model = loaded(folders["a"], arena)
    model.park()

    def broken(done: int) -> None:
        raise RuntimeError("the driver is gone")

    arena.on_transfer = broken
    with pytest.raises(LoadFailed, match=r"waking '.*a': RuntimeError: the driver is gone"):
        model.wake(silent)
    assert (arena.bytes(), model.host_bytes) == (0, 0)
    model.load(silent)
    assert answer(model) != ""
    model.unload()


@pytest.mark.parametrize("how", ["drop", "unload"])
def test_parked_weights_can_be_forgotten(folders: dict[str, Path], arena: Arena, how: str) -> None:
    model = loaded(folders["a"], arena)
    model.park()
    getattr(model, how)()
    gc.collect()
    assert (arena.bytes(), model.host_bytes, model.leaked_bytes) == (0, 0, 0)
    with pytest.raises(LoadFailed):
        answer(model)


# -- what leaks ------------------------------------------------------------------------------------------------


def test_what_is_still_held_counts_as_leaked_until_it_dies(folders: dict[str, Path]) -> None:
    spec = parse_spec("m", {"model_name": str(folders["a"]), "device": "cpu"})
    model = HuggingFaceModelWrapper(spec, CACHE)
    model.prepare(silent)
    size = model.load(silent)
    view = inside(model).model.embed_tokens.weight.detach()[:1]  # a view keeps all of what it looks at
    leaked = view.untyped_storage().nbytes()
    assert 0 < leaked < size
    assert model.unload() == leaked == model.leaked_bytes
    del view
    assert model.leaked_bytes == 0


def test_a_failed_load_says_what_it_left_behind(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, arena: Arena
) -> None:
    kept: list[torch.nn.Module] = []

    def full(self: Arena, module: torch.nn.Module) -> None:
        kept.append(module)
        raise torch.OutOfMemoryError("full")

    spec = parse_spec("m", {"model_name": str(folders["a"]), "device": "cpu"})
    model = HuggingFaceModelWrapper(spec, CACHE, lambda device: arena)
    model.prepare(silent)
    monkeypatch.setattr(Arena, "bring", full)
    with pytest.raises(OutOfMemory):
        model.load(silent)
    assert model.leaked_bytes == total_bytes(storages_of(kept[0]))
    kept.clear()
    gc.collect()
    assert model.leaked_bytes == 0


def test_modules_in_the_frames_of_an_error_are_found() -> None:
    def build() -> None:
        half_built = torch.nn.Linear(8, 8, bias=False)
        assert half_built is not None
        raise ValueError("odd")

    def wrap() -> None:
        try:
            build()
        except ValueError as error:
            raise RuntimeError("outer") from error

    remains = Remains()
    try:
        wrap()
    except RuntimeError as error:
        remains.watch(held_by(error))
        assert remains.bytes == 8 * 8 * 4
    gc.collect()
    assert remains.bytes == 0


# -- through the manager ---------------------------------------------------------------------------------------


@pytest.fixture
def arena_models(arena: Arena) -> Iterator[Arena]:
    register_backend("arena", lambda spec, cache: HuggingFaceModelWrapper(spec, cache, lambda device: arena))
    yield arena
    assert arena.bytes() == 0, "everything was freed"


def entries(folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    settings = {"type": "arena", "device": "cpu", "generation_config": {"max_new_tokens": 16, "temperature": 0}}
    return {name: {"model_name": str(folder), **settings} for name, folder in folders.items()}


def test_models_that_take_turns_on_one_place_are_read_once_and_write_the_same(
    make: MakeManager, arena_models: Arena, folders: dict[str, Path]
) -> None:
    manager = make(entries(folders), 1)
    alone = {name: manager.get_response("Hi", name) for name in folders}
    for _ in range(3):
        assert {name: manager.get_response("Hi", name) for name in folders} == alone
    states = {row.model_ids[0]: row.state for row in manager.snapshot().weights}
    assert states == {"a": State.PARKED, "b": State.PARKED, "c": State.RESIDENT}
    snapshot = manager.snapshot()
    assert arena_models.out == 3, "each was copied out once"
    assert snapshot.parked == sum(row.host for row in snapshot.weights) > 0
    manager.unload_model("a")
    manager.cleanup()
    assert manager.snapshot().parked == 0


def test_a_device_too_small_for_all_parks_by_bytes(
    make: MakeManager, arena_models: Arena, folders: dict[str, Path]
) -> None:
    spec = parse_spec("m", {"model_name": str(folders["c"]), "device": "cpu"})
    need = HuggingFaceModelWrapper(spec, CACHE).prepare(silent)
    budget = 2 * (need.bytes + need.working)
    manager = make(entries(folders), 3, budgets={"cpu": budget})
    for name in "abcab":
        manager.load_model(name)
        (device,) = manager.snapshot().devices
        assert device.bytes <= budget
    assert {row.state for row in manager.snapshot().weights} == {State.PARKED, State.RESIDENT}
    manager.cleanup()


def test_many_callers_and_little_host_memory_change_no_word(
    make: MakeManager, arena_models: Arena, folders: dict[str, Path], together: Any
) -> None:
    spec = parse_spec("m", {"model_name": str(folders["c"]), "device": "cpu"})
    found = HuggingFaceModelWrapper(spec, CACHE).prepare(silent)
    manager = make(entries(folders), 1, parking=int(1.5 * (found.bytes + found.working)))
    alone = {name: manager.get_response("Hi", name) for name in folders}

    def turns(start: int) -> list[str]:
        names = [*folders] * 2
        return [manager.session(f"s{start}").get_response("Hi", names[start % 3 + turn % 3]) for turn in range(4)]

    got = together([lambda start=start: turns(start) for start in range(5)])
    # With room for one copy beside another that is on its way, some are parked, some dropped and some read again.
    assert got == [[alone[([*folders] * 2)[start % 3 + turn % 3]] for turn in range(4)] for start in range(5)]
    assert arena_models.back > 0
    manager.cleanup()
    assert manager.snapshot().parked == 0


def test_a_leak_is_charged_told_and_forgiven_when_it_ends(
    make: MakeManager, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.loading.loader.LEAK_SECONDS", 0.01)
    made: list[HuggingFaceModelWrapper] = []

    def build(spec: Any, cache: Path) -> HuggingFaceModelWrapper:
        made.append(HuggingFaceModelWrapper(spec, cache))
        return made[-1]

    register_backend("leaky", build)
    manager = make({"a": {**entries(folders)["a"], "type": "leaky"}})
    watch = Watch(manager.subscribe())
    manager.load_model("a")
    held = inside(made[0]).model.embed_tokens.weight
    manager.unload_model("a")
    watch.until("state", "a", State.COLD)
    assert manager.snapshot().devices[0].leaked == held.nbytes
    del held
    watch.until("recovered", "a")
    assert manager.snapshot().devices[0].leaked == 0
