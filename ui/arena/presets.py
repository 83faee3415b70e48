"""Setups to start from: who plays in both lanes, and what the visitor can learn from it."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from ui.arena import text
from ui.kit.templates import render
from ui.kit.units import size
from ui.widgets.agent_picker import label_of
from ui.widgets.model_facts import weights_bytes

OPPONENT = "boulware"
FIRM, EASY = AgentConfig(OPPONENT), AgentConfig("conceder")
SCRIPTS: tuple[Players, Players] = ((FIRM, FIRM), (EASY, FIRM))
"""Lanes that need no model."""
STRONGER = ("qwen3-1.7b", "qwen3-4b", "smollm3-3b")
"""Models to suggest, the first registered one wins: small enough for a laptop, open, and able to negotiate."""


@dataclass(frozen=True)
class Preset:
    """Who plays seats a and b in each lane, and why; `reason` says why that is impossible here now."""

    preset_id: str
    name: str
    about: str
    lanes: tuple[Players, Players]
    reason: str = ""


def presets(parley: Parley) -> list[Preset]:
    """Return the presets that the registered models allow; the first is for a first visit.

    The recording that a first visit opens on shows what the first one plays with the models that come with Parley.
    """
    specs = parley.availability.usable()
    scripts = _preset("gives_in", SCRIPTS)
    if not specs:
        return [scripts]
    practised = [_preset("practice", practice(*pair))] if (pair := parley.availability.trained()) else []
    first = specs[0]
    model = AgentConfig(first.model_id)
    other = next((spec for spec in specs if spec.weights != first.weights and _is_ready(parley, spec)), None)
    rival = EASY if other is None else AgentConfig(other.model_id)
    cold, hot = (AgentConfig(first.model_id, {"temperature": value}) for value in (0.2, 1.2))
    speaker = AgentConfig(first.model_id, {"narrates": OPPONENT})
    found = [
        *practised,
        scripts,
        _preset("decides", ((model, FIRM), (speaker, FIRM))),
        _preset("temperatures", ((cold, FIRM), (hot, FIRM))),
        _preset("baseline", ((model, FIRM), (EASY, FIRM))),
        _preset("mirrored", ((model, rival), (rival, model))),
    ]
    if stronger := _stronger(parley):
        found.append(_against(parley, stronger, (model, FIRM)))
    return found


def practice(trained: ModelSpec, base: ModelSpec) -> tuple[Players, Players]:
    """Return lanes in which a trained model, and the model that it was made from, face the same opponent."""
    return (AgentConfig(base.model_id), FIRM), (AgentConfig(trained.model_id), FIRM)


def _stronger(parley: Parley) -> ModelSpec | None:
    """Return the first of STRONGER that can be used, or else the first that is registered."""
    by_id = {spec.model_id: spec for spec in parley.availability.registered()}
    known = [by_id[model_id] for model_id in STRONGER if model_id in by_id]
    usable = (spec for spec in known if not parley.availability.of(spec).reason)
    return next(usable, known[0] if known else None)


def _against(parley: Parley, stronger: ModelSpec, players: Players) -> Preset:
    """Return the preset in which a stronger model plays in lane 2."""
    availability, name = parley.availability.of(stronger), label_of(stronger)
    download, memory = size(weights_bytes(stronger)), size(parley.settings.profile.need(stronger))
    about = text.STRONGER[availability.group].format(size=download, memory=memory)
    rival = (AgentConfig(stronger.model_id), players[1])
    reason = availability.reason and text.PRESET_IMPOSSIBLE.format(name=name, reason=availability.reason)
    return Preset("stronger", text.PRESET_STRONGER.format(name=name), about, (players, rival), reason)


def _is_ready(parley: Parley, spec: ModelSpec) -> bool:
    """Return whether picking the model downloads nothing and costs nothing."""
    return parley.availability.of(spec).group == "ready"


def _preset(preset_id: str, lanes: tuple[Players, Players]) -> Preset:
    return Preset(preset_id, *text.PRESETS[preset_id], lanes)


def chosen_preset(parley: Parley, preset_id: str) -> Preset:
    """Return a preset, the first one for an unknown id; raises gr.Error with its reason if it is impossible now."""
    found = presets(parley)
    chosen = next((preset for preset in found if preset.preset_id == preset_id), found[0])
    if chosen.reason:
        raise gr.Error(chosen.reason, print_exception=False)
    return chosen


def presets_html(parley: Parley, lanes: tuple[Players, ...]) -> Markup:
    """Draw the presets as a menu that shows the one that `lanes` are set up as."""
    found = presets(parley)
    chosen = next((preset for preset in found if preset.lanes == lanes), None)
    return render(
        "arena/presets",
        title=text.PRESET,
        presets=found,
        chosen=chosen and chosen.preset_id,
        name=text.PRESET_NONE if chosen is None else chosen.name,
        about="" if chosen is None else chosen.about,
    )
