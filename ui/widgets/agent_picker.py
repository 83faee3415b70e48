"""Picking an agent: the list, what it needs, and its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN, PROGRAM
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.scenario.model import Scenario, Seat
from ui.kit import account_text, text
from ui.kit.components import Updates
from ui.kit.templates import element, render
from ui.server.accounts import accounts_of
from ui.widgets.model_facts import model_facts


def labels(parley: Parley) -> dict[str, str]:
    """Return the agents' display names, by id."""
    listed = {choice.agent: choice.label for choice in parley.catalog.choices()}
    return {**parley.catalog.providers.labels, **listed, HUMAN: text.YOU, PROGRAM: text.PROGRAM}


def choices(parley: Parley, *, account: bool = False) -> list[tuple[str, str]]:
    """Return the pick list as (label, id): the models that can be used, those that are ready first, then scripts.

    Args:
        account: Whether the visitor has an account of their own here, on which more models are served.
    """
    usable = parley.availability.usable()
    scripts = [(strategy.label, name) for name, strategy in STRATEGIES.items()]
    more = parley.availability.on_account() if account else []
    return [*_listed(parley, usable), *scripts, *_listed(parley, more)]


def _listed(parley: Parley, specs: Iterable[ModelSpec]) -> list[tuple[str, str]]:
    return [(" · ".join([label_of(spec), *model_facts(parley, spec)]), spec.model_id) for spec in specs]


def about_html(parley: Parley, config: AgentConfig, *, account: bool = False) -> Markup:
    """Draw a line about an agent: what it is, what it needs, and its changed settings; `account` is as in `choices`."""
    spec = parley.catalog.spec(config.agent)
    marks: list[str] = []
    if config.agent in STRATEGIES:
        facts = f"{text.SCRIPTED} · {STRATEGIES[config.agent].plain_name}"
    elif spec is None:
        facts = text.GONE if config.agent else ""
    else:
        facts = " · ".join(model_facts(parley, spec))
        if reason := unusable(parley, spec, account=account):
            facts = text.UNUSABLE.format(name=label_of(spec), reason=reason)
        marks = [text.chosen(key, value) for key, value in config.chosen.items()]
    return render("about", marks=marks, facts=facts)


def label_of(spec: ModelSpec) -> str:
    """Return a model's display name."""
    return spec.label or spec.model_id


def is_usable(parley: Parley, agent: str, *, account: bool = False) -> bool:
    """Return whether an agent can be picked here and now; `account` is as in `choices`."""
    if agent in STRATEGIES:
        return True
    spec = parley.catalog.spec(agent)
    return spec is not None and not unusable(parley, spec, account=account)


def unusable(parley: Parley, spec: ModelSpec, *, account: bool) -> str:
    """Return why a model cannot be used here and now, as the rest of a sentence about it; empty if it can."""
    if spec.credentials is not None and not account:
        return account_text.NEEDED[accounts_of(parley).how]
    return parley.availability.of(spec).reason


def on_account_html(parley: Parley, *, account: bool) -> Markup:
    """Say how many models are served on the visitor's account, and what that needs; nothing if there are none."""
    count = len(parley.availability.on_account())
    if account:
        words = account_text.offered(count) if parley.catalog.providers.listed else account_text.OFFERED_SHIPPED
    else:
        words = account_text.needs(accounts_of(parley).how, count)
    return element("p", "on-account", words) if count and words else Markup("")


