"""Repositories that want to run code here: as Python files, pickles, kernels, adapters, templates or odd paths."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local import hub
from manager.config.model_spec import parse_spec
from manager.errors import ConfigError, GenerationFailed, LoadFailed, Refused, WeightsNotFound
from manager.generation.text import ChatTemplate
from manager.manager import LLMManager
from tests.unit.manager.conftest import byte_tokenizer, tiny_model

CODE = """
from pathlib import Path

Path({marker!r}).touch()


class Config:
    pass


Model = Tokenizer = Config
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(tied=True).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there when foreign code ran. Whoever is asked whether it may, says yes."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "it ran"


def loaded(folder: Path, **settings: Any) -> HuggingFaceModelWrapper:
    spec = parse_spec("tiny", {"model_name": str(folder), "device": "cpu", **settings})
    model = HuggingFaceModelWrapper(spec, folder / "unused")
    model.prepare(silent)
    model.load(silent)
    return model


def silent(stage: str, done: int, total: int) -> None:
    pass


def changed(path: Path, **more: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


# -- code in Python files --------------------------------------------------------------------------------------


def test_a_config_of_its_own_is_refused(folder: Path, marker: Path) -> None:
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    changed(folder / "config.json", model_type="own", auto_map={"AutoConfig": "code.Config"})
    with pytest.raises(Refused, match="cannot read this model"):
        loaded(folder)
    assert not marker.exists()


def test_a_model_of_its_own_is_refused(folder: Path, marker: Path) -> None:
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    changed(folder / "config.json", model_type="vit", auto_map={"AutoModelForCausalLM": "code.Model"})
    with pytest.raises(Refused, match="has no text model of type 'vit'"):
        loaded(folder)
    assert not marker.exists()


def test_a_tokenizer_of_its_own_is_refused(folder: Path, marker: Path) -> None:
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    own = {"auto_map": {"AutoTokenizer": ["code.Tokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
    changed(folder / "tokenizer_config.json", **own)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Refused, match="its tokenizer cannot be read"):
        loaded(folder)
    assert not marker.exists()


def test_a_known_kind_of_model_is_loaded_without_its_own_code(folder: Path, marker: Path) -> None:
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    own = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    changed(folder / "config.json", auto_map=own)
    loaded(folder).unload()
    assert not marker.exists()


def test_kernels_from_elsewhere_are_refused(folder: Path) -> None:
    changed(folder / "config.json", attn_implementation="somebody/kernel")
    with pytest.raises(
        Refused, match=r"requests code from another repository \(attn_implementation: somebody/kernel\)"
    ):
        loaded(folder)


def test_an_adapter_beside_the_weights_is_not_put_on_them_unseen(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "somebody/else"}))
    with pytest.raises(Refused, match="holds an adapter beside its weights"):
        loaded(folder)


# -- pickles ---------------------------------------------------------------------------------------------------


class Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self._marker,)


@pytest.fixture
def pickled(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    torch.save(tiny_model(tied=True).state_dict(), folder / "pytorch_model.bin")
    return folder


def test_pickles_are_refused_unless_the_operator_allows_them(pickled: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"only safetensors are read, unless the entry says allow_pickle: true"):
        loaded(pickled)
    loaded(pickled, allow_pickle=True).unload()


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_even_then_only_tensors_are_read_from_them(pickled: Path, marker: Path, form: str) -> None:
    path = pickled / "pytorch_model.bin"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"lm_head.weight": Evil(marker)}))
    else:
        torch.save({"lm_head.weight": Evil(marker)}, path)
    with pytest.raises(LoadFailed):
        loaded(pickled, allow_pickle=True)
    assert not marker.exists()


def test_safetensors_are_taken_where_there_are_both(folder: Path, marker: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(marker)))
    loaded(folder, allow_pickle=True).unload()
    assert not marker.exists()


def test_pickles_are_not_even_fetched() -> None:
    assert "*.bin" not in " ".join(hub.PATTERNS)
    assert hub.PICKLES[0] not in hub._wanted(None, False)["allow_patterns"]
    assert hub.PICKLES[0] in hub._wanted(None, True)["allow_patterns"]


def test_what_a_stranger_registers_may_neither_allow_pickles_nor_name_a_folder() -> None:
    with LLMManager({}) as manager:
        with pytest.raises(ConfigError, match="only the operator may set it"):
            manager.register_model("m", {"model_name": "owner/name", "allow_pickle": True}, trusted=False)
        for name in ("/etc", "../..", "~/models", "folder"):
            with pytest.raises(ConfigError, match="must be a Hub repository"):
                manager.register_model("m", {"model_name": name}, trusted=False)
        manager.register_model("m", {"model_name": "owner/name"}, trusted=False)


# -- paths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../elsewhere.safetensors", "/etc/passwd", "code.py", "a/b.safetensors"])
def test_an_index_names_files_of_its_own_folder_only(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    with pytest.raises(Refused, match="which is not a file of this model"):
        loaded(folder)


@pytest.mark.parametrize("name", ["../x.gguf", "/x.gguf", "a/../../x.gguf", "..\\x.gguf", "package:os/../x.gguf"])
def test_a_gguf_file_lies_inside_what_it_is_named_of(name: str) -> None:
    with pytest.raises(ConfigError, match="a path inside the repository, folder or package"):
        parse_spec("m", {"model_name": "owner/name", "gguf_file": name})


# -- chat templates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.mkdir(MARKER) }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(messages[0]) }}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{{ raise_exception('no') }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_chat_template_reaches_nothing(template: str, marker: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template.replace("MARKER", repr(str(marker)))
    with pytest.raises(GenerationFailed, match="chat template refuses the conversation"):
        ChatTemplate(tokenizer).encode([{"role": "user", "content": "Hello"}])
    assert not marker.exists()
