"""Supervised fine-tuning: learn the teacher's replies. `python -m training.sft FOLDER` starts a run or continues it.

Every step learns new lessons, drawn from the seed and the step's number, so that nothing is seen twice, and a run that
is continued goes on as if it had never stopped. The folder gets the adapter, a checkpoint, a log and a plot.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from manager.config.registry import Registry
from manager.errors import ConfigError
from manager.generation.text import ChatTemplate
from negotiation.scenario.source import SHIPPED
from training.data import Conversation, lesson
from training.network import (
    base_folder,
    load,
    save_adapter,
    token_losses,
    with_adapter,
    with_adapters,
)
from training.packing import DECIDES, Pack, encoded, pack
from training.plot import draw
from training.settings import SETTINGS, Settings, begin_in, read_settings

logger = logging.getLogger(__name__)

HELD_OUT_SEED = 10**6
Lesson = Sequence[Conversation]


class Trainer:
    """A model with adapters, its optimiser, and how far it has come.

    Args:
        model: The model with adapters.
        tokenizer: Its tokenizer.
        folder: Where it keeps its files; a checkpoint in it is continued.
        settings: The part `training` of the settings.
        write: Called with the model and a folder to write the adapter to.
    """

    def __init__(
        self, model: Any, tokenizer: Any, folder: Path, settings: Settings, write: Callable[[Any, Path], None]
    ) -> None:
        self.model = model
        self._write = write
        self.folder = folder
        self._settings = settings
        self._template = ChatTemplate(tokenizer)
        self._end = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self._learning = [each for each in model.parameters() if each.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._learning, lr=settings["rate"], betas=(0.9, 0.99), weight_decay=settings["decay"]
        )
        self.step = 0
        self._log_file = folder / "log.jsonl"
        self._log_file.touch()
        self._checkpoint = folder / "checkpoint.pt"
        if self._checkpoint.exists():
            self._resume()

    def train(
        self,
        lessons: Callable[[int], Sequence[Lesson]],
        steps: int,
        held_out: Sequence[Lesson] = (),
        last: int | None = None,
    ) -> None:
        """Learn up to a number of steps, and log every one.

        Args:
            lessons: Returns what step number n learns.
            steps: How far to go now.
            held_out: Lessons to measure the loss on now and then.
            last: The step at which the learning rate has fallen to nothing; `steps` if None.
        """
        evaluate_every, save_every = self._settings["evaluate_every"], self._settings["save_every"]
        while self.step < steps:
            begun = time.monotonic()
            entry = self._learn([self.packed(one) for one in lessons(self.step + 1)], last or steps)
            entry["seconds"] = round(time.monotonic() - begun, 1)
            self.step += 1
            self.log({"step": self.step, **entry})
            if held_out and (self.step % evaluate_every == 0 or self.step == steps):
                self.log({"step": self.step, "held_out": self.measure(held_out)})
            if self.step % save_every == 0 or self.step == steps:
                self.save()

    def packed(self, learned: Lesson) -> Pack:
        """Return a lesson as a pack."""
        weights = {name: self._settings[name] for name in ("message_weight", "verdict_weight")}
        made = [encoded(self._template, self._end, one.messages, one.learned, **weights) for one in learned]
        return pack(made, self._settings["most_tokens"])

    def _learn(self, packs: Sequence[Pack], steps: int) -> dict[str, Any]:
        """Do one step of the optimiser; return what to log."""
        rate = self._settings["rate"] * schedule(self.step, steps, self._settings)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        total = sum(float(each.weights.sum()) for each in packs)
        parts = []
        for each in packs:
            losses, weights = token_losses(self.model, each)
            ((losses * weights).sum() / total).backward()
            parts.append((losses.detach(), weights))
        norm = torch.nn.utils.clip_grad_norm_(self._learning, self._settings["clip"])
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        counts = {"tokens": sum(len(each.tokens) for each in packs), "learned": sum(len(part[0]) for part in parts)}
        return {**means(parts), "rate": rate, "norm": round(float(norm), 4), **counts}

    def measure(self, lessons: Sequence[Lesson]) -> dict[str, float]:
        """Return the mean losses on lessons without learning them."""
        self.model.eval()
        with torch.no_grad():
            return means([token_losses(self.model, self.packed(each)) for each in lessons])

    def save(self) -> None:
        """Write the adapter and the checkpoint, whole or not at all."""
        self._write(self.model, self.folder / "adapter")
        names = [name for name, each in self.model.named_parameters() if each.requires_grad]
        state = {
            "step": self.step,
            "weights": dict(zip(names, self._learning, strict=True)),
            "optimiser": self._optimiser.state_dict(),
        }
        unfinished = self._checkpoint.with_suffix(".partial")
        torch.save(state, unfinished)
        unfinished.replace(self._checkpoint)
        draw(self._log_file, self.folder / "loss.svg")

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["weights"], strict=False)
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        lines = self._log_file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["step"] <= self.step]  # later steps are learned again
        self._log_file.write_text("".join(kept), encoding="utf-8")

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append an entry to the log; each has the number of its step."""
        with self._log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        logger.info("%s", json.dumps(entry))


def means(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Return the mean losses of decisions (thought, action, offer) and of messages, per token."""
    losses, weights = (torch.cat(each) for each in zip(*parts, strict=True))
    decides = weights >= DECIDES
    kinds = {"loss": losses[decides], "message_loss": losses[~decides]}
    return {name: round(float(each.mean()), 5) for name, each in kinds.items() if len(each)}


def schedule(step: int, steps: int, settings: Settings) -> float:
    """Return the share of the learning rate: it rises at first, and falls to nothing over the last `cooldown` steps."""
    return min((step + 1) / float(settings["warmup"]), 1.0, (steps - step) / float(settings["cooldown"]))


def new_model(
    settings: Settings, cache: Path, adapter: Path | None = None
) -> tuple[Any, Any, Callable[[Any, Path], None]]:
    """Return the base model with an adapter, its tokenizer, and how to write the adapter.

    Args:
        settings: All settings.
        cache: Where the unpacked base model is kept.
        adapter: The adapter to go on with; a new one is drawn from the seed if None.
    """
    torch.set_num_threads(settings["threads"])
    spec = Registry.from_yaml(SHIPPED / "models.yaml")[settings["base"]]
    model, tokenizer = load(base_folder(spec, cache))
    torch.manual_seed(settings["seed"])
    adapted = with_adapters(model, settings["adapter"]) if adapter is None else with_adapter(model, adapter)
    return adapted, tokenizer, partial(save_adapter, base=spec.model_name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--steps", type=int, help="end after this step (default: as in the settings)")
    parser.add_argument("--adapter", type=Path, help="begin with this adapter, not with a new one")
    parser.add_argument("--cache", type=Path, help="where the unpacked base model is kept (default: in FOLDER)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder: Path = arguments.folder
    settings = read_settings(arguments.settings)
    try:
        begin_in(folder, settings)
    except ConfigError as error:
        parser.error(str(error))
    training, data = settings["training"], settings["data"]
    model, tokenizer, write = new_model(settings, arguments.cache or folder / "cache", arguments.adapter)
    trainer = Trainer(model, tokenizer, folder, training, write)
    size, branches = training["lessons"], data["branches"]

    def lessons(step: int) -> list[Lesson]:
        return [lesson(data["seed"], step * size + place, branches) for place in range(size)]

    held_out = [lesson(HELD_OUT_SEED, number, branches) for number in range(training["held_out"])]
    trainer.train(lessons, arguments.steps or training["steps"], held_out, last=training["steps"])


if __name__ == "__main__":
    main()
