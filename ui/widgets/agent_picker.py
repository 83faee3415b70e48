"""Picking an agent: the list, what it needs, and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from manager.config.registry import ModelSpec
from manager.machine.model_files import whereabouts
from manager.placed import DEVICE
from manager.state import State
from manager.status.snapshot import WeightsStatus
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.scenario.model import Scenario, Seat
from ui.kit import text
from ui.kit.html import esc, size, tag

BYTES_A_PARAMETER = 2
"""Most models are stored with 16 bits a parameter."""


def labels(parley: Parley) -> dict[str, str]:
    """What agents are called for people, by id."""
    return {choice.agent: choice.label for choice in parley.catalog.choices()} | {HUMAN: text.YOU}


def choices(parley: Parley) -> list[tuple[str, str]]:
    """The pick list: models that are loaded, the other models, then scripted strategies."""
    snapshot = parley.manager.snapshot()
    loaded: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    scripted: list[tuple[str, str]] = []
    for choice in parley.catalog.choices():
        if choice.agent in STRATEGIES:
            scripted.append((choice.label, choice.agent))
            continue
        status = snapshot.of(choice.agent)
        here = status is not None and status.state is State.RESIDENT
        facts = _facts(parley, parley.manager.spec(choice.agent), status)
        (loaded if here else others).append((" · ".join([choice.label, *facts]), choice.agent))
    return loaded + others + scripted


def about_html(parley: Parley, config: AgentConfig) -> str:
    """In a line: what an agent is, what it needs, and which settings it was given."""
    if config.agent in STRATEGIES:
        return tag("p", esc(text.SCRIPTED), "about")
    if config.agent not in parley.manager.list_models():
        return tag("p", esc(text.GONE if config.agent else ""), "about")
    facts = _facts(parley, parley.manager.spec(config.agent), parley.manager.snapshot().of(config.agent))
    marks = "".join(tag("mark", esc(text.chosen(key, value))) for key, value in config.chosen.items())
    return tag("p", marks + tag("span", esc(" · ".join(facts))), "about", title=" · ".join(facts))


def _facts(parley: Parley, spec: ModelSpec, status: WeightsStatus | None) -> list[str]:
    if status is not None and status.state is State.RESIDENT:
        loaded = text.PLACED if status.device == DEVICE else text.LOADED
        first = f"{loaded}, {size(status.bytes)}" if status.bytes else loaded
    else:
        first = needed(parley, spec) or spec.size
    return [fact for fact in (first, spec.license) if fact]


def needed(parley: Parley, spec: ModelSpec) -> str:
    """What a model that runs here still needs before it can be used, in words; empty where that is not known."""
    if spec.type != "huggingface":
        return ""
    memory = size(parley.settings.profile.need(spec))
    match whereabouts(spec):
        case "package":
            return text.EMBEDDED
        case "here":
            return text.HERE.format(memory=memory) if spec.parameters else text.HERE_UNKNOWN
    return text.DOWNLOAD.format(size=size(weights_bytes(spec)), memory=memory) if spec.parameters else ""


def weights_bytes(spec: ModelSpec) -> int:
    """About how many bytes a model's files have, by its `size`; 0 where that is not given."""
    return spec.parameters * BYTES_A_PARAMETER


@dataclass(frozen=True)
class AgentPicker:
    """The components that say who plays a seat of a lane."""

    seat: Seat
    agent: gr.Dropdown
    about: gr.HTML
    settings: dict[str, Any]

    @property
    def inputs(self) -> list[Any]:
        """What `config` reads, in this order."""
        return [self.agent, *self.settings.values()]

    def config(self, values: Sequence[Any]) -> AgentConfig:
        """What was picked and set. Settings are a model's only, and those left as they are are not written down."""
        agent, *given = values
        if agent in STRATEGIES or not agent:
            return AgentConfig(agent or "")
        defaults = ModelOptions().model_dump()
        options = dict(zip(self.settings, given, strict=True))
        options = {key: defaults[key] if value is None else value for key, value in options.items()}
        return AgentConfig(agent, {key: value for key, value in options.items() if value != defaults[key]})

    def show(self, parley: Parley, config: AgentConfig) -> dict[Any, Any]:
        """The updates that show an agent and its settings."""
        options = {**ModelOptions().model_dump(), **(config.options if config.agent not in STRATEGIES else {})}
        updates: dict[Any, Any] = {part: options[key] for key, part in self.settings.items()}
        return {self.agent: config.agent, self.about: about_html(parley, config), **updates}


def build_picker(parley: Parley, lane: int, seat: Seat, scenario: Scenario, config: AgentConfig) -> AgentPicker:
    """Create the pick list of a seat where it is called, showing `config`; `build_settings` adds its settings."""
    with gr.Column(min_width=200, elem_classes=f"picker seat-{seat}"):
        agent = gr.Dropdown(
            choices(parley),
            value=config.agent,
            label=text.AGENT.format(name=scenario.roles[seat].name),
            elem_id=f"lane-{lane}-agent-{seat}",
        )
        about = gr.HTML(about_html(parley, config), js_on_load=None)
    return AgentPicker(seat, agent, about, {})


def build_settings(picker: AgentPicker, scenario: Scenario, config: AgentConfig) -> None:
    """Create what can be set for a seat where it is called, showing `config`."""
    defaults = ModelOptions().model_copy(update=dict(config.options))
    rows: dict[str, Any] = picker.settings
    with gr.Column(min_width=200, elem_classes=f"settings seat-{picker.seat}"):
        head = text.SETTINGS_OF.format(name=scenario.roles[picker.seat].name)
        gr.HTML(tag("h3", esc(head)), js_on_load=None)
        rows["narrates"] = gr.Dropdown(
            [(text.DECIDES_ITSELF, ""), *((name, name) for name in STRATEGIES)],
            value=defaults.narrates,
            label=text.NARRATES,
            info=text.NARRATES_INFO,
        )
        rows["guard"] = gr.Dropdown(
            [(words, guard) for guard, words in text.GUARDS.items()],
            value=defaults.guard,
            label=text.GUARD,
            info=text.GUARD_INFO,
        )
        rows["temperature"] = gr.Number(
            defaults.temperature, label=text.TEMPERATURE, info=text.TEMPERATURE_INFO, minimum=0, maximum=5, step=0.1
        )
        for key, label, example, most in (
            ("persona", text.PERSONA, text.PERSONA_INFO, 500),
            ("hint", text.HINT, text.HINT_INFO, 500),
            ("language", text.LANGUAGE, text.LANGUAGE_INFO, 60),
        ):
            rows[key] = gr.Textbox(getattr(defaults, key), label=label, placeholder=example, max_length=most)
        rows["calculator"] = gr.Checkbox(defaults.calculator, label=text.CALCULATOR, info=text.CALCULATOR_INFO)
        with gr.Row():
            rows["retries"] = gr.Number(
                defaults.retries, label=text.RETRIES, minimum=0, maximum=10, precision=0, min_width=90
            )
            rows["retry"] = gr.Dropdown(
                [(words, kind) for kind, words in text.RETRY_KINDS.items()],
                value=defaults.retry,
                label=text.RETRY,
                min_width=90,
            )
        rows["thinking"] = gr.Number(
            defaults.thinking, label=text.THINKING_ROOM, info=text.THINKING_INFO, minimum=0, maximum=40_000, precision=0
        )
