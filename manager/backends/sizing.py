"""How many bytes a model will take on its device, before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from manager.errors import Refused, WeightsNotFound


def pick_device(wanted: str) -> str:
    """The device a registry entry means; `auto` is the best there is. Raises Refused for one that is not there."""
    there = [f"cuda:{number}" for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    there += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    device = {"auto": there[0], "cuda": "cuda:0"}.get(wanted, wanted)
    if device not in there:
        raise Refused(f"key 'device': '{wanted}' is not on this machine, which has: {', '.join(there)}")
    return device


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
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"{folder}: transformers {transformers.__version__} cannot read this model: {reason}") from None


def check_weights(folder: Path) -> None:
    """Raise WeightsNotFound or Refused unless every file of a model's weights is there and of its full length."""
    names = ["model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not (folder / names[0]).is_file() and index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    for path in [folder / name for name in names]:
        if not path.is_file():
            raise WeightsNotFound(f"{path}: no such file (only safetensors are read); fetch the model again")
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise Refused(f"{path}: damaged ({error}); delete it and fetch the model again") from None


def checkpoint_dtype(config: Any) -> torch.dtype:
    """The dtype a checkpoint is stored in, as its config says."""
    named = getattr(config, "dtype", None)
    return named if isinstance(named, torch.dtype) else getattr(torch, str(named), torch.float32)


def skeleton_bytes(config: Any, dtype: torch.dtype) -> int:
    """The exact bytes of a model's parameters and buffers, counted on a model without data; raises Refused.

    Must not run beside a `from_pretrained` (it changes process-wide defaults): callers hold the build lock.
    """
    try:
        with torch.device("meta"):
            return module_bytes(AutoModelForCausalLM.from_config(config, dtype=dtype))
    except ValueError:
        known, kind = f"transformers {transformers.__version__}", f"'{config.model_type}'"
        raise Refused(f"{known} cannot write text with a model of kind {kind}; pick another") from None


def module_bytes(module: torch.nn.Module) -> int:
    """Bytes of all distinct parameters and buffers, tied ones counted once."""
    tensors = {id(t): t for t in [*module.parameters(), *module.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "amx_tile", "bf16", "arm_bf16"))
