"""Choosing what is negotiated: cards with the story and a small picture, a list, and a place to write one's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.admission.limits import Limits
from negotiation.admission.size_limits import check_scenario, check_scenario_text
from negotiation.app.parley import Parley
from negotiation.errors import ScenarioError
from negotiation.scenario.lint import lint
from negotiation.scenario.model import MOST_TEXT, SEATS, Scenario, scenario_from_text
from negotiation.scenario.source import scenario_text
from ui.drawing.charts import thumbnail, utility_space
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.html import esc, script, tag

OWN = "own"
"""The id of a scenario that the visitor writes."""
FIRST = "company_car"


def first_scenario(parley: Parley) -> Scenario:
    """What is shown on a first visit."""
    return parley.scenarios.get(FIRST) or next(iter(parley.scenarios.values()))


def chosen_scenario(parley: Parley, scenario_id: str, own: str) -> Scenario:
    """The scenario that is chosen, `own` being the text of the visitor's; raises ScenarioError or LimitReached."""
    if scenario_id == OWN:
        return own_scenario(parley.lanes.limits, own)
    if scenario_id not in parley.scenarios:
        raise ScenarioError(text.SCENARIO_GONE)
    return parley.scenarios[scenario_id]


def own_scenario(limits: Limits, own: str, scenario_id: str = OWN, where: str = text.OWN_WHERE) -> Scenario:
    """A scenario that a visitor wrote; raises ScenarioError, or LimitReached before anything large is done with it."""
    check_scenario_text(limits, own)
    scenario = scenario_from_text(own, scenario_id, where)
    check_scenario(limits, scenario)
    return scenario


@dataclass(frozen=True)
class ScenarioPicker:
    """The components for choosing and writing a scenario."""

    picked: gr.Dropdown
    cards: gr.HTML
    story: gr.HTML
    edit: gr.Button
    editor: gr.Column
    own: gr.Textbox
    findings: gr.HTML
    upload: gr.HTML
    use: gr.Button
    close: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """What `show` updates."""
        return [self.picked, self.cards, self.story]

    def show(self, parley: Parley, scenario: Scenario) -> dict[Any, Any]:
        """The updates that show a scenario as the chosen one."""
        value = scenario.scenario_id
        return {
            self.picked: gr.update(choices=_listed(parley, scenario), value=value),
            self.cards: cards_html(parley.scenarios.values(), value),
            self.story: story_html(scenario),
        }


def build_scenario_picker(parley: Parley) -> ScenarioPicker:
    """Create the components where it is called."""
    first = first_scenario(parley)
    with gr.Row(elem_classes="choose"):
        picked = gr.Dropdown(
            _listed(parley, first),
            value=first.scenario_id,
            label=text.SCENARIO,
            elem_id="arena-scenario",
            scale=1,
            min_width=220,
        )
        story = gr.HTML(story_html(first), elem_classes="story", js_on_load=None)
        edit = gr.Button(text.EDIT, size="sm", elem_id="arena-edit", scale=0, min_width=150)
    cards = gr.HTML(
        cards_html(parley.scenarios.values(), first.scenario_id), elem_id="arena-cards", js_on_load=script("send")
    )
    with gr.Column(visible=False, elem_classes="editor", elem_id="arena-editor") as editor:
        gr.HTML(tag("h2", esc(text.OWN_TITLE)) + tag("p", esc(text.OWN_ABOUT)), js_on_load=None)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=300):
                own = gr.Textbox(
                    label=text.OWN_LABEL,
                    lines=18,
                    max_lines=24,
                    max_length=parley.lanes.limits.scenario_characters,
                    elem_id="arena-own",
                )
                with gr.Row():
                    use = gr.Button(text.OWN_USE, variant="primary", min_width=120, elem_id="arena-use")
                    upload = gr.HTML(upload_html(), elem_id="arena-upload", js_on_load=script("upload"))
                    close = gr.Button(text.CLOSE, min_width=90)
            with gr.Column(scale=2, min_width=280):
                findings = gr.HTML(elem_id="arena-findings", js_on_load=None)
    return ScenarioPicker(picked, cards, story, edit, editor, own, findings, upload, use, close)


def upload_html() -> str:
    """A button that opens a file. The browser reads it: the server takes no files."""
    file = tag("input", "", type="file", accept=".yaml,.yml", data_most=MOST_TEXT)
    return tag("label", tag("span", esc(text.UPLOAD)) + file, "open-file")


def uploaded(name: object, words: object) -> str:
    """The text of a file that the browser read; raises gr.Error if it could not."""
    if not isinstance(words, str):
        raise gr.Error(text.UPLOAD_BAD.format(name=str(name)[:80], most=MOST_TEXT), print_exception=False)
    return words


def findings_html(limits: Limits, own: str) -> str:
    """What is wrong with a scenario that is being written, and its outcome space as far as it can be drawn."""
    if not own.strip():
        return tag("p", esc(text.OWN_EMPTY), "empty")
    try:
        scenario = own_scenario(limits, own)
    except ParleyError as error:
        return _finding_list(text.OWN_BROKEN, [("", str(error).removeprefix(f"{text.OWN_WHERE}: "))], "bad")
    found = [(finding.key, finding.message) for finding in lint(scenario)]
    shown = _finding_list(text.OWN_FOUND, found, "odd") if found else tag("p", esc("✓ " + text.OWN_FINE), "fine")
    return shown + tag("div", utility_space(space_of(scenario), (), agreed=False), "figures")


def _finding_list(title: str, found: Iterable[tuple[str, str]], classes: str) -> str:
    items = "".join(tag("li", (tag("code", esc(key)) + " " if key else "") + esc(words)) for key, words in found)
    return tag("div", tag("h3", esc(title)) + tag("ul", items), f"findings {classes}", role="status")


def story_html(scenario: Scenario) -> str:
    """A scenario's story, who sits at the table, and how large the task is."""
    count = len(scenario.issues)
    issues = text.ONE_ISSUE if count == 1 else text.ISSUES.format(count=count)
    facts = text.FACTS.format(issues=issues, outcomes=scenario.outcomes, rounds=scenario.rounds)
    names = text.VERSUS.join(tag("b", esc(scenario.roles[seat].name), f"seat-{seat}") for seat in SEATS)
    return tag("p", esc(scenario.story)) + tag("p", names + " · " + esc(facts), "roles")


def cards_html(scenarios: Iterable[Scenario], chosen: str) -> str:
    """The shipped scenarios as cards; the arrow keys go from one to the next."""
    cards = [_card(scenario, scenario.scenario_id == chosen) for scenario in scenarios]
    return tag("div", "".join(cards), "cards", role="group", aria_label=text.SCENARIOS, data_rove="")


def _card(scenario: Scenario, chosen: bool) -> str:
    words = tag("b", esc(scenario.title)) + tag("span", esc(scenario.story), "teaser")
    return tag(
        "button",
        thumbnail(space_of(scenario)) + tag("span", words, "words"),
        "card",
        type="button",
        data_send="scenario",
        data_value=scenario.scenario_id,
        aria_pressed=str(chosen).lower(),
    )


def _listed(parley: Parley, chosen: Scenario) -> list[tuple[str, str]]:
    listed = [(scenario.title, scenario.scenario_id) for scenario in parley.scenarios.values()]
    if chosen.scenario_id not in parley.scenarios:
        listed.append((text.OWN_LISTED.format(title=chosen.title), chosen.scenario_id))
    return listed


def editable(scenario: Scenario) -> str:
    """A scenario as text to be changed."""
    return scenario_text(scenario)
