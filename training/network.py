"""The model under training: the embedded model's own weights, LoRA adapters, and passes over packed conversations.

Conversations are laid end to end in one row. Each attends to itself alone, and only the hidden states that predict a
reply's tokens are projected onto the vocabulary: the projection is the model's largest matrix, and most tokens belong
to prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import ModelSpec

ATTENTION = "training_packed"
IGNORED = -100
"""The label of a token that is not learned."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Pack:
    """Conversations end to end. `labels[i]` is the token that position i predicts, or IGNORED; shapes: [tokens]."""

    tokens: torch.Tensor
    labels: torch.Tensor
    lengths: tuple[int, ...]

    @property
    def positions(self) -> torch.Tensor:
        """The position of each token in its own conversation, shape [tokens]."""
        return torch.cat([torch.arange(length) for length in self.lengths])

    @property
    def learned(self) -> int:
        """The number of tokens with a loss."""
        return int((self.labels != IGNORED).sum())


def own_conversation(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **given: Any
) -> tuple[torch.Tensor, None]:
    """Attend within each conversation of a pack; shapes of query, key and value: [1, heads, tokens, size]."""
    lengths: Sequence[int] = given["lengths"]
    parts = zip(*(each.split(list(lengths), dim=2) for each in (query, key, value)), strict=True)
    attended = [functional.scaled_dot_product_attention(*part, is_causal=True, enable_gqa=True) for part in parts]
    return torch.cat(attended, dim=2).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, own_conversation)


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


def reply_loss(model: Any, pack: Pack) -> torch.Tensor:
    """Return the mean cross-entropy of the learned tokens of a pack."""
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    hidden = decoder(
        input_ids=pack.tokens[None], position_ids=pack.positions[None], use_cache=False, lengths=pack.lengths
    ).last_hidden_state[0]
    learned = pack.labels != IGNORED
    return functional.cross_entropy(head(hidden[learned]).float(), pack.labels[learned])
