"""Text models inside vision and audio language models: loaded alone and exactly, or refused with advice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CONFIG_MAPPING,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import parse_spec
from manager.errors import LoadFailed, Refused
from tests.unit.manager.conftest import byte_tokenizer, tiny_model

pytestmark = pytest.mark.weights

VISION = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
WHOLE: dict[str, tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {
    "mistral3": (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        {"model_type": "mistral", "head_dim": 8},
        {"model_type": "pixtral", "num_hidden_layers": 1},
    ),
    "llava": (
        LlavaConfig,
        LlavaForConditionalGeneration,
        {},
        {"model_type": "clip_vision_model", "num_hidden_layers": 2},
    ),
    "smolvlm": (SmolVLMConfig, SmolVLMForConditionalGeneration, {}, {"num_hidden_layers": 1}),
}
UP = "layers.1.mlp.up_proj.weight"


def build(kind: str, folder: Path, *, tied: bool = False) -> Any:
    """Save a tiny random model of this kind, and return it."""
    config_of, model_of, text, vision = WHOLE[kind]
    torch.manual_seed(1)
    plain = {**tiny_model().config.to_dict(), "tie_word_embeddings": tied}
    config = config_of(text_config={**plain, **text}, vision_config={**VISION, **vision}, tie_word_embeddings=tied)
    model = model_of(config).float().eval()
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return model


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[HuggingFaceModelWrapper]:
    made = HuggingFaceModelWrapper(parse_spec("m", {"model_name": str(tmp_path), "device": "cpu"}), tmp_path / "cache")
    yield made
    made.unload()


def load(model: HuggingFaceModelWrapper) -> int:
    model.prepare(lambda *_: None)
    return model.load(lambda *_: None)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", WHOLE)
def test_the_text_part_is_loaded_and_computes_the_same(
    tmp_path: Path, loaded: HuggingFaceModelWrapper, kind: str, tied: bool
) -> None:
    whole = build(kind, tmp_path, tied=tied)
    expected = loaded.prepare(lambda *_: None).bytes
    assert loaded.load(lambda *_: None) == expected
    assert loaded._engine is not None
    tokens = torch.tensor([[5, 80, 7, 200]])
    with torch.no_grad():
        assert torch.equal(loaded._engine.model(input_ids=tokens).logits, whole(input_ids=tokens).logits)
    assert expected < sum(parameter.nbytes for parameter in whole.parameters()), "without the vision part"


@pytest.mark.parametrize("kind", WHOLE)
def test_a_text_part_with_missing_weights_is_never_filled_with_random_numbers(
    tmp_path: Path, loaded: HuggingFaceModelWrapper, kind: str
) -> None:
    build(kind, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    (name,) = [name for name in tensors if name.endswith(UP) and "vision" not in name]
    del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LoadFailed, match=rf"1 tensors are missing \(model\.{UP}"):
        load(loaded)


@pytest.mark.parametrize("kind", WHOLE)
def test_weights_of_the_text_part_that_the_model_does_not_know_are_not_left_out(
    tmp_path: Path, loaded: HuggingFaceModelWrapper, kind: str
) -> None:
    build(kind, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    (name,) = [name for name in tensors if name.endswith(UP) and "vision" not in name]
    save_file(
        {**tensors, f"{name}_scale_inv": torch.ones(2)}, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(LoadFailed, match="1 tensors are unknown to the model's architecture"):
        load(loaded)


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "llava", "mistral3", "qwen2_audio"])
def test_a_model_whose_text_part_cannot_be_found_says_what_to_pick_instead(
    tmp_path: Path, loaded: HuggingFaceModelWrapper, kind: str
) -> None:
    tiny_model().save_pretrained(tmp_path)  # weights without a text part
    byte_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(Refused, match=rf"'{kind}' only together with their image or audio part") as refusal:
        load(loaded)
    part = CONFIG_MAPPING[kind]().get_text_config().model_type
    assert f"pick a text-only model (its text part is of type '{part}')" in str(refusal.value)
    assert "run it on a server and register it with type: openai" in str(refusal.value)


def test_the_chat_template_of_an_image_processor_is_used(tmp_path: Path, loaded: HuggingFaceModelWrapper) -> None:
    build("llava", tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages[0].content }}!"}))
    load(loaded)
    assert loaded._found.tokenizer.chat_template == "{{ messages[0].content }}!"
