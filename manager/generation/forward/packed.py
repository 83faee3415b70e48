"""Linear layers in the layout that the processor multiplies fastest, on a CPU.

The weights of a plain layer are rearranged at every call. Doing that once makes a pass in bfloat16 about a quarter
faster. In float32 that depends on the processor: where the vendor of the mathematical library is not the processor's,
a matrix of two rows takes up to twice as long as a packed one (docs/decisions/0047). So it is measured, once in a
process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from manager.generation.forward.processor import ratio

logger = logging.getLogger(__name__)

ROWS = 16
"""The number of rows for which the layout is chosen; it works with others, too."""
MEASURED, LAYERS = (576, 1536), 8
"""What is measured: layers of this shape, more than fit into a core's cache."""
_measuring = threading.Lock()


class PackedLinear(nn.Module):  # type: ignore[misc]
    """Computes the same as `linear`. The packed weights replace its own, and cannot be read back."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.nbytes = int(linear.weight.nbytes)
        weights = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), ROWS)
        bias = None if linear.bias is None else linear.bias.detach()
        # Hidden in a partial, so that nothing takes it for a tensor with a storage.
        self._multiply = partial(_multiplied, weights, bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map [..., in_features] to [..., out_features]."""
        return self._multiply(inputs)


def _multiplied(weights: torch.Tensor, bias: torch.Tensor | None, inputs: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weights, bias, "none", [], "")
    return result


def pack(model: Any, tidy: Callable[[], None]) -> None:
    """Pack all linear layers of `model`, if its device, its dtype and this version of torch allow it.

    Args:
        tidy: Returns freed memory to the system. Without it, the weights take twice their memory until they are packed.
    """
    if not packs(model.device, model.dtype):
        return
    for parent in [module for module in model.modules() if not isinstance(module, nn.Linear)]:
        found = [name for name, child in parent.named_children() if _can_be_packed(child, model.dtype)]
        for name in found:
            setattr(parent, name, PackedLinear(getattr(parent, name)))
        if found:
            tidy()
    for parameter in model.parameters():  # the others are mapped from a file, all of which they keep in memory
        parameter.data = parameter.data.clone()


def _can_be_packed(module: nn.Module, dtype: torch.dtype) -> bool:
    return type(module) is nn.Linear and module.weight.dtype == dtype


def packs(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Return whether linear layers on `device` in `dtype` are packed: where that is possible, and makes them faster."""
    operators = torch.ops.mkldnn
    possible = (
        torch.device(device).type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(operators, "_reorder_linear_weight")
        and hasattr(operators, "_linear_pointwise")
    )
    if not possible:
        return False
    if dtype == torch.bfloat16:
        return bool(operators._is_mkldnn_bf16_supported())
    with _measuring:
        return dtype == torch.float32 and _is_faster()


@lru_cache(maxsize=1)
def _is_faster() -> bool:
    """Measure whether two rows are multiplied faster by packed weights in float32 than by plain ones."""
    try:
        return ratio(_contenders) > 1  # busy neighbours bring it closer to 1
    except RuntimeError as error:  # this build of torch lacks the operators for this processor
        logger.info("layers in float32 are not packed: %s", error)
        return False


def _contenders() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return functions that compute plain layers and packed ones."""
    inputs = torch.ones(2, MEASURED[0])
    plain = [nn.Linear(*MEASURED, bias=False) for _ in range(LAYERS)]
    packed = [PackedLinear(layer) for layer in plain]

    def compute(layers: Sequence[nn.Module]) -> None:
        for layer in layers:
            layer(inputs)

    return partial(compute, plain), partial(compute, packed)


def packed_bytes(model: Any) -> int:
    """Return the bytes of the packed layers of `model`, which its parameters do not include."""
    return sum(module.nbytes for module in model.modules() if isinstance(module, PackedLinear))


def extra_bytes(head: int, device: str, dtype: torch.dtype, *, tied: bool) -> int:
    """Return the bytes that packing adds: an output layer of `head` weights that is tied gets its own."""
    return head * int(dtype.itemsize) if tied and packs(device, dtype) else 0
