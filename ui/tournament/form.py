"""The form that sets up a tournament, by hand or from a file in configs/tournaments. Its keys are those of the file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.config.strict_yaml import validate
from manager.errors import ConfigError
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.families.family import family_names, find_family
from negotiation.tournament.plan import Adaptive, Tournament, TournamentLimits
from negotiation.tournament.plan_file import AgentEntry, TournamentFile, read_tournament, resolve
from ui.kit.components import QUIET, Updates
from ui.kit.errors import plainly, words_of
from ui.kit.templates import render
from ui.tournament import text
from ui.widgets.agent_picker import labels

WHERE = "this form"
DRAWN = 50
"""The number of scenarios of a family that the form suggests."""


@dataclass(frozen=True, kw_only=True)
class FormValues:
    """What the form says: keys of a tournament's file, some as text. A number is None or 0 where its field is empty."""

    title: str
    models: Sequence[str] | None  # entries as JSON
    baselines: Sequence[str] | None  # names, and entries with options as JSON
    scenarios: Sequence[str] | None  # empty: all
    family: str | None  # instead of scenarios
    count: int | None
    draw_seed: int | None
    pairs: int | None
    seeds: str | None
    rounds: int | None
    mirrored: bool
    constrained: bool
    at_once: int | None
    retries: int | None
    retry_seconds: float | None
    minutes: float | None
    adaptive: bool
    first_pairs: int | None
    close_points: float | None
    negotiations: int | None


