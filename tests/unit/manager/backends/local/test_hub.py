"""Fetching models from a local stand-in for the Hub: files, progress, and the message of each error."""

from __future__ import annotations

import errno
import importlib.util
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import hub
from manager.config.model_spec import parse_spec
from manager.errors import AccessDenied, Cancelled, ParleyError, Refused, Unreachable, WeightsNotFound
from tests.support.hubserver import COMMIT, Hub, point_to, serving_hub
from tests.unit.manager.conftest import CACHE, MakeManager, byte_tokenizer, tiny_model


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving_hub(monkeypatch, tmp_path) as server:
        yield server


def silent(stage: str, done: int, total: int) -> None:
    pass


# -- what comes ------------------------------------------------------------------------------------------------


def test_a_repository_is_fetched_once_with_progress_in_bytes(hub_server: Hub) -> None:
    weights = bytes(range(256)) * 400
    hub_server.files["owner/tiny"] = {"config.json": b"{}", "model.safetensors": weights}
    seen: list[tuple[str, int, int]] = []
    folder = hub.fetch("owner/tiny", None, None, lambda *report: seen.append(report))
    assert (folder / "model.safetensors").read_bytes() == weights
    assert {stage for stage, _, _ in seen} == {"fetching"}
    assert max(done for _, done, _ in seen) == len(weights) + 2
    assert seen[-1][2] == len(weights) + 2
    asked = len(hub_server.asked)
    assert hub.fetch("owner/tiny", None, None, silent) == folder
    assert not any("resolve" in path for path in hub_server.asked[asked:]), "the files are here already"


def test_only_what_a_model_needs_is_fetched_and_nothing_that_could_run(hub_server: Hub) -> None:
    names = ["config.json", "model.safetensors", "tokenizer.model", "chat_template.jinja", "vocab.txt", "merges.txt"]
    others = ["pytorch_model.bin", "modeling_custom.py", "weights.gguf", "README.md", "flax_model.msgpack"]
    others += ["consolidated.safetensors", "original/model.safetensors", "onnx/config.json"]
    hub_server.files["owner/tiny"] = {name: name.encode() for name in names + others}
    folder = hub.fetch("owner/tiny", None, None, silent)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_a_gguf_file_is_fetched_when_it_is_named(hub_server: Hub) -> None:
    names = ["a.gguf", "b.gguf", "q4/c.gguf", "config.json", "model.safetensors"]
    hub_server.files["owner/tiny"] = {name: name.encode() for name in names}
    folder = hub.fetch("owner/tiny", None, "b.gguf", silent)
    assert sorted(path.name for path in folder.iterdir()) == ["b.gguf", "config.json"]
    assert (hub.fetch("owner/tiny", None, "q4/c.gguf", silent) / "q4/c.gguf").is_file()


def test_whether_there_is_anything_to_download_is_known_without_asking(hub_server: Hub, tmp_path: Path) -> None:
    hub_server.files["owner/tiny"] = {"config.json": b"{}", "model.safetensors": b"x"}
    assert hub.is_here(str(tmp_path), None, None)
    assert not hub.is_here("owner/tiny", None, None)
    hub.fetch("owner/tiny", None, None, silent)
    hub_server.asked.clear()
    assert hub.is_here("owner/tiny", None, None)
    assert not hub.is_here("owner/tiny", "other", None)
    assert hub_server.asked == []
    (tmp_path / "hub" / "models--owner--tiny" / "snapshots" / COMMIT / "model.safetensors").unlink()
    assert not hub.is_here("owner/tiny", None, None), "a part is not all"


@pytest.mark.parametrize("name", ["/models/x/q4.gguf", "./q4.GGUF", "owner/model/q4.gguf"])
def test_a_gguf_path_as_model_name_points_to_gguf_file(name: str) -> None:
    with pytest.raises(WeightsNotFound, match="is a GGUF file; write its folder or repository as model_name, and"):
        hub.fetch(name, None, None, silent)


def test_a_folder_is_taken_as_it_is(tmp_path: Path, hub_server: Hub) -> None:
    assert hub.fetch(str(tmp_path), None, None, silent) == tmp_path
    assert hub_server.asked == []


