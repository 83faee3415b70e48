"""The bytes that a model will take on its device, and checks of its files, before it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from manager.errors import Refused, WeightsNotFound

WRITING_TOKENS, KEPT_TOKENS = 8192, 16384
"""Tokens of conversations to reserve memory for: being written, and cached between turns if there is room."""
PIECE, ACTIVATIONS, ROWS = 512, 16, 16
"""Tokens per pass over a prompt, activations of the hidden size per token, and rows written together."""


def pick_dtype(wanted: str, device: str, checkpoint: torch.dtype) -> torch.dtype:
    """Return the dtype to load in: the configured one, else the checkpoint's.

    A CPU without fast arithmetic in that type gets float32, which is much faster there.
    """
    if wanted != "auto":
        return getattr(torch, wanted)
    half_is_slow = device == "cpu" and not (checkpoint is torch.bfloat16 and _cpu_has_bfloat16())
    return torch.float32 if half_is_slow else checkpoint


def read_config(folder: Path) -> Any:
    """Return the model's config. Raises WeightsNotFound or Refused."""
    if not (folder / "config.json").is_file():
        raise WeightsNotFound(f"{folder}: no config.json, so this is not a transformers model")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"{folder}: transformers {transformers.__version__} cannot read this model: {reason}") from None
    if (kernel := _kernel(config)) is not None:
        raise Refused(
            f"{folder}: its config.json requests code from another repository (attn_implementation: {kernel[:80]})"
        )
    if (folder / "adapter_config.json").is_file():
        # transformers would apply it, bypassing these checks
        raise Refused(f"{folder}: holds an adapter beside its weights; list adapters under the key 'adapters'")
    return config


def _kernel(config: Any) -> str | None:
    """Return the repository of compiled code that a config requests, which transformers would fetch and run."""
    parts = [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", {}))]
    named = (str(getattr(part, "_attn_implementation", None)) for part in parts)
    return next((name for name in named if "/" in name or ":" in name), None)


def check_weights(folder: Path, *, pickles: bool = False) -> None:
    """Raise WeightsNotFound or Refused unless every file of a model's weights exists at its full length."""
    for path in weight_files(folder, pickles=pickles):
        if not path.is_file():
            only = "" if pickles else "; only safetensors are read, unless the entry says allow_pickle: true"
            raise WeightsNotFound(f"{path}: no such file{only}; fetch the model again")
        if (damage := _damage(path)) is not None:
            raise Refused(f"{path}: damaged ({damage}); delete it and fetch the model again")


def damaged_files(folder: Path, *, pickles: bool = False) -> list[Path]:
    """Return the files of weights that exist but are incomplete."""
    files = weight_files(folder, pickles=pickles)
    return [path for path in files if path.is_file() and _damage(path) is not None]


def weight_files(folder: Path, *, pickles: bool = False) -> list[Path]:
    """Return the files of a model's weights: safetensors, else pickles if those are allowed. Raises Refused."""
    forms = ["model.safetensors", *(["pytorch_model.bin"] if pickles else [])]
    there = (form for form in forms if (folder / form).is_file() or (folder / f"{form}.index.json").is_file())
    form = next(there, forms[0])
    index = folder / f"{form}.index.json"
    if (folder / form).is_file() or not index.is_file():
        return [folder / form]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise Refused(f"{index}: damaged; delete it and fetch the model again") from None
    if odd := [name for name in names if name != Path(name).name or Path(name).suffix != Path(form).suffix]:
        raise Refused(f"{index}: names {odd[0][:80]!r}, which is not a file of this model")
    return [folder / name for name in names]


def _damage(path: Path) -> str | None:
    """Describe the damage of a safetensors file, whose header says how long it must be. Others are not checked."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt"):
            return None
    except SafetensorError as error:
        return str(error)


def checkpoint_dtype(config: Any) -> torch.dtype:
    """Return the dtype in which a checkpoint is stored, according to its config."""
    named = getattr(config, "dtype", None)
    return named if isinstance(named, torch.dtype) else getattr(torch, str(named), torch.float32)


@dataclass(frozen=True)
class ModelShape:
    """The dimensions that determine the size of keys, values and activations."""

    layers: int
    kv_heads: int
    head_size: int
    hidden: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> ModelShape:
        """Return the shape that a transformers config describes."""
        text = config.get_text_config()
        heads = getattr(text, "num_attention_heads", None) or 1  # an upper bound for models without attention
        return cls(
            layers=text.num_hidden_layers,
            kv_heads=getattr(text, "num_key_value_heads", None) or heads,
            head_size=getattr(text, "head_dim", None) or text.hidden_size // heads,
            hidden=text.hidden_size,
            vocabulary=text.vocab_size,
        )

    def kv_bytes(self, tokens: int, dtype: torch.dtype) -> int:
        """Return the bytes of keys and values: 2 x layers x key-value heads x head size numbers per token.

        (Pope et al. 2022, Efficiently Scaling Transformer Inference.) Layers with a sliding window store less.
        """
        return 2 * self.layers * self.kv_heads * self.head_size * int(dtype.itemsize) * tokens

    def working_bytes(self, dtype: torch.dtype, kept_in: torch.dtype) -> int:
        """Return the bytes needed for writing: conversations being written, activations of one pass, and logits.

        Args:
            dtype: The dtype in which the model computes.
            kept_in: The dtype of keys and values.
        """
        activations = PIECE * ACTIVATIONS * self.hidden * int(dtype.itemsize)
        return self.kv_bytes(WRITING_TOKENS, kept_in) + activations + ROWS * self.vocabulary * 4

    def allowance(self, kept_in: torch.dtype) -> int:
        """Return the bytes of cached conversations worth reserving."""
        return self.kv_bytes(KEPT_TOKENS, kept_in)


def skeleton_bytes(config: Any, dtype: torch.dtype, linear_bits: float | None = None) -> int:
    """Return the exact bytes of a model's parameters and buffers, counted on a model without data.

    Callers hold the build lock, as this changes process-wide defaults.

    Args:
        linear_bits: Bits per weight of quantized linear layers (all but the head). The result is then an estimate.

    Raises:
        Refused: Transformers has no text model of this kind.
    """
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    except ValueError:
        known, kind = f"transformers {transformers.__version__}", f"'{config.model_type}'"
        text = config.get_text_config()
        if text is not config:
            raise Refused(
                f"{known} loads models of type {kind} only together with their image or audio part, which Parley does "
                f"not; pick a text-only model (its text part is of type '{text.model_type}'), or run it on a server "
                "and register it with type: openai"
            ) from None
        raise Refused(f"{known} has no text model of type {kind}; pick another model") from None
    size = module_bytes(model)
    if linear_bits is not None:
        head = model.get_output_embeddings()
        linear = [part.weight for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
        size -= sum(int(weight.numel() * (weight.element_size() - linear_bits / 8)) for weight in linear)
    return size


def module_bytes(module: torch.nn.Module) -> int:
    """Return the bytes of all distinct parameters and buffers, counting tied ones once."""
    tensors = {id(t): t for t in [*module.parameters(), *module.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "amx_tile", "bf16", "arm_bf16"))
