"""The base model is the program's own, and an adapter is replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.config.model_spec import parse_spec
from tests.unit.manager.conftest import byte_tokenizer, tiny_model
from training import network
from training.network import base_folder, save_adapter, with_adapter, with_adapters

pytest.importorskip("peft")
pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # in PEFT
]


def test_the_base_is_the_model_that_was_named_whatever_else_the_cache_holds(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "cache" / "converted" / "a"
    tiny_model().save_pretrained(own)
    byte_tokenizer().save_pretrained(own)
    other.mkdir(parents=True)
    (other / "complete.json").write_text("{}")
    spec = parse_spec("own", {"model_name": str(own), "device": "cpu"})
    assert base_folder(spec, tmp_path / "cache") == own


def test_an_adapter_is_replaced_by_a_whole_one_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_adapters(tiny_model(), {"rank": 2, "alpha": 4})
    save_adapter(model, tmp_path / "adapter", "base/model")
    (tmp_path / "adapter" / "README.md").write_text("A card.")
    before = {file.name: file.read_bytes() for file in (tmp_path / "adapter").iterdir()}
    assert set(before) == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    named = json.loads(before["adapter_config.json"])["target_modules"]
    assert named == sorted(network.LINEAR), "the same adapter is the same bytes"

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(network, "save_file", full)
        with pytest.raises(OSError, match="no space"):
            save_adapter(model, tmp_path / "adapter", "another/model")
    assert {file.name: file.read_bytes() for file in (tmp_path / "adapter").iterdir()} == before
    save_adapter(with_adapter(tiny_model(), tmp_path / "adapter"), tmp_path / "adapter", "base/model")
    assert {file.name: file.read_bytes() for file in (tmp_path / "adapter").iterdir()} == before
