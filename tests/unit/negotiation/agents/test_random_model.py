"""A model of random weights at temperature 2 plays all scenarios: under a grammar whatever it writes can be used."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended, Rejected, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Scenario
from tests.unit.manager.conftest import CHAT_TEMPLATE, tiny_model

pytestmark = pytest.mark.weights

SCENARIOS = sorted(path.stem for path in (Path(__file__).resolve().parents[4] / "configs" / "scenarios").glob("*.yaml"))
HELD = {
    "legal": ModelOptions(),
    "rational": ModelOptions(guard="rational"),
    "narrated": ModelOptions(narrates="random"),
}


def wordy_tokenizer() -> Any:
    """A byte tokenizer with 2,000 words besides, so that a mindless text takes few tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(1)
    words = {"".join(rng.choices("abcdefghijklmnopqrstuvwxyz1234567890äé🚀", k=8)) for _ in range(2000)}
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = {"".join(piece for piece, _ in bytewise.pre_tokenize_str(word)) for word in words}
    symbols = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *sorted(spelled)]
    backend = Tokenizer(models.BPE(vocab={symbol: place for place, symbol in enumerate(symbols)}, merges=[]))
    backend.pre_tokenizer, backend.decoder = bytewise, decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLMManager]:
    folder = tmp_path_factory.mktemp("models") / "mindless"
    tokenizer = wordy_tokenizer()
    tiny_model(context=16384, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    about = {"model_name": str(folder), "device": "cpu", "generation_config": {"temperature": 2.0, "top_p": 1.0}}
    with LLMManager({"mindless": about}, cache_dir=folder) as made:
        yield made


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_reply_parses_and_is_legal(
    manager: LLMManager, shipped: dict[str, Scenario], name: str, held: str
) -> None:
    scenario = shipped[name].model_copy(update={"rounds": 1})
    model = ModelAgent(manager, manager.spec("mindless"), HELD[held])
    agents: dict[Any, Any] = {"a": STRATEGIES["random"], "b": model}
    events = list(negotiate(Negotiation(f"{name} {held}", scenario, agents, SCENARIOS.index(name))))
    assert isinstance(events[-1], Ended), events[-1]
    assert not any(isinstance(event, Rejected) for event in events)
    (turn,) = [event.turn for event in events if isinstance(event, TurnTaken) and event.turn.seat == "b"]
    assert turn.tokens > 10
    assert (turn.offer is not None) == (turn.action == "offer")
    if held != "legal" and turn.utility_b is not None:
        assert turn.utility_b >= scenario.roles["b"].reservation
