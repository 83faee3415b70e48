"""Keys and values of conversations: what is kept between turns, what is reused, and what must go.

Runs no model: a `Memo` is what a runner computed for some tokens, in whatever form it needs.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

SHARED = 16
"""A common beginning shorter than this many tokens is not worth copying."""


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with.

    >>> common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return int((np.asarray(first[:length]) != np.asarray(second[:length])).argmax())


@dataclass(frozen=True)
class Shape:
    """What one token's keys and values look like."""

    layers: int
    heads: int
    size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Memory for the keys and values of one token."""
        return self.layers * 2 * self.heads * self.size * int(self.dtype.itemsize)

    @classmethod
    def of(cls, model: Any) -> Shape:
        """The shape that a model's settings name."""
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(config.num_hidden_layers, kv_heads, size, model.dtype, model.device)


class Memo(ABC):
    """The keys and values that a model computed for `tokens`, in order."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.conversation: str | None = None

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Memory that it takes."""

    @abstractmethod
    def crop(self, length: int) -> bool:
        """Forget all after the first `length` tokens; False, changing nothing, where the model cannot."""

    @abstractmethod
    def copy(self, length: int) -> Memo | None:
        """A memo of its own of the first `length` tokens; None where the model cannot."""

    def shared(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` it begins with."""
        return common(self.tokens, tokens)


class Shelf:
    """Memos of conversations that nobody is writing in, least recently used first, of at most `limit` bytes.

    Any thread may trim it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.RLock()
        self._kept: list[Memo] = []

    @property
    def bytes(self) -> int:
        """Memory that all of them take."""
        with self._lock:
            return sum(memo.bytes for memo in self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, memo: Memo) -> None:
        """Keep a memo instead of those that it makes useless."""
        with self._lock:
            self._kept = [other for other in self._kept if not _replaces(memo, other)]
            if memo.bytes <= self.limit:
                self._kept.append(memo)
                self.trim(self.limit)

    def trim(self, to_bytes: int) -> None:
        """Forget the least recently used until at most `to_bytes` are left."""
        with self._lock:
            left = self.bytes
            while self._kept and left > to_bytes:
                left -= self._kept.pop(0).bytes

    def best(self, tokens: Sequence[int], conversation: str | None, busy: Iterable[Memo]) -> Memo | None:
        """A memo for whoever is about to write after `tokens`, holding as long a beginning of them as there is.

        The last token is always left to be computed, for its logits are wanted. A memo of the same conversation is
        taken off the shelf; from those of others, and from `busy` ones, the beginning is copied.
        """
        with self._lock:
            return self._best(tokens, len(tokens) - 1, conversation, busy)

    def _best(self, tokens: Sequence[int], limit: int, conversation: str | None, busy: Iterable[Memo]) -> Memo | None:
        own: Memo | None = None
        others = list(busy)
        for memo in self._kept:
            if conversation is not None and memo.conversation == conversation:
                own = memo
            else:
                others.append(memo)
        found = min(own.shared(tokens), limit) if own is not None else 0
        lengths = [min(memo.shared(tokens), limit) for memo in others]
        for length, memo in sorted(zip(lengths, others, strict=True), key=lambda pair: -pair[0]):
            if length < found + SHARED:
                break
            if (copy := memo.copy(length)) is not None:
                self._touch(memo)
                return copy
        if own is not None and found > 0 and own.crop(found):
            self._kept.remove(own)
            return own
        return None

    def _touch(self, memo: Memo) -> None:
        if memo in self._kept:
            self._kept.remove(memo)
            self._kept.append(memo)


def _replaces(memo: Memo, other: Memo) -> bool:
    """Whether `other` is of no more use: an earlier state of the same conversation, or a beginning of nobody's."""
    if other.conversation is None:
        return memo.shared(other.tokens) == len(other.tokens)
    return other.conversation == memo.conversation
