"""The benchmark of switching, on a small model through the counted arena: that it runs and measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu_switch
from tests.unit.manager.arena import Arena


def test_it_measures_a_load_two_parkings_and_a_wake(tmp_path: Path) -> None:
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 8}
    gpu_switch.save_model(tmp_path, shape, vocabulary=300)
    arena = Arena()
    figures = gpu_switch.measure(tmp_path, "cpu", lambda device: arena, rounds=2)
    assert set(figures) == {"bytes", "load", "first_park", "copy_and_park", "park", "wake"}
    assert all(value > 0 for value in figures.values())
    assert (arena.out, arena.back, arena.bytes()) == (2, 2, 0)


def test_without_cuda_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_switch.main() == 0
    assert "no CUDA device" in capsys.readouterr().out
