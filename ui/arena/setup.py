"""Setting up: presets, scenario, seed and agents. The browser stores the setup, so that a reload loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.errors import ParleyError
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.scenario.model import SEATS, Scenario
from ui.arena import text
from ui.arena.presets import chosen_preset, presets, presets_html
from ui.arena.runs import Shown
from ui.drawing.lane_head import Player
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.kit.components import QUIET, Updates, merged, script
from ui.kit.templates import element, render
from ui.server.accounts import handle_of
from ui.widgets.agent_picker import AgentPicker, about_html, choices, is_usable, labels, on_account_html
from ui.widgets.lane import Lane, Painter, build_players, relabel
from ui.widgets.memory import Memory
from ui.widgets.model_facts import unusable_html
from ui.widgets.scenario_picker import (
    ScenarioPicker,
    chosen_scenario,
    editable,
    findings_html,
    first_scenario,
    uploaded,
)
from ui.widgets.spending import Spending, remembered_limit

FIRST_SEED = 29  # with which both sides of the first visit's question have something to say


@dataclass(frozen=True)
class Form:
    """A setup as it was filled in; `own` is the text of the visitor's own scenario."""

    scenario_id: str
    own: str
    seed: float | None
    blind: bool
    limit: float | None
    lanes: tuple[Players, ...]


