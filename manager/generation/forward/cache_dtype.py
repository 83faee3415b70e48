"""The dtype in which keys and values are kept: the model's own, or float32 where a CPU attends faster in it.

Processors with vector instructions for bfloat16 multiply weights faster in it, but PyTorch's fused attention may be
several times as slow as in float32 (docs/decisions/0048). So it is measured, once in a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import lru_cache

import torch

from manager.generation.forward.arena import KVSlot, Slab
from manager.generation.forward.attention import Decode, RowPart
from manager.generation.forward.kv import CacheShape
from manager.generation.forward.processor import ratio

logger = logging.getLogger(__name__)

FASTER = 1.5
"""How many times as fast attention in float32 must be, since its keys and values take twice the memory."""
LAYERS, HEADS, GROUP, SIZE = 4, 3, 3, 64
"""What is measured: attention of SmolLM2's shape, in which `GROUP` queries share the keys of one head."""
ROWS, KEYS = 8, 256
_measuring = threading.Lock()


def cache_dtype(device: torch.device | str, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which a model that computes in `dtype` on `device` keeps its keys and values."""
    if torch.device(device).type != "cpu" or dtype not in (torch.bfloat16, torch.float16):
        return dtype
    with _measuring:
        return torch.float32 if _ratio(dtype) >= FASTER else dtype


@lru_cache(maxsize=2)
def _ratio(dtype: torch.dtype) -> float:
    """Return how many times as long attention takes in `dtype` as in float32."""
    try:
        return ratio(lambda: (_attention(dtype, dtype), _attention(torch.float32, dtype)))
    except RuntimeError as error:  # this build of torch cannot attend in this dtype
        logger.info("keys and values keep their dtype: %s", error)
        return 0.0


def _attention(kept: torch.dtype, asked: torch.dtype) -> Callable[[], None]:
    """Return a function that attends to keys and values in one dtype for queries in another."""
    slab = Slab(CacheShape(LAYERS, HEADS, SIZE, kept, torch.device("cpu")), ROWS, KEYS)
    slab.tensor.fill_(1)  # memory that was never written is read from the cache alone
    read = Decode([RowPart(row, KVSlot(slab.enter(KEYS)), KEYS - 1, 1) for row in range(ROWS)])
    query = torch.ones(ROWS, HEADS * GROUP, SIZE, dtype=asked)

    def attend() -> None:
        for layer in range(LAYERS):
            read.attend(layer, query.to(kept), None, None).to(asked)

    return attend
