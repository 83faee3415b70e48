"""Quantization and adapters with the real packages; those for quantization are installed by `make test-heavy`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.backends.local.storages import storages_of, total_bytes
from manager.config.model_spec import GenerationConfig, parse_spec
from manager.errors import LoadFailed
from manager.generation.request import GenerationRequest, as_messages
from manager.generation.stream import TokenStream
from tests.unit.manager.conftest import CACHE, byte_tokenizer

pytestmark = pytest.mark.filterwarnings("default")


def silent(stage: str, done: int, total: int) -> None:
    pass


def saved(folder: Path, hidden: int) -> Path:
    shape = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=259, max_position_embeddings=256, bos_token_id=None, eos_token_id=0, **shape)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def prepared(folder: Path, **settings: Any) -> HuggingFaceModelWrapper:
    spec = parse_spec("tiny", {"model_name": str(folder), "device": "cpu", **settings})
    return HuggingFaceModelWrapper(spec, CACHE)


def answer(model: HuggingFaceModelWrapper) -> str:
    stream = TokenStream()
    model.generate(GenerationRequest(as_messages("Hi"), GenerationConfig(max_new_tokens=8), 1), stream)
    return "".join(stream)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["torchao-int8", "bitsandbytes-8bit", "bitsandbytes-4bit"])
def test_quantized_weights_take_less_and_write(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    # It logs an exception once, whose frames reach up to those that hold the weights; and pytest keeps it.
    caplog.set_level(logging.CRITICAL, "bitsandbytes")
    folder = saved(tmp_path / "tiny", 256)
    plain = prepared(folder, dtype="float32").prepare(silent).bytes
    model = prepared(folder, dtype="float32", quantization=kind)
    footprint = model.prepare(silent)
    assert footprint.bytes < plain
    assert footprint.parking is None
    assert model.load(silent) == pytest.approx(footprint.bytes, rel=0.1)
    assert answer(model) != ""
    model.unload()
    assert model.leaked_bytes == 0


def test_adapters_are_merged_into_the_weights(tmp_path: Path) -> None:
    import peft

    folder = saved(tmp_path / "tiny", 32)
    original = LlamaForCausalLM.from_pretrained(folder)
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    torch.manual_seed(1)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(original, config)
    adapted.save_pretrained(tmp_path / "adapter")
    expected = adapted.merge_and_unload().state_dict()
    model = prepared(folder, adapters=[str(tmp_path / "adapter")])
    footprint = model.prepare(silent)
    assert model.load(silent) == footprint.bytes, "merged, they take no more"
    assert model._engine is not None
    inside = model._engine.model
    assert total_bytes(storages_of(inside)) == footprint.bytes
    for name, tensor in inside.state_dict().items():
        assert torch.allclose(tensor, expected[name], atol=1e-6)
    query = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.allclose(inside.state_dict()[query], before[query], atol=1e-3)
    assert answer(model) != ""
    model.unload()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("lora_B.weight", None, "are missing"),
        ("lora_B.weight", "lora_C.weight", "are missing"),
        (None, "x.weight", "fit"),
    ],
)
def test_an_adapter_whose_tensors_do_not_match_is_not_merged(
    tmp_path: Path, old: str | None, new: str | None, problem: str
) -> None:
    import peft
    from safetensors.torch import load_file, save_file

    folder = saved(tmp_path / "tiny", 32)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(LlamaForCausalLM.from_pretrained(folder), config).save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if old is None or name.endswith(old))
    tensor = tensors[name] if old is None else tensors.pop(name)
    if new is not None:
        tensors[name.rpartition("lora_")[0] + new] = tensor.clone()
    save_file(tensors, file, metadata={"format": "pt"})
    model = prepared(folder, adapters=[str(tmp_path / "adapter")])
    model.prepare(silent)
    with pytest.raises(LoadFailed, match=problem):
        model.load(silent)
