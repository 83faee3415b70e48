"""Which models can have rows laid end to end, and that both ways of running them write what transformers writes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from manager.generation.forward.flat import FlatRunner, flat_runner
from manager.generation.forward.kv import Memo
from manager.generation.forward.solo import SoloRunner

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


COMMON: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
LONG = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
FLAT: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 5},
    "qwen2": {},
    "qwen3": {},
    "gemma3_text": {"sliding_window": 5, "num_hidden_layers": 6},
    "phi3": {},
    "smollm3": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "num_key_value_heads": None},
}
SOLO: dict[str, dict[str, Any]] = {
    "gemma2": {"sliding_window": 5, "attn_logit_softcapping": 50.0, "query_pre_attn_scalar": 8},
    "phi3 longrope": {"rope_parameters": LONG, "original_max_position_embeddings": 16},
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 5},
    "bloom": {"n_layer": 2, "n_head": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "mamba": {"state_size": 4},
}


def tiny(kind: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind.split(maxsplit=1)[0], **{**COMMON, **settings}, dtype="float32")
    return AutoModelForCausalLM.from_config(config).float().eval()


def likeliest(runner: Any, memo: Memo, tokens: list[int], count: int) -> list[int]:
    """Go on with `tokens` for `count` likeliest tokens, the prompt in two pieces."""
    written: list[int] = []
    pieces = [tokens[:3], tokens[3:]]
    with torch.inference_mode():
        for piece in [piece for piece in pieces if piece]:
            logits = runner.run([(memo, piece)])
        for _ in range(count):
            written.append(int(logits[0].argmax()))
            logits = runner.run([(memo, written[-1:])])
    return written


def expected(model: Any, tokens: list[int], count: int) -> list[int]:
    prompt = torch.tensor([tokens])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=count)
    return list(out[0, len(tokens) :].tolist())


@pytest.mark.parametrize("kind", FLAT)
def test_models_of_plain_attention_run_flat(kind: str) -> None:
    model = tiny(kind, FLAT[kind])
    runner = flat_runner(model)
    assert isinstance(runner, FlatRunner)
    chance = random.Random(1)
    for length in (4, 11, 23):
        tokens = [chance.randrange(1, 97) for _ in range(length)]
        assert likeliest(runner, runner.new(), tokens, 12) == expected(model, tokens, 12)


@pytest.mark.parametrize("kind", SOLO)
def test_other_models_run_rows_one_by_one(kind: str) -> None:
    model = tiny(kind, SOLO[kind])
    assert flat_runner(model) is None
    runner = SoloRunner(model)
    tokens = [random.Random(2).randrange(1, 97) for _ in range(13)]
    written = expected(model, tokens, 8)
    assert likeliest(runner, runner.new(), tokens, 8) == written
    assert expected(model, tokens, 8) == written, "the model is left as it was"


@pytest.mark.parametrize("kind", [*FLAT, *SOLO])
@pytest.mark.parametrize("kept", [5, 20, 40])
def test_cached_keys_and_values_give_the_same_logits_as_computing_them_again(kind: str, kept: int) -> None:
    model = tiny(kind, {**FLAT, **SOLO}[kind])
    runner: Any = flat_runner(model) or SoloRunner(model)
    chance = random.Random(kept)
    first = [chance.randrange(1, 97) for _ in range(40)]
    other = first[:kept] + [chance.randrange(1, 97) for _ in range(9)]
    memo = runner.new()
    likeliest(runner, memo, first, 0)
    copy = memo.copy(kept)
    fresh = likeliest(runner, runner.new(), other, 6)
    for reused in [copy] * (copy is not None) + [memo] * memo.crop(kept):
        assert reused.tokens == other[:kept]
        assert likeliest(runner, reused, other[kept:], 6) == fresh
    assert (copy is not None) or kind in SOLO or kept != 40
    if kept == 40:
        assert copy is not None, "extending a cached text works for every model"


def test_rows_of_one_pass_do_not_see_each_other() -> None:
    model = tiny("gemma3_text", FLAT["gemma3_text"])
    runner = flat_runner(model)
    assert runner is not None
    chance = random.Random(3)
    texts = [[chance.randrange(1, 97) for _ in range(length)] for length in (30, 2, 17, 9)]
    with torch.inference_mode():
        alone = [runner.run([(runner.new(), text)])[0] for text in texts]
        memos = [runner.new() for _ in texts]
        logits = torch.zeros(0)
        done = [0] * len(texts)
        while any(at < len(text) for at, text in zip(done, texts, strict=True)):
            rows = [row for row, text in enumerate(texts) if done[row] < len(text)]
            parts: list[tuple[Memo, list[int]]] = []
            for row in rows:
                size = chance.randrange(1, 7)
                parts.append((memos[row], texts[row][done[row] : done[row] + size]))
                done[row] += len(parts[-1][1])
            logits = runner.run(parts)
            for row, found in zip(rows, logits, strict=True):
                if done[row] == len(texts[row]):
                    assert torch.allclose(found, alone[row], atol=1e-5)


def test_a_failed_pass_leaves_memos_unchanged() -> None:
    model = tiny("llama", {})
    runner = flat_runner(model)
    assert runner is not None
    memo, fresh = runner.new(), runner.new()
    tokens = list(range(1, 20))
    with torch.inference_mode():
        runner.run([(memo, tokens[:10])])
        handle = model.lm_head.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run([(memo, [50, 51, 52])])
        handle.remove()
        assert memo.tokens == tokens[:10]
        after = runner.run([(memo, tokens[10:])])
        assert torch.allclose(after, runner.run([(fresh, tokens)]), atol=1e-5)


def test_a_memo_takes_no_more_than_its_announced_size() -> None:
    runner = flat_runner(tiny("llama", {}))
    assert runner is not None
    memo = runner.new()
    assert memo.bytes == 0
    with torch.inference_mode():
        for _ in range(40):
            runner.run([(memo, [5, 6, 7])])
            assert 0 < memo.bytes <= runner.bytes_for(len(memo.tokens))
    half = memo.copy(60)
    assert 0 < half.bytes <= runner.bytes_for(60)
