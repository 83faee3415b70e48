"""Packed layers compute what plain ones do, and float32 is packed only where that was measured to be faster."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from manager.generation.forward import packed
from manager.generation.forward.processor import ratio
from tests.unit.manager.conftest import tiny_model

possible = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch packs nothing")


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in each test anew."""
    monkeypatch.setattr(packed, "_is_faster", packed._is_faster.__wrapped__)


@possible
@pytest.mark.parametrize("rows", [1, 2, 7, 300])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_a_plain_one_does(rows: int, bias: bool) -> None:
    plain = nn.Linear(48, 31, bias=bias)
    inputs = torch.randn(1, rows, 48)
    with torch.inference_mode():
        assert torch.allclose(packed.PackedLinear(plain)(inputs), plain(inputs), atol=1e-5)


@possible
def test_a_packed_model_computes_what_a_plain_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ratio", lambda _: 2.0)
    plain = tiny_model(tied=True).eval()
    model = copy.deepcopy(plain)
    packed.pack(model, lambda: None)
    assert packed.packed_bytes(model) > 0
    ids = torch.tensor([[5, 9, 2, 7]])
    with torch.inference_mode():
        assert torch.allclose(model(input_ids=ids).logits, plain(input_ids=ids).logits, atol=1e-4)


@possible
@pytest.mark.parametrize(("measured", "packs"), [(0.5, False), (0.99, False), (1.1, True)])
def test_only_what_is_faster_is_packed(monkeypatch: pytest.MonkeyPatch, measured: float, packs: bool) -> None:
    monkeypatch.setattr(packed, "ratio", lambda _: measured)
    assert packed.packs("cpu", torch.float32) is packs


@possible
def test_it_can_be_measured() -> None:
    assert ratio(packed._contenders) > 0


def test_what_this_machine_cannot_do_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> float:
        raise RuntimeError("no such operator for this processor")

    monkeypatch.setattr(packed, "ratio", fails)
    assert not packed.packs("cpu", torch.float32)
    assert not packed.packs("cuda", torch.float32)
    assert not packed.packs("cpu", torch.float16)
