"""How many bytes a model will take on its device, and whether its files are whole, before it is loaded."""

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
"""Tokens of conversations that room is reserved for: being written, and kept between turns where there is room."""
PIECE, ACTIVATIONS, ROWS = 512, 16, 16
"""Tokens read in one pass, numbers of the hidden size that each has at hand then, and rows written together."""


def pick_dtype(wanted: str, device: str, checkpoint: torch.dtype) -> torch.dtype:
    """The dtype to load in: as asked for, else the checkpoint's.

    A CPU without bfloat16 or float16 arithmetic gets float32, which is much faster there.
    """
    if wanted != "auto":
        return getattr(torch, wanted)
    half_is_slow = device == "cpu" and not (checkpoint is torch.bfloat16 and _cpu_has_bfloat16())
    return torch.float32 if half_is_slow else checkpoint


def read_config(folder: Path) -> Any:
    """The model's config; raises WeightsNotFound or Refused."""
    if not (folder / "config.json").is_file():
        raise WeightsNotFound(f"{folder}: no config.json, so this is not a transformers model")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"{folder}: transformers {transformers.__version__} cannot read this model: {reason}") from None
    if (kernel := _kernel(config)) is not None:
        raise Refused(f"{folder}: its config.json asks for code from elsewhere (attn_implementation: {kernel[:80]})")
    if (folder / "adapter_config.json").is_file():
        # transformers would put it on top, unseen by what is checked here
        raise Refused(f"{folder}: holds an adapter beside its weights; name adapters under the key 'adapters'")
    return config


def _kernel(config: Any) -> str | None:
    """The repository of compiled code that a config asks for; transformers would fetch and run it."""
    parts = [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", {}))]
    named = (str(getattr(part, "_attn_implementation", None)) for part in parts)
    return next((name for name in named if "/" in name or ":" in name), None)


def check_weights(folder: Path, *, pickles: bool = False) -> None:
    """Raise WeightsNotFound or Refused unless every file of a model's weights is there and of its full length."""
    for path in weight_files(folder, pickles=pickles):
        if not path.is_file():
            only = "" if pickles else "; only safetensors are read, unless the entry says allow_pickle: true"
            raise WeightsNotFound(f"{path}: no such file{only}; fetch the model again")
        if (damage := _damage(path)) is not None:
            raise Refused(f"{path}: damaged ({damage}); delete it and fetch the model again")


def damaged_files(folder: Path, *, pickles: bool = False) -> list[Path]:
    """The files of weights that are there and not whole."""
    files = weight_files(folder, pickles=pickles)
    return [path for path in files if path.is_file() and _damage(path) is not None]


def weight_files(folder: Path, *, pickles: bool = False) -> list[Path]:
    """The files of a model's weights: safetensors, or where there are none and it may be, pickles; raises Refused."""
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
        raise Refused(f"{index}: names {odd[0][:80]!r}, which is no file of this model")
    return [folder / name for name in names]


def _damage(path: Path) -> str | None:
    """What is wrong with a safetensors file: its header says how long it must be. Of others only loading tells."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt"):
            return None
    except SafetensorError as error:
        return str(error)


def checkpoint_dtype(config: Any) -> torch.dtype:
    """The dtype a checkpoint is stored in, as its config says."""
    named = getattr(config, "dtype", None)
    return named if isinstance(named, torch.dtype) else getattr(torch, str(named), torch.float32)


@dataclass(frozen=True)
class Shape:
    """What the size of keys, values and activations depends on."""

    layers: int
    kv_heads: int
    head_size: int
    hidden: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape that a transformers config describes."""
        text = config.get_text_config()
        heads = getattr(text, "num_attention_heads", None) or 1  # models without attention keep less than this says
        return cls(
            layers=text.num_hidden_layers,
            kv_heads=getattr(text, "num_key_value_heads", None) or heads,
            head_size=getattr(text, "head_dim", None) or text.hidden_size // heads,
            hidden=text.hidden_size,
            vocabulary=text.vocab_size,
        )

    def kv_bytes(self, tokens: int, dtype: torch.dtype) -> int:
        """Keys and values of so many tokens: 2 x layers x key-value heads x head size numbers for each.

        (Pope et al. 2022, Efficiently Scaling Transformer Inference.) More than layers with a sliding window keep.
        """
        return 2 * self.layers * self.kv_heads * self.head_size * int(dtype.itemsize) * tokens

    def working_bytes(self, dtype: torch.dtype) -> int:
        """What writing takes: the conversations being written, a piece of a prompt on its way through, logits."""
        activations = PIECE * ACTIVATIONS * self.hidden * int(dtype.itemsize)
        return self.kv_bytes(WRITING_TOKENS, dtype) + activations + ROWS * self.vocabulary * 4

    def allowance(self, dtype: torch.dtype) -> int:
        """What keeping conversations between turns may well take."""
        return self.kv_bytes(KEPT_TOKENS, dtype)


def skeleton_bytes(config: Any, dtype: torch.dtype, linear_bits: float | None = None) -> int:
    """The exact bytes of a model's parameters and buffers, counted on a model without data; raises Refused.

    With `linear_bits` it is an estimate for weights of linear layers, all but the head, stored in so many bits each.
    Must not run beside a `from_pretrained` (it changes process-wide defaults): callers hold the build lock.
    """
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    except ValueError:
        known, kind = f"transformers {transformers.__version__}", f"'{config.model_type}'"
        raise Refused(f"{known} cannot write text with a model of kind {kind}; pick another") from None
    size = module_bytes(model)
    if linear_bits is not None:
        head = model.get_output_embeddings()
        linear = [part.weight for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
        size -= sum(int(weight.numel() * (weight.element_size() - linear_bits / 8)) for weight in linear)
    return size


def module_bytes(module: torch.nn.Module) -> int:
    """Bytes of all distinct parameters and buffers, tied ones counted once."""
    tensors = {id(t): t for t in [*module.parameters(), *module.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "amx_tile", "bf16", "arm_bf16"))
