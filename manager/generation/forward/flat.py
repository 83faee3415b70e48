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
from typing import Any

import torch
from transformers import AttentionInterface

from manager.generation.forward.arena import KVArena, SlotMemo, room_for
from manager.generation.forward.attention import Pass, RowPart
from manager.generation.forward.cache_dtype import cache_dtype
from manager.generation.forward.kv import CacheShape, Memo

logger = logging.getLogger(__name__)

NAME = "parley_flat"
HARMLESS = frozenset({"position_ids", "is_causal", "use_cache", "cache_position", "position_embeddings"})
"""Arguments of attention that do not change how it attends."""
CHANGING_ROPE = frozenset({"dynamic", "longrope"})
"""Rotary embeddings that depend on the longest row of a batch, so that rows would differ from those run alone."""


class NotFlat(Exception):
    """The model's attention requires something that this module does not support."""


class FlatRunner:
    """Runs a model for many rows at once."""

    together = True

    def __init__(self, model: Any, look: Callable[[], None] | None = None) -> None:
        self.model = model
        self._look = look
        self.arena = KVArena(CacheShape.of(model, cache_dtype(model.device, model.dtype)))

    def new(self) -> SlotMemo:
        """Return an empty memo."""
        return SlotMemo(self.arena)

    def bytes_for(self, length: int) -> int:
        """Return the size of a memo of `length` tokens, in bytes."""
        return room_for(length) * self.arena.shape.token_bytes

    def run(self, parts: Sequence[tuple[Memo, list[int]]]) -> torch.Tensor:
        """Return logits [parts, vocabulary] after the last token of each part, and add the tokens to the memos.

        If it raises, the memos are unchanged.
        """
        self.arena.tidy()
        entries: list[RowPart] = []
        for number, (memo, tokens) in enumerate(parts):
            assert isinstance(memo, SlotMemo)
            past, new = len(memo.tokens), len(tokens)
            entries.append(RowPart(number, memo.reserve(past + new), past, new))
        step = Pass(entries, self._look)
        last = [0] * len(parts)
        ids: list[int] = []
        places: list[int] = []
        for entry in step.entries:
            ids += parts[entry.number][1]
            places += range(entry.past, entry.end)
            last[entry.number] = len(ids) - 1
        device = self.arena.shape.device
        with _attending(self.model.config):
            output = self.model(
                input_ids=torch.tensor([ids], dtype=torch.long, device=device),
                position_ids=torch.tensor([places], dtype=torch.long, device=device),
                use_cache=False,
                logits_to_keep=torch.tensor(last, dtype=torch.long, device=device),
                flat_step=step,
            )
        for memo, tokens in parts:
            memo.tokens += tokens
        logits: torch.Tensor = output.logits[0]
        return logits


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
    return flat_step.attend(module.layer_idx, query[0], key[0], value[0], sliding_window, scaling)[None], None


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
