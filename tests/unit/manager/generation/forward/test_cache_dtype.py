"""Keys and values are kept in float32 only where a CPU attends clearly faster in it, and results stay the same."""

from __future__ import annotations

import pytest
import torch

from manager.generation.forward import cache_dtype, flat
from manager.generation.forward.flat import FlatRunner, flat_runner
from manager.generation.forward.processor import ratio
from tests.unit.manager.conftest import tiny_model

REDUCED = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", REDUCED)
@pytest.mark.parametrize(("measured", "wide"), [(0.9, False), (1.4, False), (5.0, True)])
def test_float32_is_chosen_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, measured: float, wide: bool
) -> None:
    monkeypatch.setattr(cache_dtype, "_ratio", lambda _: measured)
    assert cache_dtype.cache_dtype("cpu", dtype) is (torch.float32 if wide else dtype)


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float32), ("cuda", torch.bfloat16)])
def test_nothing_is_measured_where_there_is_no_choice(
    monkeypatch: pytest.MonkeyPatch, device: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(cache_dtype, "_ratio", lambda _: pytest.fail("it was measured"))
    assert cache_dtype.cache_dtype(device, dtype) is dtype


@pytest.mark.parametrize("dtype", REDUCED)
def test_it_can_be_measured(dtype: torch.dtype) -> None:
    assert ratio(lambda: (cache_dtype._attention(dtype, dtype), cache_dtype._attention(torch.float32, dtype))) > 0


@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
def test_a_model_in_bfloat16_computes_the_same_with_either(monkeypatch: pytest.MonkeyPatch, kept: torch.dtype) -> None:
    monkeypatch.setattr(flat, "cache_dtype", lambda *_: kept)
    model = tiny_model().to(torch.bfloat16).eval()
    runner = flat_runner(model)
    assert isinstance(runner, FlatRunner)
    assert runner.arena.shape.dtype is kept
    rows = [[5, 9, 2, 7, 11, 3], [8, 1, 4]]
    memos = [runner.new() for _ in rows]
    with torch.inference_mode():
        runner.run([(memo, row[:-1]) for memo, row in zip(memos, rows, strict=True)])
        together = runner.run([(memo, row[-1:]) for memo, row in zip(memos, rows, strict=True)])
        alone = torch.stack([model(input_ids=torch.tensor([row])).logits[0, -1] for row in rows])
    assert together.dtype is torch.bfloat16
    assert torch.allclose(together.float(), alone.float(), atol=0.05)


def test_what_it_takes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = tiny_model().to(torch.bfloat16), {}
    for kept in (torch.bfloat16, torch.float32):
        monkeypatch.setattr(flat, "cache_dtype", lambda *_, kept=kept: kept)
        sizes[kept] = FlatRunner(model).bytes_for(100)
    assert sizes[torch.float32] == 2 * sizes[torch.bfloat16]


def test_what_this_machine_cannot_do_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> float:
        raise RuntimeError("no such operator for this processor")

    monkeypatch.setattr(cache_dtype, "ratio", fails)
    monkeypatch.setattr(cache_dtype, "_ratio", cache_dtype._ratio.__wrapped__)
    assert cache_dtype.cache_dtype("cpu", torch.bfloat16) is torch.bfloat16
