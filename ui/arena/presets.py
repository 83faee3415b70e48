"""Set-ups to start from: who plays in both lanes, and what there is to be learnt from it."""

from __future__ import annotations

from dataclasses import dataclass

from manager.config.registry import ModelSpec
from manager.machine.model_files import whereabouts
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from ui.kit import text
from ui.kit.html import esc, size, tag
from ui.widgets.agent_picker import weights_bytes

OPPONENT = "boulware"
STRONGER = ("qwen3-1.7b", "qwen3-4b", "smollm3-3b")
"""The models to invite to, the first that is registered: small enough for a laptop, open, and able to negotiate."""


@dataclass(frozen=True)
class Preset:
    """Who plays seats a and b in each lane, and why."""

    preset_id: str
    name: str
    about: str
    lanes: tuple[Players, Players]


def presets(parley: Parley) -> list[Preset]:
    """The presets that the registered models allow; the first is for a first visit."""
    specs = parley.catalog.models()
    foe, easy = AgentConfig(OPPONENT), AgentConfig("conceder")
    if not specs:
        return [_preset("script", ((foe, easy), (easy, foe)))]
    first = specs[0]
    model = AgentConfig(first.model_id)
    other = next((spec for spec in specs if spec.weights != first.weights and _is_here(spec)), None)
    rival = easy if other is None else AgentConfig(other.model_id)
    cold, hot = (AgentConfig(first.model_id, {"temperature": value}) for value in (0.2, 1.2))
    speaker = AgentConfig(first.model_id, {"narrates": OPPONENT})
    found = [
        _preset("decides", ((model, foe), (speaker, foe))),
        _preset("temperatures", ((cold, foe), (hot, foe))),
        _preset("baseline", ((model, foe), (easy, foe))),
        _preset("mirrored", ((model, rival), (rival, model))),
    ]
    by_id = {spec.model_id: spec for spec in specs}
    if stronger := next((by_id[model_id] for model_id in STRONGER if model_id in by_id), None):
        download, memory = size(weights_bytes(stronger)), size(parley.settings.profile.need(stronger))
        facts = {"name": stronger.label or stronger.model_id, "size": download, "memory": memory}
        found.append(_preset("stronger", ((model, foe), (AgentConfig(stronger.model_id), foe)), **facts))
    return found


def _is_here(spec: ModelSpec) -> bool:
    """Whether picking it downloads nothing."""
    return spec.type == "fake" or (spec.type == "huggingface" and whereabouts(spec) != "hub")


def _preset(preset_id: str, lanes: tuple[Players, Players], **facts: str) -> Preset:
    name, about = text.PRESETS[preset_id]
    return Preset(preset_id, name.format(**facts), about.format(**facts), lanes)


def presets_html(found: list[Preset], chosen: str = "") -> str:
    """The presets as buttons, and what the chosen one is about."""
    buttons = "".join(
        tag(
            "button",
            esc(preset.name),
            "pill",
            type="button",
            data_send="preset",
            data_value=preset.preset_id,
            aria_pressed=str(preset.preset_id == chosen).lower(),
            title=preset.about,
        )
        for preset in found
    )
    about = next((preset.about for preset in found if preset.preset_id == chosen), text.PRESET_NONE)
    head = tag("span", esc(text.PRESET), "name", id="presets-name")
    row = tag("div", head + buttons, "pills", role="group", aria_labelledby="presets-name")
    return row + tag("p", esc(about), "preset-about", aria_live="polite")
