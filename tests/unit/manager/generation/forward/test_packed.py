"""Packed layers compute what plain ones do, and float32 is packed only where that was measured to be faster."""

from __future__ import annotations

import copy
import random
import threading
from concurrent.futures import ThreadPoolExecutor

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
        assert torch.allclose(packed.packed_together([plain])[0](inputs), plain(inputs), atol=1e-5)


@possible
@pytest.mark.parametrize("bias", [True, False])
def test_layers_that_are_multiplied_at_once_compute_what_plain_ones_do_whatever_they_are_given(bias: bool) -> None:
    plain = [nn.Linear(48, size, bias=bias) for size in (31, 16, 8)]
    layers = packed.packed_together(plain)
    chance = random.Random(1)
    inputs = [torch.randn(1, rows, 48) for rows in (1, 5)]
    calls = [(number, inputs[0]) for number in range(3)]  # as in a model
    calls += [(chance.randrange(3), chance.choice(inputs)) for _ in range(50)]
    with torch.inference_mode():
        for number, given in calls:
            assert torch.allclose(layers[number](given), plain[number](given), atol=1e-5)


@possible
def test_layers_with_the_same_input_are_multiplied_once_and_keep_nothing() -> None:
    weights = packed._Weights([nn.Linear(48, 31), nn.Linear(48, 16)])
    with torch.inference_mode():
        inputs = torch.randn(1, 2, 48)
        first, second = (weights.multiply(number, inputs) for number in range(2))
    assert first.untyped_storage()._cdata == second.untyped_storage()._cdata
    assert weights._latest is None


@possible
def test_threads_that_share_layers_get_results_of_their_own() -> None:
    plain = [nn.Linear(48, size) for size in (31, 16)]
    layers = packed.packed_together(plain)
    meet = threading.Barrier(4)

    def right(number: int) -> bool:
        inputs = torch.randn(1, 3, 48, generator=torch.Generator().manual_seed(number))
        meet.wait()
        with torch.inference_mode():
            return all(
                torch.allclose(mine(inputs), theirs(inputs), atol=1e-5)
                for _ in range(200)
                for mine, theirs in zip(layers, plain, strict=True)
            )

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(right, range(4)))


@possible
def test_only_layers_of_a_kind_are_multiplied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ratio", lambda _: 2.0)
    model = nn.Module()
    model.device, model.dtype = torch.device("cpu"), torch.float32
    model.q_proj, model.k_proj, model.v_proj = (nn.Linear(48, 8), nn.Linear(48, 8), nn.Linear(32, 8))
    model.gate_proj, model.up_proj = (nn.Linear(48, 8), nn.Linear(48, 8, bias=False))
    plain = copy.deepcopy(model)
    packed.pack(model, lambda: None)
    for name, layer in plain.named_children():
        inputs = torch.randn(2, layer.in_features)
        with torch.inference_mode():
            assert torch.allclose(getattr(model, name)(inputs), layer(inputs), atol=1e-5)


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