def test_what_was_fetched_is_there_without_the_hub(
    hub_server: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub_server.files["owner/tiny"] = {"config.json": b"{}"}
    folder = hub.fetch("owner/tiny", None, None, silent)
    point_to(nobody(), monkeypatch, tmp_path)
    assert hub.fetch("owner/tiny", None, None, silent) == folder


def nobody() -> str:
    """Return an address without a listener."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


# -- what the Hub says -----------------------------------------------------------------------------------------


def test_a_repository_is_looked_up_without_downloading_it(hub_server: Hub) -> None:
    hub_server.files["owner/tiny"] = {"model.safetensors": b"x", "config.json": b"{}"}
    hub_server.parameters["owner/tiny"] = 135_000_000
    assert hub.look_up("owner/tiny") == hub.Repository(135_000_000, "apache-2.0", gated=False)
    hub_server.files["owner/packed"] = {"q4.gguf": b"x"}
    assert hub.look_up("owner/packed", "q4.gguf") == hub.Repository(None, "apache-2.0", gated=False)
    assert not any("resolve" in path for path in hub_server.asked)


@pytest.mark.parametrize(
    ("name", "file", "kind", "message"),
    [
        ("owner/missing", None, WeightsNotFound, "the Hub has no repository 'owner/missing'"),
        ("owner/walled", None, AccessDenied, "'owner/walled' is gated: accept its terms on the Hub, then set HF_TOKEN"),
        ("owner/down", None, Unreachable, "'owner/down' is not on this machine and cannot be downloaded"),
        ("owner/packed", None, WeightsNotFound, "'owner/packed' holds no safetensors; name one of its GGUF files: q4."),
        ("owner/packed", "q8.gguf", WeightsNotFound, "'owner/packed' has no file 'q8.gguf'; its GGUF files are: q4."),
        ("owner/words", None, WeightsNotFound, "'owner/words' holds no safetensors; pick another repository"),
    ],
)
def test_a_look_up_says_why_a_model_cannot_be_used(
    hub_server: Hub, name: str, file: str | None, kind: type[ParleyError], message: str
) -> None:
    hub_server.files |= {"owner/packed": {"q4.gguf": b"x"}, "owner/words": {"README.md": b"x"}}
    with pytest.raises(kind) as caught:
        hub.look_up(name, file)
    assert str(caught.value).startswith(message)


# -- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "revision", "kind", "message"),
    [
        ("owner/missing", None, WeightsNotFound, "the Hub has no repository 'owner/missing', or HF_TOKEN"),
        ("owner/gated", None, AccessDenied, "'owner/gated' is gated: accept its terms on the Hub, then set HF_TOKEN"),
        ("owner/tiny", "gone", WeightsNotFound, "'owner/tiny' has no revision 'gone'; check the key 'revision'"),
        ("owner/down", None, Unreachable, "'owner/down' is not on this machine and cannot be downloaded"),
        ("owner/down", "v2", Unreachable, "'owner/down' at revision 'v2' is not on this machine"),
        ("a/b/c", None, WeightsNotFound, "the Hub has no repository 'a/b/c'"),
        ("not a name!", None, WeightsNotFound, "the Hub has no repository 'not a name!'"),
    ],
)
def test_each_error_has_a_plain_message(
    hub_server: Hub, name: str, revision: str | None, kind: type[ParleyError], message: str
) -> None:
    hub_server.files["owner/tiny"] = {"config.json": b"{}"}
    with pytest.raises(kind) as caught:
        hub.fetch(name, revision, None, silent)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
    assert type(caught.value) is kind


def test_without_a_network_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    point_to(nobody(), monkeypatch, tmp_path)
    with pytest.raises(Unreachable, match="check the network, or put the files into a folder and name that"):
        hub.fetch("owner/tiny", None, None, silent)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full; free some space there, or set HF_HOME"),
        (RuntimeError("Data processing error: IO Error: No space left on device (os error 28)"), "is full; free"),
        (PermissionError(errno.EACCES, "Permission denied", "/cache/blobs/x"), "is not writable"),
    ],
)
def test_a_full_or_read_only_disk_is_not_mistaken_for_a_network_error(
    hub_server: Hub, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def download(*_: object, **__: object) -> None:
        raise RuntimeError("a file could not be downloaded") from error

    monkeypatch.setattr(hub, "snapshot_download", download)
    with pytest.raises(Refused, match=message) as caught:
        hub.fetch("owner/tiny", None, None, silent)
    assert type(caught.value) is Refused
    assert str(caught.value).startswith("'owner/tiny' cannot be stored: ")


def test_offline_mode_is_respected(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_server.files["owner/tiny"] = {"config.json": b"{}"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unreachable):
        hub.fetch("owner/tiny", None, None, silent)
    assert hub_server.asked == []


def test_a_download_that_nobody_wants_is_stopped(hub_server: Hub) -> None:
    hub_server.files["owner/tiny"] = {"config.json": b"{}", "model.safetensors": bytes(100_000)}

    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled("nobody waits")

    with pytest.raises(Cancelled, match="nobody waits"):
        hub.fetch("owner/tiny", None, None, stop)


# -- as a backend ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    return contents


def test_a_model_from_the_hub_answers(hub_server: Hub, files: dict[str, bytes], make: MakeManager) -> None:
    hub_server.files["owner/tiny"] = files
    manager = make({"tiny": {"model_name": "owner/tiny", "device": "cpu"}})
    assert manager.get_response("Hi", "tiny", max_new_tokens=4, seed=1) != ""


def test_what_the_hub_refuses_evicts_nobody(hub_server: Hub, files: dict[str, bytes], make: MakeManager) -> None:
    hub_server.files["owner/tiny"] = files
    names = {"tiny": "owner/tiny", "gated": "owner/gated", "missing": "owner/missing", "down": "owner/down"}
    manager = make({model: {"model_name": name, "device": "cpu"} for model, name in names.items()}, 1)
    manager.load_model("tiny")
    for model, kind in [("gated", AccessDenied), ("missing", WeightsNotFound), ("down", Unreachable)]:
        with pytest.raises(kind):
            manager.load_model(model)
    assert manager.list_models()["tiny"]["is_loaded"]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_damaged_weights_in_the_cache_are_fetched_again(hub_server: Hub, files: dict[str, bytes], damage: str) -> None:
    hub_server.files["owner/tiny"] = files
    spec = parse_spec("m", {"model_name": "owner/tiny", "device": "cpu"})
    HuggingFaceModelWrapper(spec, CACHE).prepare(silent)
    path = hub.fetch("owner/tiny", None, None, silent) / "model.safetensors"
    whole = path.read_bytes()
    path.resolve().write_bytes({"cut": whole[:-100], "empty": b"", "noise": b"\xff" * 1000}[damage])
    model = HuggingFaceModelWrapper(spec, CACHE)
    model.prepare(silent)
    assert path.read_bytes() == whole
    model.load(silent)
    model.unload()


def test_weights_from_the_hub_are_identified_by_their_commit(hub_server: Hub, files: dict[str, bytes]) -> None:
    hub_server.files["owner/tiny"] = files
    model = HuggingFaceModelWrapper(parse_spec("m", {"model_name": "owner/tiny", "device": "cpu"}), CACHE)
    model.prepare(silent)
    found = model.identity
    assert (found.model_name, found.revision, found.sha256) == ("owner/tiny", COMMIT, None)


def test_damaged_weights_that_the_hub_itself_has_are_refused(hub_server: Hub, files: dict[str, bytes]) -> None:
    hub_server.files["owner/tiny"] = {**files, "model.safetensors": b"\xff" * 1000}
    spec = parse_spec("m", {"model_name": "owner/tiny", "device": "cpu"})
    with pytest.raises(Refused, match=r"model\.safetensors: damaged"):
        HuggingFaceModelWrapper(spec, CACHE).prepare(silent)


def test_a_file_of_somebodys_folder_is_never_removed(tmp_path: Path, hub_server: Hub) -> None:
    path = tmp_path / "model.safetensors"
    path.touch()
    assert not hub.forget(path)
    assert path.exists()


def test_an_adapter_is_fetched_and_must_be_one(hub_server: Hub, files: dict[str, bytes], monkeypatch: Any) -> None:
    hub_server.files["owner/tiny"] = files
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "peft" or find_spec(name))
    settings = {"model_name": "owner/tiny", "device": "cpu", "adapters": ["owner/tiny"]}
    with pytest.raises(WeightsNotFound, match=r"key 'adapters': 'owner/tiny' has no adapter_config\.json"):
        HuggingFaceModelWrapper(parse_spec("m", settings), CACHE).prepare(silent)


def test_a_gguf_file_that_the_repository_does_not_have(hub_server: Hub, files: dict[str, bytes]) -> None:
    hub_server.files["owner/tiny"] = files
    spec = parse_spec("m", {"model_name": "owner/tiny", "gguf_file": "none.gguf", "device": "cpu"})
    with pytest.raises(WeightsNotFound, match=r"none\.gguf: no such file; check the key 'gguf_file'"):
        HuggingFaceModelWrapper(spec, CACHE).prepare(silent)


def test_without_its_package_the_embedded_model_comes_from_its_repository(
    hub_server: Hub, files: dict[str, bytes]
) -> None:
    hub_server.files["owner/tiny"] = files
    spec = parse_spec("m", {"model_name": "owner/tiny", "gguf_file": "package:no_such_package/x.gguf", "device": "cpu"})
    model = HuggingFaceModelWrapper(spec, CACHE)
    size = model.prepare(silent).bytes
    assert model.load(silent) == size
    model.unload()
