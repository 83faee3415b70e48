"""The transformers backend on tiny random models: checks before loading, loading, and what unloading leaves."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import sizing
from manager.backends.local.identification import digest_of, remembered_digest
from manager.cancel import CancelToken
from manager.config.model_spec import GenerationConfig, parse_spec
from manager.errors import (
    Cancelled,
    CannotFit,
    ContextTooLong,
    LoadFailed,
    MissingPackage,
    ModelUnavailable,
    OutOfMemory,
    ParleyError,
    Refused,
    WeightsNotFound,
)
from manager.generation.forward import packed
from manager.generation.forward.flat import FlatRunner
from manager.generation.request import GenerationRequest, as_messages
from manager.generation.stream import TokenStream
from manager.identity import Identity
from tests.unit.manager.conftest import CACHE, SECONDS, MakeManager, byte_tokenizer, tiny_model

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(tied=True).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved model, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def wrapper(name: Path | str, **settings: Any) -> HuggingFaceModelWrapper:
    spec = parse_spec("tiny", {"model_name": str(name), "device": "cpu", **settings})
    return HuggingFaceModelWrapper(spec, CACHE)


def silent(stage: str, done: int, total: int) -> None:
    pass


def ask(model: HuggingFaceModelWrapper, prompt: str = "Hi", seed: int = 1) -> TokenStream:
    stream = TokenStream()
    model.generate(GenerationRequest(as_messages(prompt), GenerationConfig(max_new_tokens=16), seed), stream)
    return stream


def drop_tensor(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


# -- loading ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("faster", [True, False])
@pytest.mark.parametrize(("dtype", "size"), [("auto", 4), ("float32", 4), ("float16", 2), ("bfloat16", 2)])
def test_what_is_announced_is_what_is_loaded(
    tmp_path: Path, tied: bool, faster: bool, dtype: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_is_faster", lambda: faster)
    original = tiny_model(tied=tied)
    original.save_pretrained(tmp_path / "m")
    byte_tokenizer().save_pretrained(tmp_path / "m")
    model = wrapper(tmp_path / "m", dtype=dtype)
    footprint = model.prepare(silent)
    loaded = model.load(silent)
    assert footprint.device == "cpu"
    assert footprint.bytes == loaded
    buffers = sum(buffer.numel() * 4 for buffer in original.buffers())  # rotary frequencies stay in float32
    packs = packed.packs("cpu", torch.float32 if dtype == "auto" else getattr(torch, dtype))
    head = original.lm_head.weight.numel() * size if tied and packs else 0  # once packed, it shares nothing
    assert loaded == sum(p.numel() for p in original.parameters()) * size + buffers + head
    model.unload()


def test_tied_weights_are_counted_once(saved: Path) -> None:
    model = wrapper(saved)
    assert wrapper(saved).prepare(silent).bytes < sizing.module_bytes(tiny_model(tied=False))
    model.prepare(silent)
    model.load(silent)
    assert model._engine is not None
    inside = model._engine.model
    assert inside.lm_head.weight is inside.model.embed_tokens.weight
    model.unload()


def test_what_was_saved_is_what_writes(saved: Path) -> None:
    model = wrapper(saved)
    model.prepare(silent)
    model.load(silent)
    assert model._engine is not None
    for name, tensor in tiny_model(tied=True).state_dict().items():
        assert torch.equal(model._engine.model.state_dict()[name], tensor)
    first, second = ask(model), ask(model)
    assert "".join(first) == "".join(second) != ""
    model.unload()


def test_weights_in_a_folder_are_identified_by_their_digest_and_not_by_its_path(folder: Path) -> None:
    model = wrapper(folder, dtype="float32")
    model.prepare(silent)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert model.identity == Identity(model_name="tiny", sha256=digest, dtype="float32", device="cpu")
    changed = bytearray((folder / "model.safetensors").read_bytes())
    changed[-1] ^= 1
    (folder / "model.safetensors").write_bytes(changed)
    model.prepare(silent)
    assert model.identity.sha256 == hashlib.sha256(changed).hexdigest(), "a changed file has another digest"


def test_the_digest_of_several_files_depends_on_each(tmp_path: Path) -> None:
    parts = [tmp_path / "model-1.safetensors", tmp_path / "model-2.safetensors"]
    for number, path in enumerate(parts):
        path.write_bytes(bytes([number]))
    whole = digest_of(parts, tmp_path)
    assert re.fullmatch("[0-9a-f]{64}", whole)
    assert digest_of(reversed(parts), tmp_path) == whole
    parts[1].write_bytes(b"other")
    assert digest_of(parts, tmp_path) != whole


def test_a_cache_that_cannot_be_used_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "digests").write_text("a file where a folder should be")
    (tmp_path / "weights").write_bytes(b"weights")
    assert remembered_digest(tmp_path / "weights", tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_progress_of_a_load_ends_at_all_bytes(saved: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    model = wrapper(saved)
    size = model.prepare(silent).bytes
    model.load(lambda *report: seen.append(report))
    assert {stage for stage, _, _ in seen} == {"loading"}
    assert {total for _, _, total in seen} == {size}
    done = [done for _, done, _ in seen]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert done[-1] == size
    model.unload()


def test_the_thread_that_computed_a_load_ends_with_it(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(packed, "pack", lambda *_: threads.append(threading.current_thread()))
    model = wrapper(saved)
    model.prepare(silent)
    model.load(silent)
    assert len(threads) == 1
    assert not threads[0].is_alive()
    model.unload()


def test_a_load_that_nobody_wants_is_stopped_and_leaves_nothing(saved: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if 0 < done < total:
            raise Cancelled("nobody waits")

    model = wrapper(saved)
    model.prepare(silent)
    with pytest.raises(Cancelled):
        model.load(stop)
    with pytest.raises(LoadFailed, match="is not loaded"):
        ask(model)
    model.load(silent)
    assert "".join(ask(model)) != ""
    model.unload()


# -- unloading -------------------------------------------------------------------------------------------------


def test_unloading_frees_the_model(saved: Path) -> None:
    model = wrapper(saved)
    model.prepare(silent)
    model.load(silent)
    list(ask(model))
    with pytest.raises(ContextTooLong):
        list(ask(model, "x" * 500))
    assert model._engine is not None
    alive = weakref.ref(model._engine.model)
    assert model.unload() == 0
    assert alive() is None
    assert model.unload() == 0, "the second time, too"
    with pytest.raises(LoadFailed, match="is not loaded"):
        ask(model)


def test_unloading_while_it_writes_ends_the_stream(saved: Path) -> None:
    model = wrapper(saved)
    model.prepare(silent)
    model.load(silent)
    assert model._engine is not None
    begun, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    model._engine.model.register_forward_pre_hook(hold)
    stream = ask(model)
    assert begun.wait(SECONDS)
    stream.cancel_token.on_cancel(go_on.set)
    stream.cancel_token.cancel()
    assert model.unload() == 0
    assert stream.ended


def test_what_does_not_go_away_is_reported_as_leaked(saved: Path) -> None:
    model = wrapper(saved)
    model.prepare(silent)
    size = model.load(silent)
    assert model._engine is not None
    held = model._engine.model
    assert model.unload() == size
    assert held is not None


def test_a_model_may_be_loaded_again(saved: Path) -> None:
    model = wrapper(saved)
    model.prepare(silent)
    texts = []
    for _ in range(2):
        model.load(silent)
        texts.append("".join(ask(model)))
        model.unload()
    assert texts[0] == texts[1]


# -- found out before anything is loaded -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "~/nowhere"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(WeightsNotFound, match="no such folder; write its path or a Hub repository"):
        wrapper(name).prepare(silent)


def test_a_folder_without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(WeightsNotFound, match=r"no config\.json, so this is not a transformers model"):
        wrapper(folder).prepare(silent)


@pytest.mark.parametrize("config", ["{", '{"model_type": "teapot"}', "[]", "{}"])
def test_a_config_that_cannot_be_read(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(Refused, match=r"tiny: transformers [\d.]+ cannot read this model"):
        wrapper(folder).prepare(silent)


def test_a_model_that_does_not_write(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(Refused, match="has no text model of type 'vit'"):
        wrapper(folder).prepare(silent)


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsNotFound, match=r"model\.safetensors: no such file"):
        wrapper(folder).prepare(silent)


def test_a_folder_with_some_of_its_weights(folder: Path) -> None:
    shutil.rmtree(folder)
    tiny_model().save_pretrained(folder, max_shard_size="30KB")
    byte_tokenizer().save_pretrained(folder)
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    model = wrapper(folder)
    model.prepare(silent)
    model.load(silent)
    model.unload()
    shards[0].unlink()
    with pytest.raises(WeightsNotFound, match=rf"{shards[0].name}: no such file"):
        wrapper(folder).prepare(silent)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_damaged_weights(folder: Path, damage: str) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-100], "empty": b"", "noise": b"\xff" * 1000}[damage])
    with pytest.raises(Refused, match=r"model\.safetensors: damaged \(.*\); delete it and fetch the model again"):
        wrapper(folder).prepare(silent)


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "tpu", "meta"])
def test_a_device_that_is_not_there(saved: Path, device: str) -> None:
    with pytest.raises(Refused, match=rf"key 'device': '{device}' is not on this machine, which has: .*cpu"):
        wrapper(saved, device=device).prepare(silent)


def test_a_tokenizer_that_cannot_be_read(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.write_text("{")
    with pytest.raises(Refused, match="tiny: its tokenizer cannot be read"):
        wrapper(folder).prepare(silent)


def test_a_folder_without_a_tokenizer_says_which_files_are_missing(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(Refused, match=r"tiny: no tokenizer; copy tokenizer\.json and tokenizer_config\.json \(or"):
        wrapper(folder).prepare(silent)


@pytest.mark.parametrize(("name", "package"), [("tokenizer.model", "sentencepiece"), ("tekken.json", "mistral-common")])
def test_a_folder_with_a_tokenizer_that_needs_a_package_names_the_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (folder / "tokenizer.json").rename(folder / name)
    find_spec = importlib.util.find_spec
    module = package.replace("-", "_")
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == module else find_spec(wanted))
    message = rf"its only tokenizer file, {re.escape(name)}, needs the package {package}; run: pip install {package}"
    with pytest.raises(MissingPackage, match=message):
        wrapper(folder).prepare(silent)


def test_an_index_that_cannot_be_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(Refused, match=r"index\.json: damaged"):
        wrapper(folder).prepare(silent)


def test_an_adapter_that_does_not_come_with_parley_says_so(saved: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"'shipped:nothing' has no adapter_config\.json, so it is not a PEFT"):
        wrapper(saved, adapters=["shipped:nothing"]).prepare(silent)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"quantization": "int4"}, Refused, "'int4' is unknown; write one of bitsandbytes-8bit, bitsandbytes-4bit, "),
        ({"quantization": "torchao-int4"}, Refused, "'torchao-int4' does not run on 'cpu', only on cuda"),
        (
            {"quantization": "torchao-int8"},
            MissingPackage,
            "'torchao-int8' needs the package torchao; run: pip",
        ),
        ({"quantization": "bitsandbytes-4bit"}, MissingPackage, "needs the package bitsandbytes; run: pip install"),
    ],
)
def test_what_needs_a_package_or_device_says_so(
    saved: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], kind: type[ParleyError], message: str
) -> None:
    find_spec = importlib.util.find_spec
    missing = {"torchao", "bitsandbytes"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find_spec(name))
    with pytest.raises(kind, match=re.escape(message)):
        wrapper(saved, **settings).prepare(silent)


# -- found out while loading -----------------------------------------------------------------------------------


def test_incomplete_weights_are_not_filled_with_random_numbers(folder: Path) -> None:
    drop_tensor(folder, "model.layers.1.mlp.up_proj.weight")
    model = wrapper(folder)
    model.prepare(silent)
    with pytest.raises(LoadFailed, match=r"1 tensors are missing \(model\.layers\.1\.mlp\.up_proj\.weight"):
        model.load(silent)


def test_weights_that_the_model_does_not_know_are_not_left_out(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "model.layers.7.mlp.up_proj.weight": torch.zeros(4)}, path, metadata={"format": "pt"})
    model = wrapper(folder)
    model.prepare(silent)
    message = r"1 tensors are unknown to the model's architecture \(model\.layers\.7\.mlp\.up_proj\.weight"
    with pytest.raises(LoadFailed, match=message):
        model.load(silent)


@pytest.mark.parametrize("stored", ["lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"])
def test_tied_weights_and_harmless_tensors_may_be_stored_as_well(tmp_path: Path, stored: str) -> None:
    tiny_model(tied=True).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    assert "lm_head.weight" not in tensors
    extra = tensors["model.embed_tokens.weight"].clone() if stored == "lm_head.weight" else torch.ones(4)
    save_file({**tensors, stored: extra}, path, metadata={"format": "pt"})
    model = wrapper(tmp_path)
    model.prepare(silent)
    assert model.load(silent) > 0
    model.unload()


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))
    model = wrapper(folder)
    model.prepare(silent)
    with pytest.raises(LoadFailed, match="tiny'"):
        model.load(silent)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory), (RuntimeError("odd"), LoadFailed)],
)
def test_a_failed_load_keeps_nothing_alive_even_while_its_error_is_held(
    saved: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[ModelUnavailable]
) -> None:
    loaded: list[weakref.ref[Any]] = []
    from_pretrained = AutoModelForCausalLM.from_pretrained

    def break_late(*args: Any, **kwargs: Any) -> Any:
        model, _ = from_pretrained(*args, **kwargs)
        loaded.append(weakref.ref(model))
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", break_late)
    model = wrapper(saved)
    model.prepare(silent)
    gc.disable()
    try:
        with pytest.raises(kind) as held:
            model.load(silent)
        error.__traceback__ = None  # the test's own reference
        assert [ref() for ref in loaded] == [None]
    finally:
        gc.enable()
    assert held.value.__context__ is None


def test_running_out_of_memory_on_the_way_to_the_device(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[torch.nn.Module]] = []

    def full(module: torch.nn.Module, *_: object) -> None:
        loaded.append(weakref.ref(module))
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = wrapper(saved)
    model.prepare(silent)
    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(OutOfMemory, match=r"device 'cpu' ran out of memory while loading '.*tiny'") as held:
        model.load(silent)
    assert [ref() for ref in loaded] == [None]
    assert held.value.__context__ is None


# -- through the manager ---------------------------------------------------------------------------------------


def test_a_model_in_a_folder_answers_through_the_manager(make: MakeManager, saved: Path) -> None:
    entry = {"model_name": str(saved), "device": "cpu", "generation_config": {"max_new_tokens": 8}}
    manager = make({"one": entry, "two": {**entry, "generation_config": {"max_new_tokens": 3}}})
    found = wrapper(saved).prepare(silent)
    assert manager.get_response("Hi", "one", seed=1, temperature=0) == manager.get_response("Hi", seed=2, temperature=0)
    with manager.lease("two") as lease:
        list(lease.generate(GenerationRequest(as_messages("Hi"), lease.spec.generation_config)))
    (row,) = manager.snapshot().weights
    size = found.bytes + found.working
    assert (row.bytes, row.cache, row.need, row.model_ids) == (size, found.allowance, size, ("one", "two"))
    (device,) = manager.snapshot().devices
    assert device.bytes == size + found.allowance
    assert device.budget is not None
    schema = {"type": "array", "items": {"enum": [1, 2]}, "minItems": 3, "maxItems": 3}
    assert set(json.loads(manager.get_response("Hi", "one", schema=schema, max_new_tokens=50))) <= {1, 2}


@pytest.mark.parametrize("phase", ["before", "reading", "writing", "unread"])
def test_cancelling_in_any_phase_gives_the_lease_and_the_memory_back(
    make: MakeManager, saved: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    passes, cancel = 0, CancelToken()
    run = FlatRunner.run

    def watched(self: FlatRunner, parts: Any) -> torch.Tensor:
        nonlocal passes
        passes += 1
        if passes == {"reading": 1, "writing": 5}.get(phase):
            cancel.cancel()
        return run(self, parts)

    manager = make({"one": {"model_name": str(saved), "device": "cpu"}})
    held = manager.get_response("Hi", "one", max_new_tokens=2)
    monkeypatch.setattr(FlatRunner, "run", watched)
    lease = manager.lease("one")
    request = GenerationRequest(
        as_messages(held * 20), lease.spec.generation_config.model_copy(update={"max_new_tokens": 400}), seed=1
    )
    if phase == "before":
        cancel.cancel()
    stream = lease.generate(request, cancel)
    if phase == "unread":
        stream.close()
    else:
        with pytest.raises(Cancelled):
            list(stream)
    lease.release()
    (row,) = manager.snapshot().weights
    assert row.leases == 0
    assert passes < 400
    monkeypatch.undo()
    assert manager.get_response("Hi", "one", max_new_tokens=2)


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ({"model_name": "/no/such/folder"}, WeightsNotFound, "no such folder"),
        ({"model_name": "damaged"}, Refused, "damaged"),
        ({"device": "cuda:99"}, Refused, "is not on this machine"),
        ({"quantization": "int3"}, Refused, "is unknown"),
        ({"gguf_file": "none.gguf"}, WeightsNotFound, "no such file"),
        ({"dtype": "float16"}, CannotFit, "but device 'cpu' has room for 1 models and 0.00 GB"),
    ],
)
def test_the_old_weights_stay_when_the_new_ones_cannot_work(
    make: MakeManager, saved: Path, folder: Path, settings: dict[str, Any], kind: type[ParleyError], says: str
) -> None:
    (folder / "model.safetensors").write_bytes(b"")
    settings = {"model_name": str(saved), "device": "cpu", **settings}
    if settings["model_name"] == "damaged":
        settings["model_name"] = str(folder)
    manager = make({"old": {"type": "fake", "replies": ["still here"]}, "new": settings}, 1, budgets={"cpu": 1_000_000})
    manager.load_model("old")
    with pytest.raises(kind, match=re.escape(says)):
        manager.load_model("new")
    assert manager.list_models()["old"]["is_loaded"]
    assert manager.get_response("Hi", "old") == "still here"


def test_auto_and_the_device_that_it_means_are_the_same_weights(
    make: MakeManager, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    manager = make({"one": {"model_name": str(saved)}, "two": {"model_name": str(saved), "device": "cpu"}})
    manager.load_model("one")
    assert manager.list_models()["two"]["is_loaded"]
    (row,) = manager.snapshot().weights
    assert row.model_ids == ("one", "two")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Lets each torch operation run on its own thread alone: many at once would only stand in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Entries of three models that write differently, two of them with tied weights."""
    entries: dict[str, dict[str, Any]] = {}
    for seed, name in enumerate("abc"):
        folder = tmp_path_factory.mktemp("three") / name
        tiny_model(seed=seed, tied=name != "c").save_pretrained(folder)
        byte_tokenizer().save_pretrained(folder)
        entries[name] = {"model_name": str(folder), "device": "cpu", "generation_config": {"max_new_tokens": 24}}
    return entries