class TournamentForm:
    """Builds the components where it is created."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self.parts: dict[str, Any] = {}
        parts, files = self.parts, tournament_files(parley)
        with gr.Row():
            listed = [(text.FILE_OWN, ""), *((path.stem, path.name) for path in files)]
            self.file = gr.Dropdown(listed, value="", label=text.FILE, elem_id="cup-file")
            parts["title"] = gr.Textbox(text.TAB, label=text.TITLE, max_length=200, elem_id="cup-title")
        with gr.Row():
            parts["models"] = gr.Dropdown(
                model_choices(parley), multiselect=True, value=[], label=text.MODELS, elem_id="cup-models"
            )
            parts["baselines"] = gr.Dropdown(
                script_choices(),
                multiselect=True,
                value=[],
                label=text.BASELINES,
                elem_id="cup-baselines",
            )
            parts["scenarios"] = gr.Dropdown(
                [(scenario.title, key) for key, scenario in parley.scenarios.items()],
                multiselect=True,
                value=[],
                label=text.SCENARIOS,
                info=text.SCENARIOS_INFO,
                elem_id="cup-scenarios",
            )
        with gr.Row():
            parts["family"] = gr.Dropdown(
                family_choices(parley), value="", label=text.FAMILY, info=text.FAMILY_INFO, elem_id="cup-family"
            )
            parts["count"] = gr.Number(
                DRAWN, precision=0, minimum=0, label=text.DRAWN, info=text.DRAWN_INFO, min_width=140
            )
            parts["draw_seed"] = gr.Number(
                1, precision=0, minimum=0, label=text.DRAW_SEED, info=text.DRAW_SEED_INFO, min_width=140
            )
        limits, adaptive = TournamentLimits(), Adaptive()
        with gr.Row():
            parts["pairs"] = gr.Number(
                1, precision=0, minimum=1, label=text.PAIRS, info=text.PAIRS_INFO, elem_id="cup-pairs", min_width=140
            )
            parts["seeds"] = gr.Textbox("", label=text.SEEDS, info=text.SEEDS_INFO, max_length=2000, min_width=140)
            parts["rounds"] = gr.Number(
                0, precision=0, minimum=0, label=text.ROUNDS, info=text.ROUNDS_INFO, min_width=140
            )
            with gr.Column(min_width=200):
                parts["mirrored"] = gr.Checkbox(True, label=text.MIRRORED)
                parts["constrained"] = gr.Checkbox(True, label=text.CONSTRAINED)
        with gr.Accordion(text.LIMITS, open=False):
            with gr.Row():
                parts["at_once"] = gr.Number(limits.at_once, precision=0, minimum=1, maximum=256, label=text.AT_ONCE)
                parts["retries"] = gr.Number(limits.retries, precision=0, minimum=0, maximum=20, label=text.RETRIES)
                parts["retry_seconds"] = gr.Number(limits.retry_seconds, minimum=0, label=text.RETRY_SECONDS)
                parts["minutes"] = gr.Number(0, minimum=0, label=text.MINUTES, info=text.MINUTES_INFO)
            parts["adaptive"] = gr.Checkbox(False, label=text.ADAPTIVE)
            with gr.Row():
                parts["first_pairs"] = gr.Number(adaptive.first_pairs, precision=0, minimum=1, label=text.FIRST_PAIRS)
                parts["close_points"] = gr.Number(adaptive.close_points, minimum=0, label=text.CLOSE_POINTS)
                parts["negotiations"] = gr.Number(0, precision=0, minimum=0, label=text.MOST, info=text.MOST_INFO)
        self.size = gr.HTML(elem_id="cup-size", js_on_load=None)

    @property
    def fields(self) -> list[Any]:
        """The components with the values of `FormValues`, in their order."""
        return [self.parts[field.name] for field in fields(FormValues)]

    def connect(self) -> None:
        """Connect the parts: a file fills the form, and every change shows the size of the tournament."""
        filled = self.file.input(self._fill, [self.file], self.fields, **QUIET)
        filled.success(self._measure, self.fields, [self.size], **QUIET)
        changes = [field.input for field in self.fields]
        gr.on(changes, self._measure, self.fields, [self.size], trigger_mode="always_last", **QUIET)

    def asked(self, *values: Any) -> Tournament:
        """Return the tournament that the fields describe; raises ConfigError naming the key."""
        names = (field.name for field in fields(FormValues))
        return tournament_of(self._parley, FormValues(**dict(zip(names, values, strict=True))))

    def _measure(self, *values: Any) -> Markup:
        try:
            asked = self.asked(*values)
        except ConfigError as error:
            return render("notice", words=words_of(error))
        size = text.SIZE.format(agents=len(asked.agents), scenarios=len(asked.scenarios), size=asked.size)
        if asked.adaptive is not None and asked.adaptive.negotiations is not None:
            size += text.SIZE_MOST.format(most=asked.adaptive.negotiations)
        return render("tournament/size", words=size)

    def _fill(self, name: str) -> Updates:
        path = next((path for path in tournament_files(self._parley) if path.name == name), None)
        if path is None:
            return {self.parts["title"]: gr.skip()}
        with plainly():
            given = read_tournament(path)
        values = values_of(self._parley, given)
        models = [entry for entry in given.models if isinstance(entry, AgentEntry)]
        new: Updates = {self.parts[field.name]: getattr(values, field.name) for field in fields(FormValues)}
        listed = model_choices(self._parley, models)
        scripts = script_choices([entry for entry in given.baselines if isinstance(entry, AgentEntry)])
        return new | {
            self.parts["models"]: gr.update(choices=listed, value=values.models),
            self.parts["baselines"]: gr.update(choices=scripts, value=values.baselines),
        }


def tournament_of(parley: Parley, values: FormValues) -> Tournament:
    """Return the tournament that a form describes; raises ConfigError naming the key."""
    limits = {
        "at_once": values.at_once,
        "retries": values.retries,
        "retry_seconds": _float(values.retry_seconds),
        "minutes": _float(values.minutes or None),
    }
    data: dict[str, Any] = {
        "title": (values.title or "").strip(),
        "models": [json.loads(entry) for entry in values.models or []],
        "baselines": [json.loads(entry) if entry.startswith("{") else entry for entry in values.baselines or []],
        "mirrored": bool(values.mirrored),
        "constrained": bool(values.constrained),
        "limits": _given(limits),
    }
    if values.family:
        data |= {"family": values.family, **_given({"count": values.count, "draw_seed": values.draw_seed})}
    if values.scenarios or not values.family:
        data["scenarios"] = list(values.scenarios or []) or "all"
    data |= _given({"rounds": values.rounds or None})
    if seeds := (values.seeds or "").strip():
        data["seeds"] = _seeds(seeds)
    else:
        data |= _given({"pairs": values.pairs})
    if values.adaptive:
        adaptive = {"first_pairs": values.first_pairs, "negotiations": values.negotiations or None}
        data["adaptive"] = _given({**adaptive, "close_points": _float(values.close_points)})
    given = validate(TournamentFile, data, WHERE)
    asked = resolve(given, parley.catalog, parley.scenarios, WHERE, parley.settings.config_file("families"))
    most = parley.lanes.limits.games
    if asked.size > most:
        raise ConfigError(text.TOO_MANY.format(size=asked.size, most=most))
    return asked


def values_of(parley: Parley, given: TournamentFile) -> FormValues:
    """Return the values of a form that describe the same tournament as a file."""
    listed = parley.manager.list_models() if given.models == "all" else given.models
    entries = [entry if isinstance(entry, AgentEntry) else AgentEntry(agent=entry) for entry in listed]
    adaptive = given.adaptive or Adaptive()
    return FormValues(
        title=given.title,
        models=[_value(entry) for entry in entries],
        baselines=[
            entry if isinstance(entry, str) else _value(entry)
            for entry in (STRATEGIES if given.baselines == "all" else given.baselines)
        ],
        scenarios=[] if given.scenarios == "all" else list(given.scenarios),
        family=given.family or "",
        count=given.count or DRAWN,
        draw_seed=given.draw_seed,
        pairs=given.pairs or 1,
        seeds=", ".join(map(str, given.seeds or ())),
        rounds=given.rounds,
        mirrored=given.mirrored,
        constrained=given.constrained,
        **given.limits.model_dump(),
        adaptive=given.adaptive is not None,
        **adaptive.model_dump(),
    )


def model_choices(parley: Parley, more: Sequence[AgentEntry] = ()) -> list[tuple[str, str]]:
    """Return the pick list: the models that need no visitor's account, and entries with their own options."""
    names = labels(parley)
    listed = {}
    models = parley.availability.registered()  # tournaments cannot pay with a visitor's own key
    everybodys = [AgentEntry(agent=spec.model_id) for spec in models if spec.credentials is None]
    for entry in [*everybodys, *more]:
        label = AgentConfig(entry.agent, entry.options).label
        listed[_value(entry)] = names.get(entry.agent, entry.agent) + label[len(entry.agent) :]
    return [(label, value) for value, label in listed.items()]


def family_choices(parley: Parley) -> list[tuple[str, str]]:
    """Return the pick list: no family, and all families."""
    folder = parley.settings.config_file("families")
    return [(text.FAMILY_NONE, ""), *((find_family(name, folder).title, name) for name in family_names(folder))]


def script_choices(more: Sequence[AgentEntry] = ()) -> list[tuple[str, str]]:
    """Return the pick list: all scripts, and entries with their own options."""
    listed = [(strategy.label, name) for name, strategy in STRATEGIES.items()]
    return listed + [(AgentConfig(entry.agent, entry.options).label, _value(entry)) for entry in more]


def tournament_files(parley: Parley) -> list[Path]:
    """Return the files in configs/tournaments."""
    return sorted(parley.settings.config_file("tournaments").glob("*.yaml"))


def _value(entry: AgentEntry) -> str:
    return json.dumps(entry.model_dump(mode="json"), sort_keys=True)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _seeds(written: str) -> list[int]:
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if not all(re.fullmatch("[0-9]{1,19}", part) for part in parts):
        raise ConfigError(text.SEEDS_WRONG)
    return [int(part) for part in parts]
