"""Run many rows in one forward pass without padding: their tokens are concatenated, and each attends to its own KV.

The model's own code runs, with one part replaced: how attention looks up keys and values. This is correct for models
whose layers mix tokens only by plain causal attention, over all of the past or a sliding window. Such models are not
recognised by name: any other request to attention is refused, and `_misfit` compares the results with those that the
model computes by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from manager.generation.forward.kv import CacheShape, Memo

logger = logging.getLogger(__name__)

NAME = "parley_flat"
GROW = 128
"""KV memory grows in steps of this many tokens, and by a quarter at least."""
HARMLESS = frozenset({"position_ids", "is_causal", "use_cache", "cache_position", "position_embeddings"})
"""Arguments of attention that do not change how it attends."""
CHANGING_ROPE = frozenset({"dynamic", "longrope"})
"""Rotary embeddings that depend on the longest row of a batch, so that rows would differ from those run alone."""


class NotFlat(Exception):
    """The model's attention requires something that this module does not support."""


class FlatMemo(Memo):
    """Keys and values in one tensor [layers, keys and values, 1, heads, room, head size]."""

    def __init__(self, shape: CacheShape) -> None:
        super().__init__()
        self._shape = shape
        self._room = self._make(0)

    @property
    def bytes(self) -> int:
        return int(self._room.nbytes)

    def crop(self, length: int) -> bool:
        del self.tokens[length:]
        return True

    def copy(self, length: int) -> FlatMemo:
        other = FlatMemo(self._shape)
        other._room = self._make(_rounded(length))
        other._room[..., :length, :] = self._room[..., :length, :]
        other.tokens = self.tokens[:length]
        return other

    def views(self, new: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return views of the places for the next `new` tokens, and of all up to them: each layer's keys and values."""
        start, end = len(self.tokens), len(self.tokens) + new
        if end > self._room.shape[-2]:
            larger = self._make(_rounded(end + end // 4))
            larger[..., :start, :] = self._room[..., :start, :]
            self._room = larger
        whole = self._room[..., :end, :].flatten(0, 1)
        return list(whole[..., start:, :].unbind()), list(whole.unbind())

    def _make(self, room: int) -> torch.Tensor:
        shape = self._shape
        return torch.empty(shape.layers, 2, 1, shape.heads, room, shape.size, dtype=shape.dtype, device=shape.device)


@dataclass
class Part:
    """One row's part of a pass: its tokens at [begin, end), after `past` earlier ones."""

    begin: int
    end: int
    past: int
    written: list[torch.Tensor]
    seen: list[torch.Tensor]
    mask: torch.Tensor | None  # [new, past + new], added to the scores; only for several tokens after earlier ones


@dataclass
class Pass:
    """The rows of one pass. `look` is called at every layer."""

    parts: list[Part]
    look: Callable[[], None] | None


class FlatRunner:
    """Runs a model for many rows at once."""

    together = True

    def __init__(self, model: Any, look: Callable[[], None] | None = None) -> None:
        self.model = model
        self._look = look
        self._shape = CacheShape.of(model)

    def new(self) -> FlatMemo:
        """Return an empty memo."""
        return FlatMemo(self._shape)

    def bytes_for(self, length: int) -> int:
        """Return the largest size of a memo of `length` tokens, in bytes."""
        return _rounded(length + length // 4) * self._shape.token_bytes

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Return logits [parts, vocabulary] after the last token of each part, and add the tokens to the memos.

        If it raises, the memos are unchanged.
        """
        device = self._shape.device
        step: list[Part] = []
        end = 0
        for memo, tokens in parts:
            assert isinstance(memo, FlatMemo)
            begin, end, past = end, end + len(tokens), len(memo.tokens)
            mask = None
            if past and len(tokens) > 1:
                mask = self._mask(len(tokens), past)
            step.append(Part(begin, end, past, *memo.views(len(tokens)), mask))
        ids = torch.tensor([[token for _, tokens in parts for token in tokens]], dtype=torch.long, device=device)
        places = [place for part in step for place in range(part.past, part.past + part.end - part.begin)]
        with _attending(self.model.config):
            output = self.model(
                input_ids=ids,
                position_ids=torch.tensor([places], dtype=torch.long, device=device),
                use_cache=False,
                logits_to_keep=torch.tensor([part.end - 1 for part in step], dtype=torch.long, device=device),
                flat_step=Pass(step, self._look),
            )
        for memo, tokens in parts:
            memo.tokens += tokens
        return output.logits[0]

    def _mask(self, new: int, past: int) -> torch.Tensor:
        """Return the causal mask of `new` tokens after `past` ones, added to scores [new, past + new].

        It holds numbers, as a boolean mask would be converted to numbers in every layer.
        """
        shape = self._shape
        mask = torch.zeros(new, past + new, dtype=shape.dtype, device=shape.device)
        mask[:, past:].fill_(-torch.inf).triu_(1)
        return mask


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    flat_step: Pass | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention [1, tokens, heads, size] for the rows of a pass, each over its own keys and values.

    Raises NotFlat for any request beyond plain causal attention.
    """
    if flat_step is None or attention_mask is not None or dropout or not getattr(module, "is_causal", True):
        raise NotFlat("its attention is not plain causal attention")
    for name, wanted in others.items():
        if wanted is not None and wanted is not False and name not in HARMLESS:
            raise NotFlat(f"its attention uses {name}")
    if flat_step.look is not None:
        flat_step.look()
    at = 2 * module.layer_idx
    grouped = query.shape[1] != key.shape[1]
    outputs = []
    for part in flat_step.parts:
        keys, values = part.seen[at], part.seen[at + 1]
        part.written[at].copy_(key[:, :, part.begin : part.end])
        part.written[at + 1].copy_(value[:, :, part.begin : part.end])
        mask, new = part.mask, part.end - part.begin
        if sliding_window is not None and part.past + new > sliding_window:
            first = max(0, part.past - sliding_window + 1)  # the earliest that the first new token sees
            keys, values = keys[:, :, first:], values[:, :, first:]
            if new > 1:
                seen = torch.ones(new, part.past + new - first, dtype=torch.bool, device=query.device)
                mask = seen.tril(part.past - first).triu(part.past - first - sliding_window + 1)
        outputs.append(
            scaled_dot_product_attention(
                query[:, :, part.begin : part.end],
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None and new > 1,
                scale=scaling,
                enable_gqa=grouped,
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2), None


AttentionInterface.register(NAME, attend)


@contextmanager
def _attending(config: Any) -> Iterator[None]:
    """Replace the attention of the model with this config by `attend`, for the duration of a block."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def flat_runner(model: Any, look: Callable[[], None] | None = None) -> FlatRunner | None:
    """Return a runner for `model`, or None if its rows cannot be concatenated."""
    if not getattr(model, "_supports_attention_backend", False):
        return None
    try:
        reason = _misfit(model)
    except Exception as error:  # noqa: BLE001 (models raise all kinds of errors on unusual arguments)
        reason = f"{type(error).__name__}: {error}"
    if reason is None:
        return FlatRunner(model, look)
    logger.info("this model runs its rows one by one: %s", reason)
    return None


def _misfit(model: Any) -> str | None:
    """Return why rows cannot be concatenated, or None if they can.

    The result of a row must not depend on the row before it at all (as with a convolution or a recurrence), and two
    rows in several passes must give the same results as each alone.
    """
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {rope.get("rope_type")} | {r.get("rope_type") for r in rope.values() if isinstance(r, dict)}
    if kinds & CHANGING_ROPE:
        return "its positions depend on the longest row"
    size = min(int(config.vocab_size), 1000)
    chance = torch.Generator().manual_seed(0)
    first, second, other = (torch.randint(1, size, (n,), generator=chance).tolist() for n in (7, 12, 7))
    runner = FlatRunner(model)
    with torch.inference_mode():
        beside = [runner.run([(runner.new(), row), (runner.new(), second)])[1] for row in (first, other)]
        if not torch.equal(*beside):
            return "its rows depend on each other"
        memos = [runner.new() for _ in range(2)]
        flat = torch.zeros(0)
        for begin, end in ((0, 4), (4, -1), (-1, None)):
            flat = runner.run([(memo, row[begin:end]) for memo, row in zip(memos, (first, second), strict=True)])
        for row, got in zip((first, second), flat.float(), strict=True):
            ids = torch.tensor([row], device=model.device)
            alone = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            tolerance = (1e-3 if model.dtype == torch.float32 else 0.1) * (alone - alone.mean()).norm()
            if not (got - alone).norm() <= tolerance:
                return "its rows give other results than each alone"
    return None


def _rounded(length: int) -> int:
    return -(-length // GROW) * GROW
