"""A tiny random stand-in for the embedded model's Hub version, in a cache of the Hub's client."""

from __future__ import annotations

from pathlib import Path

from tests.unit.manager.conftest import tiny_model
from tests.unit.negotiation.agents.test_random_model import wordy_tokenizer

TWIN = "HuggingFaceTB/SmolLM2-135M-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def preload_twin(home: Path) -> None:
    """Fill the cache under `home` (HF_HOME) as `preload_from_hub` does in a Space's build."""
    repository = home / "hub" / f"models--{TWIN.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    folder = repository / "snapshots" / COMMIT
    tokenizer = wordy_tokenizer()
    tiny_model(context=16384, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
