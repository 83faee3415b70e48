"""A run gives the same losses whenever it is started from the same seed, and when it is stopped and continued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from manager.generation.request import Message
from tests.unit.manager.conftest import byte_tokenizer, tiny_model
from training.data import Conversation
from training.network import ATTENTION
from training.settings import SETTINGS, read_settings
from training.sft import Trainer, schedule

pytestmark = pytest.mark.weights
STEPS = 6
TRAINING = {
    **read_settings(SETTINGS)["training"],
    "warmup": 2,
    "cooldown": 2,
    "evaluate_every": 3,
    "save_every": 3,
    "rate": 0.01,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums on several threads may differ in their last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lessons(step: int) -> list[Sequence[Conversation]]:
    """Return a short lesson; real ones are long when every byte is a token."""
    reply = {"thought": "Too low.", "action": "offer", "offer": {"price": 100 * step}, "message": f"{step} hundred."}
    system: Message = {"role": "system", "content": "You sell a car."}
    asked: Message = {"role": "user", "content": f"Round {step}."}
    answered: Message = {"role": "assistant", "content": json.dumps(reply)}
    return [[Conversation((system, asked, answered), (True,), "car", "linear", 0.0)]]


def trained(folder: Path, *stops: int) -> list[dict[str, Any]]:
    """Train a tiny model, starting anew from the checkpoint after each stop; return the log."""
    folder.mkdir(exist_ok=True)
    for stop in stops:
        model = tiny_model(context=16384)
        model.set_attn_implementation(ATTENTION)
        trainer = Trainer(model, byte_tokenizer(), folder, TRAINING, lambda *_: None)
        trainer.train(lessons, stop, lessons(50), last=STEPS)
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(log: list[dict[str, Any]]) -> list[float]:
    return [entry["loss"] for entry in log if "loss" in entry]


def test_the_same_seed_gives_the_same_losses_and_a_stop_changes_nothing(tmp_path: Path) -> None:
    log = trained(tmp_path / "whole", STEPS)
    assert len(losses(log)) == STEPS
    assert losses(trained(tmp_path / "again", STEPS)) == losses(log)
    assert losses(trained(tmp_path / "stopped", 3, STEPS)) == losses(log)
    killed = tmp_path / "killed"
    trained(killed, 3)
    with (killed / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "loss": 9.0}\n')  # learned after the last checkpoint
    assert losses(trained(killed, STEPS)) == losses(log)
    held_out = [entry["held_out"]["loss"] for entry in log if "held_out" in entry]
    assert held_out[-1] < held_out[0], "it learns"
    assert "</svg>" in (tmp_path / "whole" / "loss.svg").read_text(encoding="utf-8")


def test_an_adapter_can_be_written_before_anything_is_learned(tmp_path: Path) -> None:
    """Rejection sampling plays with it first."""
    written: list[Path] = []
    for _ in range(2):  # the second continues the first
        model = tiny_model(context=16384)
        Trainer(model, byte_tokenizer(), tmp_path, TRAINING, lambda _, folder: written.append(folder)).save()
    assert written == 2 * [tmp_path / "adapter"]


def test_the_learning_rate_rises_stays_and_falls() -> None:
    settings = {"warmup": 2, "cooldown": 4}
    rates = [schedule(step, 10, settings) for step in range(10)]
    assert rates == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
