"""The model that comes trained to bargain: its adapter, and the weights that the program merges it into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from manager.backends.huggingface import HuggingFaceModelWrapper
from manager.config.model_spec import parse_spec
from manager.config.registry import Registry
from manager.config.strict_yaml import read_yaml
from manager.generation.forward import packed
from manager.machine.model_files import shipped_folder
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.settings import SHIPPED
from negotiation.scenario.model import load_scenarios
from training.arena import Game, agent_named, play_all

TRAINED, BASE = "parley-135m", "smollm2-steady"
FOLDER = shipped_folder(f"shipped:{TRAINED}")
MOST_BYTES = 12 * 10**6


@pytest.fixture(scope="module")
def manager(real_home: Path) -> Iterator[LLMManager]:
    with LLMManager(Registry.from_yaml(SHIPPED / "models.yaml"), cache_dir=real_home / "cache") as manager:
        yield manager


def test_it_is_small_enough_to_come_with_the_program() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


def test_its_card_says_what_it_is_made_of_and_what_it_is_worth() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct" in card
    for heading in ("Data", "Settings", "Figures", "Limits", "Transcripts"):
        assert f"\n## {heading}\n" in card


def weights(name: str, cache: Path) -> dict[str, torch.Tensor]:
    """Return a model's weights, which must not be packed."""
    entry = read_yaml(SHIPPED / "models.yaml")[name]
    model = HuggingFaceModelWrapper(parse_spec(name, {**entry, "device": "cpu"}), cache)
    model.prepare(lambda *_: None)
    model.load(lambda *_: None)
    engine = model._engine
    assert engine is not None
    found = {name: each.detach().clone() for name, each in engine.model.state_dict().items()}
    model.unload()
    return found


def test_its_weights_differ_from_those_of_its_base_where_the_adapter_says(
    real_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "packs", lambda *_: False)
    base, trained = (weights(name, real_home / "cache") for name in (BASE, TRAINED))
    assert base.keys() == trained.keys()
    with safe_open(FOLDER / "adapter_model.safetensors", "pt") as file:
        tensors = file.keys()
    ending = ".lora_A.weight"
    adapted = {n.removeprefix("base_model.model.").replace(ending, ".weight") for n in tensors if n.endswith(ending)}
    assert adapted
    assert {name for name in base if not torch.equal(base[name], trained[name])} == adapted


def test_the_manager_keeps_it_apart_from_its_base(manager: LLMManager) -> None:
    for name in (BASE, TRAINED):
        manager.load_model(name)
    base, trained = (manager.snapshot().of(name) for name in (BASE, TRAINED))
    assert base is not None
    assert trained is not None
    assert base.weights != trained.weights
    assert base.bytes == trained.bytes
    with manager.lease(TRAINED) as lease:
        (adapter,) = lease.identity.adapters
    assert adapter.startswith(f"{TRAINED}@")


def test_it_states_its_aim_and_takes_no_deal_that_is_worth_less_than_none(manager: LLMManager) -> None:
    scenario = load_scenarios(SHIPPED / "scenarios")["used_camera"].model_copy(update={"rounds": 3})
    catalog = Catalog(manager)
    (played,) = play_all(catalog, agent_named(catalog, TRAINED), [Game(scenario, "a", STRATEGIES["conceder"], 1)])
    assert not played.failed
    assert played.surplus >= 0
    for turn in played.own:
        assert "aim" in turn.thought or "last turn" in turn.thought
