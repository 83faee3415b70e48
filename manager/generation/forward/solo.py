"""Run rows one at a time, each with the cache that transformers makes for the model. Works for every model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from manager.generation.forward.kv import CacheShape, Memo


class CacheMemo(Memo):
    """One of transformers' caches."""

    def __init__(self, cache: Any) -> None:
        super().__init__()
        self.cache = cache

    @property
    def bytes(self) -> int:
        tensors = {id(t): t for layer in getattr(self.cache, "layers", ()) for t in _tensors(vars(layer).values())}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    def crop(self, length: int) -> bool:
        surplus = len(self.tokens) - length
        if surplus:
            if not self._croppable():
                return False
            self.cache.crop(-surplus)
            del self.tokens[length:]
        return True

    def copy(self, length: int) -> CacheMemo | None:
        if length != len(self.tokens) and not self._croppable():
            return None
        other = CacheMemo(copy.deepcopy(self.cache))
        other.tokens = list(self.tokens)
        other.crop(length)
        return other

    def _croppable(self) -> bool:
        """Return whether every layer still holds all that a shorter text needs.

        `is_croppable` is not reliable: it is true for a sliding window that has slid, and cropping then fails half-way.
        So only known kinds of layers are cropped.
        """
        return all(
            type(layer) is DynamicLayer
            or (type(layer) is DynamicSlidingWindowLayer and layer.get_seq_length() < layer.sliding_window)
            for layer in self.cache.layers
        )


class SoloRunner:
    """Runs a model for one row at a time."""

    together = False

    def __init__(self, model: Any) -> None:
        self.model = model
        try:
            self._token_bytes = CacheShape.of(model).token_bytes
        except AttributeError:
            self._token_bytes = 0

    def new(self) -> CacheMemo:
        """Return an empty memo."""
        return CacheMemo(DynamicCache(config=self.model.config))

    def bytes_for(self, length: int) -> int:
        """Return the largest size of a memo of `length` tokens, in bytes; 0 if the model's config does not say."""
        return length * self._token_bytes

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Return logits [1, vocabulary] after the last token of the only part. Its memo is unusable if this raises."""
        ((memo, tokens),) = parts
        assert isinstance(memo, CacheMemo)
        ids = torch.tensor([tokens], dtype=torch.long, device=self.model.device)
        output = self.model(input_ids=ids, past_key_values=memo.cache, use_cache=True, logits_to_keep=1)
        memo.tokens += tokens
        return output.logits[:, -1]


def _tensors(values: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple, dict)):
            found += _tensors(value.values() if isinstance(value, dict) else value)
    return found