@dataclass(frozen=True)
class AgentPicker:
    """The components that determine who plays a seat of a lane."""

    seat: Seat
    agent: gr.Dropdown
    about: gr.HTML
    settings: Mapping[str, Any]  # a model's settings, by option

    @property
    def inputs(self) -> list[Any]:
        """The components that `config` reads, in this order."""
        return [self.agent, *self.settings.values()]

    def config(self, values: Sequence[Any]) -> AgentConfig:
        """Return the picked agent with the settings that differ from their defaults; only models have settings."""
        agent, *given = values
        if agent in STRATEGIES or not agent:
            return AgentConfig(agent or "")
        defaults = ModelOptions().model_dump()
        options = dict(zip(self.settings, given, strict=True))
        options = {key: defaults[key] if value is None else value for key, value in options.items()}
        return AgentConfig(agent, {key: value for key, value in options.items() if value != defaults[key]})

    def show(self, parley: Parley, config: AgentConfig, *, account: bool = False) -> Updates:
        """Return the updates that show an agent and its settings; one that cannot be picked is only described.

        Args:
            account: As in `choices`.
        """
        options = {**ModelOptions().model_dump(), **(config.options if config.agent not in STRATEGIES else {})}
        settings = {part: options[key] for key, part in self.settings.items()}
        agent = config.agent if is_usable(parley, config.agent, account=account) else None
        return {self.agent: agent, self.about: about_html(parley, config, account=account), **settings}


def build_head(
    parley: Parley, lane: int, seat: Seat, scenario: Scenario, config: AgentConfig
) -> tuple[gr.Dropdown, gr.HTML]:
    """Create the pick list of a seat and the line under it, showing `config`."""
    with gr.Column(min_width=200, elem_classes=f"picker seat-{seat}"):
        agent = gr.Dropdown(
            choices(parley),
            value=config.agent,
            label=text.AGENT.format(name=scenario.roles[seat].name),
            elem_id=f"lane-{lane}-agent-{seat}",
        )
        return agent, gr.HTML(about_html(parley, config), js_on_load=None)


def build_settings(parley: Parley, seat: Seat, scenario: Scenario, config: AgentConfig) -> dict[str, Any]:
    """Create the settings of a seat, showing `config`; return them by option."""
    options, parts = ModelOptions().model_copy(update=dict(config.options)), dict[str, Any]()
    strategies = [(choice.label, choice.agent) for choice in parley.catalog.choices() if choice.agent in STRATEGIES]
    with gr.Column(min_width=200, elem_classes=f"settings seat-{seat}"):
        head = text.SETTINGS_OF.format(name=scenario.roles[seat].name)
        gr.HTML(element("h3", "", head), js_on_load=None)
        parts["narrates"] = gr.Dropdown(
            [(text.DECIDES_ITSELF, ""), *strategies],
            value=options.narrates,
            label=text.NARRATES,
            info=text.NARRATES_INFO,
        )
        parts["guard"] = gr.Dropdown(
            [(words, guard) for guard, words in text.GUARDS.items()],
            value=options.guard,
            label=text.GUARD,
            info=text.GUARD_INFO,
        )
        parts["temperature"] = gr.Number(
            options.temperature, label=text.TEMPERATURE, info=text.TEMPERATURE_INFO, minimum=0, maximum=5, step=0.1
        )
        for key, label, example, most in (
            ("persona", text.PERSONA, text.PERSONA_INFO, 500),
            ("hint", text.HINT, text.HINT_INFO, 500),
            ("language", text.LANGUAGE, text.LANGUAGE_INFO, 60),
        ):
            parts[key] = gr.Textbox(getattr(options, key), label=label, placeholder=example, max_length=most)
        parts["calculator"] = gr.Checkbox(options.calculator, label=text.CALCULATOR, info=text.CALCULATOR_INFO)
        with gr.Row():
            parts["retries"] = gr.Number(
                options.retries, label=text.RETRIES, minimum=0, maximum=10, precision=0, min_width=90
            )
            parts["retry"] = gr.Dropdown(
                [(words, kind) for kind, words in text.RETRY_KINDS.items()],
                value=options.retry,
                label=text.RETRY,
                min_width=90,
            )
        parts["thinking"] = gr.Number(
            options.thinking, label=text.THINKING_ROOM, info=text.THINKING_INFO, minimum=0, maximum=40_000, precision=0
        )
    return parts
