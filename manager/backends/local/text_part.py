"""The text model inside a vision or audio language model, which is loaded alone.

Transformers knows such models as a class of their own around a text model of a common kind (Mistral 3 around Mistral,
LLaVA around Llama). Their weights are those of the text model under a prefix, next to weights of the other parts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import AutoModelForCausalLM

from manager.backends.local.sizing import weight_files

_PART = r"^(?:model\.)?(?:language_model|text_model)\."
RENAMED = {_PART + r"lm_head": "lm_head", _PART + r"(?:model\.)?": "model."}
"""How the text model's weights are called there, as patterns, and what it calls them itself."""


def text_config(folder: Path, config: Any) -> Any:
    """Return the config of the text model alone if transformers has a class for that but not for the whole."""
    text, known = config.get_text_config(), AutoModelForCausalLM._model_mapping
    if text is config or type(config) in known or type(text) not in known:
        return config
    names = tensor_names(folder)
    if not any(re.match(_PART, name) for name in names):
        return config
    text.dtype = text.dtype or config.dtype
    if (quantized := getattr(config, "quantization_config", None)) is not None:
        text.quantization_config = quantized
    stored = any(renamed(name) == "lm_head.weight" for name in names)  # configs differ from their parts here
    text.tie_word_embeddings = not stored and bool(
        getattr(config, "tie_word_embeddings", False) or text.tie_word_embeddings
    )
    return text


def other_parts(folder: Path) -> set[str]:
    """Return the weights that do not belong to the text model."""
    return {name for name in tensor_names(folder) if not re.match(_PART, name) and not name.startswith("lm_head")}


def renamed(name: str) -> str:
    """Return what the text model calls a weight.

    >>> renamed("language_model.model.layers.0.mlp.up_proj.weight"), renamed("language_model.lm_head.weight")
    ('model.layers.0.mlp.up_proj.weight', 'lm_head.weight')
    """
    for pattern, short in RENAMED.items():
        name = re.sub(pattern, short, name)
    return name


def tensor_names(folder: Path) -> list[str]:
    """Return the names of the weights in the safetensors files of a folder."""
    names: list[str] = []
    for path in weight_files(folder):
        if path.is_file():
            with safe_open(path, framework="pt") as file:
                names += file.keys()
    return names
