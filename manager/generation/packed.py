"""Linear layers in the layout that the processor multiplies fastest, for bfloat16 on a CPU.

A plain layer's weights are rearranged at every call; here that is done once. It makes a pass about a quarter faster.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

ROWS = 16
"""The number of rows that the layout is chosen for; it serves others as well."""


class PackedLinear(nn.Module):  # type: ignore[misc]
    """Computes what `linear` did; the packed weights replace it and cannot be read back."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.nbytes = int(linear.weight.nbytes)
        weights = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), ROWS)
        bias = None if linear.bias is None else linear.bias.detach()
        # Held where nobody takes it for a tensor that has a storage.
        self._multiply = partial(_multiplied, weights, bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[..., in_features] -> [..., out_features]."""
        return self._multiply(inputs)


def _multiplied(weights: torch.Tensor, bias: torch.Tensor | None, inputs: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weights, bias, "none", [], "")
    return result


def pack(model: Any) -> None:
    """Pack all linear layers of `model`, where this device, its type and this torch can."""
    if not packs(model.device, model.dtype):
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.bfloat16:
                setattr(parent, name, PackedLinear(child))


def packs(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Whether linear layers on `device` in `dtype` can be packed."""
    operators = torch.ops.mkldnn
    return (
        torch.device(device).type == "cpu"
        and dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()
        and hasattr(operators, "_reorder_linear_weight")
        and hasattr(operators, "_linear_pointwise")
        and bool(operators._is_mkldnn_bf16_supported())
    )


def packed_bytes(model: Any) -> int:
    """Memory that the packed layers of `model` take, which none of its parameters shows."""
    return sum(module.nbytes for module in model.modules() if isinstance(module, PackedLinear))


def extra_bytes(config: Any, device: str, dtype: torch.dtype) -> int:
    """Memory that packing adds: an output layer that shared its weights with the embeddings gets its own."""
    text = config.get_text_config()
    if not getattr(config, "tie_word_embeddings", False) or not packs(device, dtype):
        return 0
    return int(text.vocab_size) * int(text.hidden_size) * int(dtype.itemsize)
