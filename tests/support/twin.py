"""A stand-in for the embedded model's twin on the Hub, in a cache of the Hub's client: tiny, and of random numbers."""

from __future__ import annotations

from pathlib import Path

from tests.unit.manager.conftest import tiny_model
from tests.unit.negotiation.agents.test_random_model import wordy_tokenizer

TWIN = "HuggingFaceTB/SmolLM2-135M-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def preload_twin(home: Path) -> None:
    """Make the cache under `home` (HF_HOME) look as after the `preload_from_hub` of a Space's build."""
    repository = home / "hub" / f"models--{TWIN.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    folder = repository / "snapshots" / COMMIT
    tokenizer = wordy_tokenizer()
    tiny_model(context=16384, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
