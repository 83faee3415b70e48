"""The model under training: the embedded model's own weights, LoRA adapters, and passes over packed conversations.

Conversations are laid end to end in one row. Each attends to itself alone, and only the hidden states that predict a
reply's tokens are projected onto the vocabulary: the projection is the model's largest matrix, and most tokens belong
to prompts.
"""

from __future__ import annotations

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
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def within_conversations(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **given: Any
) -> tuple[torch.Tensor, None]:
    """Attend within each conversation of a pack; shapes of query, key and value: [1, heads, tokens, size]."""
    pieces: Sequence[Piece] = given["pieces"]
    return torch.cat([_attended(piece, query, key, value) for piece in pieces], dim=2).transpose(1, 2), None


def _attended(piece: Piece, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    asks = query[:, :, piece.start : piece.end]
    if not piece.prefix:
        keys, values = (each[:, :, piece.start : piece.end] for each in (key, value))
        return functional.scaled_dot_product_attention(asks, keys, values, is_causal=True, enable_gqa=True)
    keys, values = (
        torch.cat([each[:, :, : piece.prefix], each[:, :, piece.start : piece.end]], dim=2) for each in (key, value)
    )
    length = piece.end - piece.start
    earlier = torch.ones(length, piece.prefix + length, dtype=torch.bool, device=query.device).tril(piece.prefix)
    return functional.scaled_dot_product_attention(asks, keys, values, attn_mask=earlier, enable_gqa=True)


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, within_conversations)


def base_folder(spec: ModelSpec, cache: Path) -> Path:
    """Return the folder with the weights that the program itself runs, unpacked as it unpacks them."""
    model = HuggingFaceModelWrapper(spec, cache)
    model.prepare(lambda *_: None)
    model.load(lambda *_: None)
    model.unload()
    return next(path.parent for path in cache.rglob("complete.json"))


def load(folder: Path) -> tuple[Any, Any]:
    """Return the model, ready for `with_adapters`, and the tokenizer of a folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=ATTENTION)
    model.config.use_cache = False
    return model, AutoTokenizer.from_pretrained(folder)


def with_adapters(model: Any, settings: Mapping[str, Any]) -> Any:
    """Return the model with new LoRA adapters (Hu et al. 2021) on all linear layers, the only weights that learn."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], target_modules=list(LINEAR), task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def with_adapter(model: Any, folder: Path) -> Any:
    """Return the model with the adapter of a folder, which goes on learning."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, folder, is_trainable=True)


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Write the adapter of a model in PEFT's format, in half precision and without anything about this machine.

    Args:
        model: The model with adapters.
        folder: Where to write it.
        base: The name of the base model, for the adapter's settings.
    """
    from peft import get_peft_model_state_dict

    config = replace(model.peft_config["default"], base_model_name_or_path=base, inference_mode=True)
    config.save_pretrained(folder)
    weights = get_peft_model_state_dict(model)
    save_file({name: each.half().contiguous() for name, each in weights.items()}, folder / "adapter_model.safetensors")


def token_losses(model: Any, pack: Pack) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy of each learned token of a pack, and its weight; shapes: [learned tokens]."""
    hidden = model.get_decoder()(
        input_ids=pack.tokens[None], position_ids=pack.positions[None], use_cache=False, pieces=pack.pieces
    ).last_hidden_state[0]
    learned = pack.labels != IGNORED
    logits = model.get_output_embeddings()(hidden[learned]).float()
    return functional.cross_entropy(logits, pack.labels[learned], reduction="none"), pack.weights[learned]