@pytest.mark.usefixtures("one_thread")
def test_a_model_writes_the_same_while_others_come_and_go(make: MakeManager, three: dict[str, dict[str, Any]]) -> None:
    manager = make(three, 2)
    alone = manager.get_response("Hi", "a", seed=1)
    stop = threading.Event()

    def come_and_go() -> int:
        swaps = 0
        while not stop.is_set():
            manager.session("other").get_response("Hi", "bc"[swaps % 2], max_new_tokens=2)
            swaps += 1
        return swaps

    with ThreadPoolExecutor(1) as pool, manager.lease("a") as lease:
        swapping = pool.submit(come_and_go)
        request = GenerationRequest(as_messages("Hi"), lease.spec.generation_config, 1)
        texts = {"".join(lease.generate(request)) for _ in range(4)}
        stop.set()
        assert swapping.result(SECONDS) > 1
    assert texts == {alone}


@pytest.mark.usefixtures("one_thread")
def test_many_threads_on_one_slot_leave_every_model_whole(make: MakeManager, three: dict[str, dict[str, Any]]) -> None:
    manager = make(three, 1)
    expected = {name: manager.get_response("Hi", name, seed=1) for name in three}
    assert len(set(expected.values())) == 3

    def speak(number: int) -> list[bool]:
        session = manager.session(f"session {number}")
        names = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")][number % 4]
        return [session.get_response("Hi", name, seed=1) == expected[name] for name in names]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(speak, range(8))) == [[True] * 2] * 8
    assert sum(row.leases for row in manager.snapshot().weights) == 0


# -- memory ----------------------------------------------------------------------------------------------------

MEASURED = """
import sys
from pathlib import Path
import psutil
from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import parse_spec

def resident():
    return psutil.Process().memory_info().rss

folder = Path(sys.argv[1])
model = HuggingFaceModelWrapper(parse_spec("m", {"model_name": str(folder), "device": "cpu"}), folder / "cache")
expected = model.prepare(lambda *_: None).bytes
before = resident()
model.load(lambda *_: None)
loaded = resident()
model.unload()
print(expected, loaded - before, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
def test_the_process_grows_by_the_announced_memory_and_shrinks_again(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=259, hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, num_attention_heads=8
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    expected, loaded, unloaded = map(int, done.stdout.split())
    assert expected > 190e6
    assert expected * 2 / 3 < loaded < expected * 4 / 3, "within a third, also after its layers were packed"
    assert unloaded < expected / 3
