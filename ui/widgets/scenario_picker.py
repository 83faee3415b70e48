"""Choosing a scenario: cards with the story and a small picture, a list, and an editor for a new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.errors import ParleyError
from negotiation.admission.limits import Limits
from negotiation.admission.size_limits import check_scenario, check_scenario_text
from negotiation.app.parley import Parley
from negotiation.errors import ScenarioError
from negotiation.scenario.lint import LintFinding, findings_of, lint
from negotiation.scenario.model import MOST_TEXT, Scenario, scenario_from_text
from negotiation.scenario.source import scenario_text
from ui.drawing.charts import thumbnail, utility_space
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.components import Updates, script
from ui.kit.errors import words_of
from ui.kit.templates import render

OWN = "own"
"""The id of a scenario that the visitor writes."""
FIRST = "used_camera"


def first_scenario(parley: Parley) -> Scenario:
    """Return the scenario of a first visit."""
    return parley.scenarios.get(FIRST) or next(iter(parley.scenarios.values()))


def chosen_scenario(parley: Parley, scenario_id: str, own: str) -> Scenario:
    """Return the chosen scenario; `own` is the text of the visitor's own.

    Raises:
        ScenarioError: If it is gone or invalid.
        LimitReached: If the visitor's own is too large.
    """
    if scenario_id == OWN:
        return own_scenario(parley.lanes.limits, own)
    if scenario_id not in parley.scenarios:
        raise ScenarioError(text.SCENARIO_GONE)
    return parley.scenarios[scenario_id]


def own_scenario(limits: Limits, own: str, scenario_id: str = OWN, where: str = text.OWN_WHERE) -> Scenario:
    """Return a scenario that a visitor wrote.

    Raises:
        ScenarioError: If it is invalid.
        LimitReached: If it is too large; checked before any expensive work.
    """
    check_scenario_text(limits, own)
    scenario = scenario_from_text(own, scenario_id, where)
    check_scenario(limits, scenario)
    return scenario


class ScenarioPicker:
    """The components for choosing and writing a scenario, which show the first one.

    The list is built where the picker is created; the story and the editor have places of their own.
    """

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        first = first_scenario(parley)
        self.picked = gr.Dropdown(
            _listed(parley, first),
            value=first.scenario_id,
            label=text.SCENARIO,
            elem_id="arena-scenario",
            scale=0,
            min_width=200,
        )

    def build_story(self) -> None:
        """Create the story of the chosen scenario."""
        self.story = gr.HTML(story_html(first_scenario(self._parley)), elem_classes="story", js_on_load=None)

    def build_editor(self) -> None:
        """Create the cards, and the editor for a new scenario."""
        scenarios, first = self._parley.scenarios.values(), first_scenario(self._parley)
        with gr.Row(elem_classes="choose"):
            shown = cards_html(scenarios, first.scenario_id)
            self.cards = gr.HTML(shown, elem_id="arena-cards", js_on_load=script("send"))
            self.edit = gr.Button(text.EDIT, size="sm", elem_id="arena-edit", scale=0, min_width=150)
        with gr.Column(visible=False, elem_classes="editor", elem_id="arena-editor") as self.editor:
            gr.HTML(render("titled", title=text.OWN_TITLE, about=text.OWN_ABOUT), js_on_load=None)
            with gr.Row(equal_height=False):
                with gr.Column(scale=3, min_width=300):
                    self.own = gr.Textbox(
                        label=text.OWN_LABEL,
                        lines=18,
                        max_lines=24,
                        max_length=self._parley.lanes.limits.scenario_characters,
                        elem_id="arena-own",
                    )
                    with gr.Row():
                        self.use = gr.Button(text.OWN_USE, variant="primary", min_width=120, elem_id="arena-use")
                        self.upload = gr.HTML(
                            render("scenario_upload", most=MOST_TEXT),
                            elem_id="arena-upload",
                            js_on_load=script("upload"),
                        )
                        self.close = gr.Button(text.CLOSE, min_width=90)
                with gr.Column(scale=2, min_width=280):
                    self.findings = gr.HTML(elem_id="arena-findings", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates."""
        return [self.picked, self.cards, self.story]

    def show(self, parley: Parley, scenario: Scenario) -> Updates:
        """Return the updates that show a scenario as the chosen one."""
        value = scenario.scenario_id
        return {
            self.picked: gr.update(choices=_listed(parley, scenario), value=value),
            self.cards: cards_html(parley.scenarios.values(), value),
            self.story: story_html(scenario),
        }


def uploaded(name: object, words: object) -> str:
    """Return the text of a file that the browser read; raises gr.Error if it could not read it."""
    if not isinstance(words, str):
        raise gr.Error(text.UPLOAD_BAD.format(name=str(name)[:80], most=MOST_TEXT), print_exception=False)
    return words


def findings_html(limits: Limits, own: str) -> Markup:
    """Draw the problems of a scenario that is being written, and its outcome space once it is valid."""
    if not own.strip():
        return render("empty", words=text.OWN_EMPTY)
    try:
        scenario = own_scenario(limits, own)
    except ScenarioError as error:
        return _findings_html(text.OWN_BROKEN, findings_of(error), "bad")
    except ParleyError as error:  # a limit
        return _findings_html(text.OWN_BROKEN, [LintFinding("", words_of(error))], "bad")
    return _findings_html(text.OWN_FOUND, lint(scenario), "odd", utility_space(space_of(scenario), (), agreed=False))


def _findings_html(title: str, findings: Sequence[LintFinding], look: str, plot: Markup | None = None) -> Markup:
    return render("scenario_findings", title=title, findings=findings, look=look, plot=plot)


def story_html(scenario: Scenario) -> Markup:
    """Draw a scenario's story, its roles, and the size of the task."""
    count = len(scenario.issues)
    issues = text.ONE_ISSUE if count == 1 else text.ISSUES.format(count=count)
    facts = text.FACTS.format(issues=issues, outcomes=scenario.outcomes, rounds=scenario.rounds)
    return render("scenario_story", scenario=scenario, facts=facts)


def cards_html(scenarios: Iterable[Scenario], chosen: str) -> Markup:
    """Draw the shipped scenarios as cards; the arrow keys move from one to the next."""
    cards = [(scenario, thumbnail(space_of(scenario))) for scenario in scenarios]
    return render("scenario_cards", cards=cards, chosen=chosen)


def _listed(parley: Parley, chosen: Scenario) -> list[tuple[str, str]]:
    listed = [(scenario.title, scenario.scenario_id) for scenario in parley.scenarios.values()]
    if chosen.scenario_id not in parley.scenarios:
        listed.append((text.OWN_LISTED.format(title=chosen.title), chosen.scenario_id))
    return listed


def editable(scenario: Scenario) -> str:
    """Return a scenario as text for the editor."""
    return scenario_text(scenario)
