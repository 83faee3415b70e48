"""Keys and values of conversations: what is cached between turns, reused and dropped.

A `Memo` is what a runner computed for some tokens, in the runner's own form.
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
"""A common prefix shorter than this many tokens is not worth copying."""


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common prefix of two sequences of tokens.

    >>> common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return int((np.asarray(first[:length]) != np.asarray(second[:length])).argmax())


@dataclass(frozen=True)
class CacheShape:
    """The dimensions of one token's keys and values."""

    layers: int
    heads: int
    size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token."""
        return self.layers * 2 * self.heads * self.size * int(self.dtype.itemsize)

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype | None = None) -> CacheShape:
        """Return the shape according to a model's config, in the model's dtype or another."""
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(config.num_hidden_layers, kv_heads, size, dtype or model.dtype, model.device)


class Memo(ABC):
    """The keys and values that a model computed for `tokens`, in order."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.conversation: str | None = None

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Bytes that it takes."""

    @abstractmethod
    def crop(self, length: int) -> bool:
        """Drop all but the first `length` tokens. Return False, changing nothing, if the model does not allow it."""

    @abstractmethod
    def copy(self, length: int) -> Memo | None:
        """Return a copy of the first `length` tokens, or None if the model does not allow it."""

    def shared(self, tokens: Sequence[int]) -> int:
        """Return the length of the prefix that it shares with `tokens`."""
        return common(self.tokens, tokens)


class Shelf:
    """Memos of conversations that are not being written, least recently used first, of at most `limit` bytes.

    Any thread may trim it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.RLock()
        self._memos: list[Memo] = []

    @property
    def bytes(self) -> int:
        """Bytes that all memos take."""
        with self._lock:
            return sum(memo.bytes for memo in self._memos)

    def __len__(self) -> int:
        return len(self._memos)

    def put(self, memo: Memo) -> None:
        """Store a memo, replacing those that it makes useless."""
        with self._lock:
            self._memos = [other for other in self._memos if not _replaces(memo, other)]
            if memo.bytes <= self.limit:
                self._memos.append(memo)
                self.trim(self.limit)

    def trim(self, to_bytes: int) -> None:
        """Drop the least recently used memos until at most `to_bytes` remain."""
        with self._lock:
            left = self.bytes
            while self._memos and left > to_bytes:
                left -= self._memos.pop(0).bytes

    def best(self, tokens: Sequence[int], conversation: str | None, busy: Iterable[Memo]) -> Memo | None:
        """Return a memo with the longest available prefix of `tokens`, or None if there is none.

        The last token is never included, as its logits are still needed. A memo of the same conversation is taken off
        the shelf; the prefix is copied from those of other conversations and from `busy` ones.
        """
        with self._lock:
            return self._best(tokens, len(tokens) - 1, conversation, busy)

    def _best(self, tokens: Sequence[int], limit: int, conversation: str | None, busy: Iterable[Memo]) -> Memo | None:
        own: Memo | None = None
        others = list(busy)
        for memo in self._memos:
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
            self._memos.remove(own)
            return own
        return None

    def _touch(self, memo: Memo) -> None:
        if memo in self._memos:
            self._memos.remove(memo)
            self._memos.append(memo)


def _replaces(memo: Memo, other: Memo) -> bool:
    """Return whether `memo` makes `other` useless: an earlier state of its conversation, or a prefix without one."""
    if other.conversation is None:
        return memo.shared(other.tokens) == len(other.tokens)
    return other.conversation == memo.conversation