class Setup:
    """The set-up of the next negotiations. Builds its line and its drawer where it is created.

    `build_buttons` creates what the line begins with. `build_lanes` adds the lanes, whose pick lists are in the drawer.
    """

    def __init__(self, parley: Parley, shown: gr.State, build_buttons: Callable[[], None]) -> None:
        self._parley = parley
        self._shown = shown
        scenario, lanes = first_scenario(parley), presets(parley)[0].lanes
        self.memory = Memory("parley-arena")
        with gr.Row(elem_classes="line", elem_id="arena-line"):
            build_buttons()
            self.preset = gr.HTML(
                presets_html(parley, lanes),
                elem_id="arena-presets",
                js_on_load=script("send") + script("menu"),
            )
            self.scenario = ScenarioPicker(parley)
            self.lineup = gr.HTML(self.lineup_html(scenario, lanes), elem_id="arena-lineup", js_on_load=None)
        self.scenario.build_story()
        self.spending = Spending(parley, "arena")
        with gr.Accordion(text.CHANGE, open=False, elem_id="arena-setup"):
            with gr.Row(elem_classes="lane-setups", equal_height=False):
                self._seated = [
                    build_players(parley, number, scenario, players) for number, players in enumerate(lanes, 1)
                ]
            self.on_account = gr.HTML(elem_id="arena-on-account", js_on_load=None)
            self.unusable = gr.HTML(unusable_html(parley), js_on_load=None)
            with gr.Row(elem_classes="controls"):
                self.swap = gr.Button(text.SWAP, elem_id="arena-swap", min_width=130, scale=0)
                self.seed = gr.Number(
                    FIRST_SEED, precision=0, label=text.SEED, info=text.SEED_INFO, elem_id="arena-seed", min_width=150
                )
                self.suspense = gr.Checkbox(False, label=text.SUSPENSE, elem_id="arena-suspense", min_width=200)
                self.spending.build_limit()
                self.blind = gr.Checkbox(False, label=text.BLIND, elem_id="arena-blind", min_width=200)
            self.scenario.build_editor()
        self.stale = gr.HTML(elem_id="arena-stale", js_on_load=None)
        self.suspended = gr.HTML(elem_id="arena-suspended", js_on_load=None)  # also while the drawer is closed
        self.lanes: list[Lane] = []

    def build_lanes(self) -> None:
        """Create the lanes."""
        first = first_scenario(self._parley)
        with gr.Row(elem_classes="lanes", equal_height=False):
            self.lanes = [Lane(number, first, pickers) for number, pickers in enumerate(self._seated, 1)]

    def connect(self) -> None:
        """Connect the events that need no negotiation."""
        chosen = self.scenario
        preset = self.preset.click(self._choose_preset, self.form, self.outputs, **QUIET)
        swapped = self.swap.click(self._swap, self.form, self.outputs, **QUIET)
        typed = (self.seed, self.suspense, self.blind, self.spending.limit, chosen.own)
        edited = [part.input for part in (*typed, *self._picked)]
        gr.on(edited, self.remember, self._remembers, self.watched, trigger_mode="always_last", **QUIET)
        for event in (preset, swapped):
            self.remember_after(event)
        opened = chosen.edit.click(self._edit, [chosen.picked, chosen.own], [chosen.editor, chosen.own], **QUIET)
        opened.success(self._findings, [chosen.own], [chosen.findings], **QUIET)
        chosen.close.click(lambda: gr.update(visible=False), None, [chosen.editor], **QUIET)
        chosen.own.change(self._findings, [chosen.own], [chosen.findings], trigger_mode="always_last", **QUIET)
        chosen.upload.submit(self._upload, None, [chosen.own], **QUIET)

    def count_after(self, event: Any) -> None:
        """Show what negotiations like the chosen ones have cost, after an event."""
        event.then(self._count, self.form, self.spending.outputs, **QUIET)

    def remember_after(self, event: Any) -> None:
        """Store the setup in the browser after an event that changed it."""
        event.success(self.remember, self._remembers, self.watched, **QUIET)

    @property
    def _remembers(self) -> list[Any]:
        return [self._shown, self.suspense, *self.form]

    @property
    def pick_lists(self) -> list[Any]:
        """The components that `list_agents` updates."""
        return [*(picker.agent for picker in self._pickers), self.on_account, self.unusable]

    def list_agents(self, *, account: bool) -> Updates:
        """Return the updates that offer what can be picked now; `account` is as in `agent_picker.choices`."""
        listed = gr.update(choices=choices(self._parley, account=account))
        offered: Updates = {picker.agent: listed for picker in self._pickers}
        offered[self.on_account] = on_account_html(self._parley, account=account)
        return {**offered, self.unusable: unusable_html(self._parley)}

    @property
    def _pickers(self) -> list[AgentPicker]:
        return [picker for lane in self.lanes for picker in lane.pickers]

    @property
    def _picked(self) -> list[Any]:
        """The pick lists and their settings."""
        return [part for picker in self._pickers for part in picker.inputs]

    @property
    def form(self) -> list[Any]:
        """The components that `read` reads."""
        limit = self.spending.limit
        return [self.scenario.picked, self.scenario.own, self.seed, self.blind, limit, *self._picked]

    @property
    def outputs(self) -> list[Any]:
        """The components that show a setup."""
        abouts = [picker.about for picker in self._pickers]
        chosen = [self.preset, self.lineup, *self.spending.outputs, *self.scenario.outputs]
        return [*chosen, *self._picked, *abouts]

    @property
    def painted(self) -> list[Any]:
        """The components that show the lanes' negotiations."""
        return [part for lane in self.lanes for part in lane.outputs]

    @property
    def watched(self) -> list[Any]:
        """The components that `remember` updates."""
        abouts = [picker.about for picker in self._pickers]
        said = [self.preset, self.lineup, self.stale, self.suspended, *self.spending.outputs]
        return [self.memory.stored, *said, *abouts]

    # -- showing a setup ---------------------------------------------------------------------------------------

    def show_scenario(self, scenario: Scenario) -> Updates:
        """Return the updates that show a scenario as the chosen one, and empty lanes."""
        new: Updates = self.scenario.show(self._parley, scenario) | self.empty_lanes(scenario)
        for lane in self.lanes:
            new |= relabel(lane, scenario)
        return new

    def empty_lanes(self, scenario: Scenario) -> Updates:
        """Return the updates that empty the lanes."""
        new: Updates = {}
        for lane in self.lanes:
            new |= Painter(lane, space_of(scenario), labels(self._parley)).paint(LaneView(scenario))
        return new

    def show_players(self, lane: Lane, players: Players, *, account: bool) -> Updates:
        """Return the updates that show who plays in a lane; `account` is as in `agent_picker.choices`."""
        new: Updates = {}
        for picker, config in zip(lane.pickers, players, strict=True):
            new |= picker.show(self._parley, config, account=account)
        return new

    def show_lanes(self, request: gr.Request, scenario: Scenario, lanes: tuple[Players, ...]) -> Updates:
        """Return the updates that show who plays in both lanes, to the visitor who makes a request."""
        new: Updates = {self.preset: presets_html(self._parley, lanes), self.lineup: self.lineup_html(scenario, lanes)}
        new |= self.spending.show(request, scenario, lanes)
        account = self.has_account(request)
        for lane, players in zip(self.lanes, lanes, strict=True):
            new |= self.show_players(lane, players, account=account)
        return new

    def lineup_html(self, scenario: Scenario, lanes: tuple[Players, ...]) -> Markup:
        """Draw who plays whom in each lane."""
        names = labels(self._parley)
        seated = [
            [Player.of(scenario, seat, config, names) for seat, config in zip(SEATS, players, strict=True)]
            for players in lanes
        ]
        return render("arena/lineup", lanes=seated, versus=text.VERSUS)

    def remembered(self, request: gr.Request, memory: object) -> Updates:
        """Return the updates that show a stored setup; parts that no longer exist are those of a first visit."""
        stored: Mapping[str, Any] = memory if isinstance(memory, dict) else {}
        own = stored.get("own") if isinstance(stored.get("own"), str) else ""
        try:
            scenario = chosen_scenario(self._parley, str(stored.get("scenario")), own or "")
        except ParleyError:
            scenario = first_scenario(self._parley)
        lanes = self._known_players(stored.get("agents"), self.has_account(request)) or presets(self._parley)[0].lanes
        seed = stored.get("seed", FIRST_SEED)
        new: Updates = {
            self.seed: seed if isinstance(seed, int) else None,
            self.suspense: stored.get("suspense") is True,
            self.suspended: suspended_html(stored.get("suspense")),
            self.blind: is_blind(stored),
            self.scenario.own: own,
            **self.show_scenario(scenario),
        }
        new = merged(new, self.show_lanes(request, scenario, lanes))
        return merged(new, {self.spending.limit: remembered_limit(stored)})

    def _known_players(self, data: Any, account: bool) -> tuple[Players, ...] | None:
        try:
            found = [AgentConfig.from_json(entry) for entry in data]
            if not all(is_usable(self._parley, config.agent, account=account) for config in found):
                return None
            for config in found:
                self._parley.catalog.create(config)
        except (ParleyError, TypeError):
            return None
        return ((found[0], found[1]), (found[2], found[3])) if len(found) == 2 * len(self.lanes) else None

    def read(self, values: Sequence[Any]) -> Form:
        """Return the form from the values of `form`."""
        scenario_id, own, seed, blind, limit, *rest = values
        configs = []
        for picker in self._pickers:
            count = len(picker.inputs)
            configs.append(picker.config(rest[:count]))
            del rest[:count]
        return Form(scenario_id, own, seed, blind, limit, tuple(zip(configs[::2], configs[1::2], strict=True)))

    # -- handlers ----------------------------------------------------------------------------------------------

    def _choose_preset(self, request: gr.Request, event: gr.EventData, *values: Any) -> Updates:
        lanes = chosen_preset(self._parley, event.preset).lanes
        return self.show_lanes(request, self._scenario(self.read(values)), lanes)

    def _swap(self, request: gr.Request, *values: Any) -> Updates:
        form = self.read(values)
        swapped = tuple((b, a) for a, b in form.lanes)
        return self.show_lanes(request, self._scenario(form), swapped)

    def has_account(self, request: gr.Request) -> bool:
        """Return whether a visitor has an account of their own here."""
        return handle_of(self._parley, request) is not None

    def _scenario(self, form: Form) -> Scenario:
        """Return the scenario of a form; the first one while the visitor's own cannot be read."""
        try:
            return chosen_scenario(self._parley, form.scenario_id, form.own)
        except ParleyError:
            return first_scenario(self._parley)

    def _count(self, request: gr.Request, *values: Any) -> Updates:
        form = self.read(values)
        return self.spending.show(request, self._scenario(form), form.lanes)

    def _edit(self, scenario_id: str, own: str) -> Updates:
        """Open the editor with the chosen scenario."""
        shipped = self._parley.scenarios.get(scenario_id)
        return {
            self.scenario.editor: gr.update(visible=True),
            self.scenario.own: own if shipped is None else editable(shipped),
        }

    def _findings(self, own: str) -> str:
        return findings_html(self._parley.lanes.limits, own)

    @staticmethod
    def _upload(event: gr.EventData) -> str:
        return uploaded(event.name, event.text)

    def remember(self, request: gr.Request, shown: Shown, suspense: bool, *values: Any) -> Updates:
        """Store the setup in the browser, and show what it amounts to."""
        form = self.read(values)
        scenario = self._scenario(form)
        configs = [config for players in form.lanes for config in players]
        memory = {
            "scenario": form.scenario_id,
            "own": form.own,
            "seed": form.seed,
            "suspense": suspense,
            "blind": form.blind,
            "limit": form.limit,
            "agents": [config.to_json() for config in configs],
        }
        new: Updates = {
            self.memory.stored: Memory.packed(memory),
            self.preset: presets_html(self._parley, form.lanes),
            self.lineup: self.lineup_html(scenario, form.lanes),
            self.suspended: suspended_html(suspense),
            **self.spending.show(request, scenario, form.lanes),
            self.stale: render("notice", words=text.STALE) if shown.is_stale(scenario, form.lanes) else "",
        }
        pairs = zip(self._pickers, configs, strict=True)
        account = self.has_account(request)
        return new | {picker.about: about_html(self._parley, config, account=account) for picker, config in pairs}


def suspended_html(suspense: object) -> Markup:
    """Mark the page while what offers are worth is to stay hidden until the end."""
    return element("span", data_suspense="") if suspense is True else Markup("")


def is_blind(memory: object) -> bool:
    """Return whether a stored setup hides who plays until the visitor has voted."""
    return isinstance(memory, dict) and memory.get("blind") is True
