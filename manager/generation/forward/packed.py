"""Linear layers in the layout that the processor multiplies fastest, on a CPU.

The weights of a plain layer are rearranged at every call. Doing that once makes a pass in bfloat16 about a quarter
faster, and multiplying layers with the same input at once makes it faster still (docs/decisions/0049). In float32 it
depends on the processor: where the vendor of the mathematical library is not the processor's, a matrix of two rows
takes up to twice as long as a packed one (docs/decisions/0047). So it is measured, once in a process.
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
TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers that most models give the same input; whether they do is checked at every call."""
MEASURED, LAYERS = (576, 1536), 8
"""What is measured: layers of this shape, more than fit into a core's cache."""
_measuring = threading.Lock()


class _Weights:
    """The packed weights of linear layers that are given the same input, and are multiplied at once.

    The layer that is asked first multiplies for all; the others find their part, until the last one has taken its own.
    A layer that is given anything else than the ones before it multiplies anew.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._sizes = [layer.out_features for layer in layers]
        self._packed = torch.ops.mkldnn._reorder_linear_weight(_joined([layer.weight for layer in layers]), ROWS)
        self._bias = None if layers[0].bias is None else _joined([layer.bias for layer in layers])
        self._latest: tuple[torch.Tensor, Sequence[torch.Tensor]] | None = None

    def multiply(self, number: int, inputs: torch.Tensor) -> torch.Tensor:
        """Return the results of one of the layers for `inputs`."""
        latest = self._latest  # read once, as other threads may change it
        if latest is None or latest[0] is not inputs:
            results = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self._bias, "none", [], "")
            latest = inputs, results.split(self._sizes, -1)
        self._latest = None if number == len(self._sizes) - 1 else latest
        return latest[1][number]


def _joined(parts: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat(parts).detach() if len(parts) > 1 else parts[0].detach().contiguous()


class PackedLinear(nn.Module):  # type: ignore[misc]
    """Computes the same as `layer`, whose weights cannot be read back once they are packed."""

    def __init__(self, layer: nn.Linear, weights: _Weights, number: int) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.nbytes = int(layer.weight.nbytes)
        self._multiply = partial(weights.multiply, number)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map [..., in_features] to [..., out_features]."""
        return self._multiply(inputs)


def packed_together(layers: Sequence[nn.Linear]) -> list[PackedLinear]:
    """Return packed layers that compute the same as `layers`, fastest if these are given the same input one by one.

    Either all have a bias, or none.
    """
    weights = _Weights(layers)
    return [PackedLinear(layer, weights, number) for number, layer in enumerate(layers)]


def pack(model: Any, tidy: Callable[[], None]) -> None:
    """Pack all linear layers of `model`, if its device, its dtype and this version of torch allow it.

    Args:
        tidy: Returns freed memory to the system. Without it, the weights take twice their memory until they are packed.
    """
    if not packs(model.device, model.dtype):
        return
    for parent in [module for module in model.modules() if not isinstance(module, nn.Linear)]:
        found = {name: child for name, child in parent.named_children() if _can_be_packed(child, model.dtype)}
        for names in _groups(found):
            for name, layer in zip(names, packed_together([found[name] for name in names]), strict=True):
                setattr(parent, name, layer)
        if found:
            found.clear()
            tidy()
    for parameter in model.parameters():  # the others are mapped from a file, all of which they keep in memory
        parameter.data = parameter.data.clone()


def _groups(layers: dict[str, nn.Linear]) -> list[tuple[str, ...]]:
    """Return the names of `layers` in groups, each of which is multiplied at once."""
    groups = [names for names in TOGETHER if all(name in layers for name in names)]
    groups = [names for names in groups if len({_kind(layers[name]) for name in names}) == 1]
    grouped = {name for names in groups for name in names}
    return [*groups, *((name,) for name in layers if name not in grouped)]


def _kind(layer: nn.Linear) -> tuple[int, bool]:
    return layer.in_features, layer.bias is not None


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
    packed = [packed_together([layer])[0] for layer in plain]

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
