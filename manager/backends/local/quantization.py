"""The kinds of quantization that transformers offers, with their packages, devices and settings.

A package is imported only when its kind is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from manager.errors import MissingPackage, Refused


@dataclass(frozen=True)
class Quantization:
    """One kind of quantization. `bits` is the size of a weight of a linear layer, including its share of the scales."""

    packages: tuple[str, ...]
    devices: tuple[str, ...]
    bits: float
    config: Callable[[torch.dtype], Any]


def _bitsandbytes_8bit(_: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


def _bitsandbytes_4bit(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _torchao_int8(_: torch.dtype) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


def _torchao_int4(_: torch.dtype) -> Any:
    from torchao.quantization import Int4WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int4WeightOnlyConfig(group_size=128))


KINDS = {
    "bitsandbytes-8bit": Quantization(("bitsandbytes", "accelerate"), ("cuda", "cpu"), 8.1, _bitsandbytes_8bit),
    "bitsandbytes-4bit": Quantization(("bitsandbytes", "accelerate"), ("cuda", "cpu"), 4.5, _bitsandbytes_4bit),
    "torchao-int8": Quantization(("torchao", "accelerate"), ("cuda", "cpu"), 8.1, _torchao_int8),
    "torchao-int4": Quantization(("torchao", "accelerate"), ("cuda",), 4.25, _torchao_int4),
}


def find(wanted: str, device: str) -> Quantization:
    """Return the kind that a registry entry names. Raises Refused, or MissingPackage with what to install."""
    kind = KINDS.get(wanted)
    if kind is None:
        raise Refused(f"key 'quantization': '{wanted}' is unknown; write one of {', '.join(KINDS)}, or leave it out")
    if device.split(":")[0] not in kind.devices:
        raise Refused(f"key 'quantization': '{wanted}' does not run on '{device}', only on {' or '.join(kind.devices)}")
    require(f"key 'quantization': '{wanted}'", *kind.packages)
    return kind


def require(what: str, *packages: str) -> None:
    """Raise MissingPackage unless all packages that `what` needs are installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        names = " ".join(missing)
        raise MissingPackage(f"{what} needs the package {' and '.join(missing)}; run: pip install {names}")
