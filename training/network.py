"""The model under training: the embedded model's own weights, LoRA adapters, and passes over packed conversations.

Conversations are laid end to end in one row. Each attends to itself alone, and only the hidden states that predict a
reply's tokens are projected onto the vocabulary: the projection is the model's largest matrix, and most tokens belong
to prompts.

Matrices are multiplied in bfloat16 where the machine has instructions for that (a GPU, AVX-512 BF16 or AMX), else in
float32; the adapters are float32 everywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import ModelSpec
from training.packing import IGNORED, Pack, Piece

ATTENTION = "training_packed"
BLOCK = 512
"""Tokens that attend in one matrix product."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def within_conversations(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **given: Any
) -> tuple[torch.Tensor, None]:
    """Attend within each conversation of a pack; shapes of query, key and value: [1, heads, tokens, size].

    Spelled out, because the backward pass of PyTorch's fused attention took eight times as long on the CPU.
    """
    pieces: Sequence[Piece] = given["pieces"]
    sizes = [piece.end - piece.start for piece in pieces]
    asks = (query[0] * given["scaling"]).split(sizes, dim=1)
    keys, values = (each[0].split(sizes, dim=1) for each in (key, value))
    attended = []
    for piece, own, own_keys, own_values in zip(pieces, asks, keys, values, strict=True):
        if piece.prefix:
            own_keys, own_values = torch.cat([keys[0], own_keys], dim=1), torch.cat([values[0], own_values], dim=1)
        attended.append(_attended(own, own_keys, own_values))
    return torch.cat(attended, dim=1).transpose(0, 1)[None], None


def _attended(asks: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Attend to all earlier keys, in blocks, which need no scores for the keys after them."""
    earlier = keys.shape[1] - asks.shape[1]
    blocks, end = [], earlier
    for block in asks.split(BLOCK, dim=1):
        end += block.shape[1]
        blocks.append(_attended_block(block, keys[:, :end], values[:, :end]))
    return torch.cat(blocks, dim=1)


def _attended_block(asks: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Attend to all earlier keys; several heads of `asks` share one of `keys`."""
    heads, length, size = asks.shape
    groups, total, _ = keys.shape
    scores = torch.bmm(asks.reshape(groups, -1, size), keys.transpose(1, 2)).view(heads, length, total)
    later = torch.full((length, total), float("-inf"), dtype=scores.dtype, device=scores.device)
    shares = torch.softmax(scores + later.triu(total - length + 1), dim=-1)
    return torch.bmm(shares.view(groups, -1, total), values).view(heads, length, size)


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, within_conversations)


def base_folder(spec: ModelSpec, cache: Path) -> Path:
    """Return the folder with the weights that the program itself runs, unpacked as it unpacks them."""
    model = HuggingFaceModelWrapper(spec, cache)
    model.prepare(lambda *_: None)
    model.load(lambda *_: None)
    model.unload()
    folder = model.folder
    assert folder is not None, "it was loaded"
    return folder


def device() -> str:
    """Return where to train."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision() -> torch.dtype:
    """Return the type in which this machine multiplies matrices fastest."""
    fast = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def load(folder: Path) -> tuple[Any, Any]:
    """Return the model, ready for `with_adapters`, and the tokenizer of a folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=precision(), attn_implementation=ATTENTION)
    model.config.use_cache = False
    return model.to(device()), AutoTokenizer.from_pretrained(folder)


def with_adapters(model: Any, settings: Mapping[str, Any]) -> Any:
    """Return the model with new LoRA adapters (Hu et al. 2021) on all linear layers, the only weights that learn."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], target_modules=list(LINEAR), task_type="CAUSAL_LM"
    )
    return _ready(get_peft_model(model, config))


def with_adapter(model: Any, folder: Path) -> Any:
    """Return the model with the adapter of a folder, which goes on learning."""
    from peft import PeftModel

    return _ready(PeftModel.from_pretrained(model, folder, is_trainable=True))


def _ready(model: Any) -> Any:
    """Leave the type of adapters' inputs to autocast; PEFT would turn each into float32 first."""
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False
    return model


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Write the adapter of a model in PEFT's format, in half precision and without anything about this machine.

    Files that were there before are replaced once the new ones are complete.

    Args:
        model: The model with adapters.
        folder: Where to write it.
        base: The name of the base model, for the adapter's settings.
    """
    from peft import get_peft_model_state_dict

    config = replace(model.peft_config["default"], base_model_name_or_path=base, inference_mode=True)
    config.target_modules = sorted(config.target_modules)  # PEFT keeps a set, whose order changes from run to run
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)  # to find out, it would ask the Hub
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        new = Path(unfinished)
        config.save_pretrained(new)
        save_file({name: each.half().contiguous() for name, each in weights.items()}, new / "adapter_model.safetensors")
        for file in sorted(new.iterdir()):
            file.replace(folder / file.name)


def token_losses(model: Any, pack: Pack) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy of each learned token of a pack, and its weight; shapes: [learned tokens]."""
    place = device()
    labels = pack.labels.to(place)
    with torch.autocast(place, dtype=torch.bfloat16, enabled=precision() is torch.bfloat16):
        hidden = model.get_decoder()(
            input_ids=pack.tokens[None].to(place),
            position_ids=pack.positions[None].to(place),
            use_cache=False,
            pieces=pack.pieces,
        ).last_hidden_state[0]
        logits = model.get_output_embeddings()(hidden[labels != IGNORED])
    labels, weights = labels[labels != IGNORED], pack.weights.to(place)[labels != IGNORED]
    return functional.cross_entropy(logits.float(), labels, reduction="none"), weights
