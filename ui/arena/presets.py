"""Setups to start from: who plays in both lanes, and what the visitor can learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from manager.machine.model_files import whereabouts
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from ui.arena import text
from ui.kit.templates import render
from ui.kit.units import size
from ui.widgets.agent_picker import weights_bytes

OPPONENT = "boulware"
STRONGER = ("qwen3-1.7b", "qwen3-4b", "smollm3-3b")
"""Models to suggest, the first registered one wins: small enough for a laptop, open, and able to negotiate."""


@dataclass(frozen=True)
class Preset:
    """Who plays seats a and b in each lane, and why."""

    preset_id: str
    name: str
    about: str
    lanes: tuple[Players, Players]


def presets(parley: Parley) -> list[Preset]:
    """Return the presets that the registered models allow; the first is for a first visit."""
    specs = parley.catalog.models()
    firm, easy = AgentConfig(OPPONENT), AgentConfig("conceder")
    if not specs:
        return [_preset("script", ((firm, easy), (easy, firm)))]
    first = specs[0]
    model = AgentConfig(first.model_id)
    other = next((spec for spec in specs if spec.weights != first.weights and _is_here(spec)), None)
    rival = easy if other is None else AgentConfig(other.model_id)
    cold, hot = (AgentConfig(first.model_id, {"temperature": value}) for value in (0.2, 1.2))
    speaker = AgentConfig(first.model_id, {"narrates": OPPONENT})
    found = [
        _preset("decides", ((model, firm), (speaker, firm))),
        _preset("temperatures", ((cold, firm), (hot, firm))),
        _preset("baseline", ((model, firm), (easy, firm))),
        _preset("mirrored", ((model, rival), (rival, model))),
    ]
    by_id = {spec.model_id: spec for spec in specs}
    if stronger := next((by_id[model_id] for model_id in STRONGER if model_id in by_id), None):
        download, memory = size(weights_bytes(stronger)), size(parley.settings.profile.need(stronger))
        facts = {"name": stronger.label or stronger.model_id, "size": download, "memory": memory}
        found.append(_preset("stronger", ((model, firm), (AgentConfig(stronger.model_id), firm)), **facts))
    return found


def _is_here(spec: ModelSpec) -> bool:
    """Return whether picking the model downloads nothing."""
    return spec.type == "fake" or (spec.type == "huggingface" and whereabouts(spec) != "hub")


def _preset(preset_id: str, lanes: tuple[Players, Players], **facts: str) -> Preset:
    name, about = text.PRESETS[preset_id]
    return Preset(preset_id, name.format(**facts), about.format(**facts), lanes)


def presets_html(found: Sequence[Preset], lanes: tuple[Players, ...]) -> Markup:
    """Draw the presets as buttons, with the text of the one that `lanes` are set up as."""
    chosen = next((preset for preset in found if preset.lanes == lanes), None)
    return render(
        "arena/presets",
        title=text.PRESET,
        presets=found,
        chosen=chosen and chosen.preset_id,
        about=text.PRESET_NONE if chosen is None else chosen.about,
    )
