"""Models without weights, for servers in browser tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from negotiation.app.settings import SHIPPED

ALWAYS = (
    '{"thought":"I stay with what I said.","action":"offer","offer":{"price":600,"lens":"stays with the '
    'dealer","case":"stays with the dealer"},"message":"I have thought about it long and well, and I stay with what I '
    'said before, whatever you say, because it is a good price for a good camera."}'
)
"""A reply that keeps a negotiation going until its last round."""

ENDLESS = ALWAYS.replace('camera."', "camera. " + "That is how it is. " * 40 + '"')
"""A reply that takes so long to write that the browser looks before the negotiation ends, however late."""

SLOW_FAKES = """
smollm2-steady: {{type: fake, label: Slow A, model_name: a, load_seconds: 4, tokens_per_second: 15,
  size_bytes: 900000000, replies: ['{0}']}}
smollm2-bold: {{type: fake, label: Slow B, model_name: b, load_seconds: 2, tokens_per_second: 15,
  size_bytes: 900000000, replies: ['{0}']}}
"""


def untrained(folder: Path) -> Path:
    """Write the models that come with the program, without the trained one, so that Start plays scripts."""
    models = yaml.safe_load((SHIPPED / "models.yaml").read_text(encoding="utf-8"))
    kept = {name: entry for name, entry in models.items() if "adapters" not in entry}
    return fakes(folder, yaml.safe_dump(kept, sort_keys=False))


def fakes(folder: Path, models: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "models.yaml").write_text(models)
    return folder
