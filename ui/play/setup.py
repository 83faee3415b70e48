"""Setting up a negotiation with a person: the scenario, their seat and the opponent, remembered by the browser."""

from __future__ import annotations

from typing import Any

import gradio as gr

from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.scenario.model import SEATS, Scenario, Seat, other
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, merged
from ui.play import text
from ui.play.open_page import OpenPage
from ui.play.preferences import own_html
from ui.server.accounts import handle_of
from ui.widgets.agent_picker import about_html, choices
from ui.widgets.memory import Memory
from ui.widgets.scenario_picker import first_scenario, story_html
from ui.widgets.spending import Spending, remembered_limit

SCRIPT = "boulware"
"""The first opponent where no trained model can be used."""


class PlaySetup:
    """Builds its components where it is created, except for those that `build_story` adds."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._first = first_scenario(parley)
        trained = parley.availability.trained()
        self._opponent = trained[0].model_id if trained else SCRIPT
        self.memory = Memory("parley-play")
        with gr.Row(elem_classes="play-setup"):
            self.scenario = gr.Dropdown(
                self._scenarios(self._first),
                value=self._first.scenario_id,
                label=shared.SCENARIO,
                elem_id="play-scenario",
                min_width=200,
            )
            self.seat = gr.Radio(_seats(self._first), value="a", label=text.SEAT, elem_id="play-seat", min_width=200)
            with gr.Column(min_width=220, elem_classes="picker"):
                self.opponent = gr.Dropdown(
                    choices(parley), value=self._opponent, label=text.OPPONENT, elem_id="play-opponent"
                )
                self.about = gr.HTML(about_html(parley, AgentConfig(self._opponent)), js_on_load=None)
            self.spending = Spending(parley, "play")
            self.spending.build_limit()

    def build_story(self) -> None:
        """Create the scenario's story and the person's own side where it is called."""
        self.story = gr.HTML(story_html(self._first), elem_classes="told", js_on_load=None)
        with gr.Accordion(text.PREFERENCES, open=True, elem_classes="own-fold") as self.fold:
            self.own = gr.HTML(own_html(self._first, "a"), elem_id="play-own", js_on_load=None)

    @property
    def picked(self) -> list[Any]:
        """The components with what was chosen: the ids of a scenario, a seat and an opponent."""
        return [self.scenario, self.seat, self.opponent]

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` updates."""
        return [*self.picked, self.about, self.story, self.own, *self.spending.outputs]

    def connect(self, page: gr.State) -> None:
        """Connect the parts."""
        chosen, shown = [self.scenario, self.seat], [self.seat, self.story, self.own]
        # One event for both, so that the answer to the last choice comes last.
        gr.on([part.input for part in chosen], self._choose, chosen, shown, trigger_mode="always_last", **QUIET)
        form = [*self.picked, self.spending.limit]
        remembered = [self.memory.stored, *self.spending.outputs]
        edited = [part.input for part in form]
        gr.on(edited, self._remember, [page, *form], remembered, trigger_mode="always_last", **QUIET)
        self.opponent.change(self._describe, [self.opponent], [self.about], **QUIET)

    def show(self, request: gr.Request, scenario: Scenario, seat: Seat, opponent: str) -> Updates:
        """Return the updates that show a set-up; an opponent that is no longer available is replaced."""
        listed = choices(self._parley, account=self._has_account(request))
        opponent = opponent if opponent in (agent for _, agent in listed) else self._opponent
        return {
            self.scenario: gr.update(choices=self._scenarios(scenario), value=scenario.scenario_id),
            self.seat: gr.update(choices=_seats(scenario), value=seat),
            self.opponent: gr.update(choices=listed, value=opponent),
            self.about: self._describe(request, opponent),
            self.story: story_html(scenario),
            self.own: own_html(scenario, seat),
            **self._costs(request, scenario, seat, opponent),
        }

    def _costs(self, request: gr.Request, scenario: Scenario, seat: Seat, opponent: str | None) -> Updates:
        """Return the updates that say what a negotiation with an opponent costs."""
        agents = {seat: AgentConfig(HUMAN), other(seat): AgentConfig(opponent or "")}
        return self.spending.show(request, scenario, [(agents["a"], agents["b"])])

    def scenario_of(self, scenario_id: str) -> Scenario:
        """Return a shipped scenario; raises gr.Error if there is none with this id."""
        if scenario_id not in self._parley.scenarios:
            raise gr.Error(shared.SCENARIO_GONE, print_exception=False)
        return self._parley.scenarios[scenario_id]

    def _scenarios(self, chosen: Scenario) -> list[tuple[str, str]]:
        listed = [(one.title, one.scenario_id) for one in self._parley.scenarios.values()]
        if chosen.scenario_id not in self._parley.scenarios:
            listed.append((shared.OWN_LISTED.format(title=chosen.title), chosen.scenario_id))
        return listed

    def remembered(self, request: gr.Request, page: OpenPage, stored: object) -> Updates:
        """Restore the set-up that the browser remembers, unless the visitor has already chosen something."""
        memory = Memory.unpacked(stored)
        if page.settled or not isinstance(memory, dict):
            return {self.opponent: gr.update(choices=choices(self._parley, account=self._has_account(request)))}
        page.settled = True
        scenario = self._parley.scenarios.get(str(memory.get("scenario")), self._first)
        shown = self.show(request, scenario, "b" if memory.get("seat") == "b" else "a", str(memory.get("foe")))
        return merged(shown, self.limit(memory))

    def limit(self, memory: object) -> Updates:
        """Return the updates that restore the limit of a set-up that the browser remembers."""
        return {self.spending.limit: remembered_limit(memory if isinstance(memory, dict) else {})}

    def _remember(
        self,
        request: gr.Request,
        page: OpenPage,
        scenario_id: str,
        seat: Seat,
        opponent: str | None,
        limit: float | None,
    ) -> Updates:
        page.settled = True
        memory = {"scenario": scenario_id, "seat": seat, "foe": opponent, "limit": limit}
        costs = self._costs(request, self._parley.scenarios.get(scenario_id, self._first), seat, opponent)
        return {self.memory.stored: Memory.packed(memory), **costs}

    def _choose(self, scenario_id: str, seat: Seat) -> Updates:
        scenario = self.scenario_of(scenario_id)
        return {
            self.seat: gr.update(choices=_seats(scenario)),  # no value: another seat may have been chosen since
            self.story: story_html(scenario),
            self.own: own_html(scenario, seat),
        }

    def _describe(self, request: gr.Request, opponent: str | None) -> str:
        return about_html(self._parley, AgentConfig(opponent or ""), account=self._has_account(request))

    def _has_account(self, request: gr.Request) -> bool:
        return handle_of(self._parley, request) is not None


def _seats(scenario: Scenario) -> list[tuple[str, str]]:
    return [(scenario.roles[seat].name, seat) for seat in SEATS]
