"""Setting up: presets, scenario, seed and agents. The browser stores the setup, so that a reload loses nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.errors import ParleyError
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.scenario.model import Scenario
from ui.arena import text
from ui.arena.presets import presets, presets_html
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.kit.components import QUIET, Updates, merged, script
from ui.widgets.agent_picker import AgentPicker, about_html, labels
from ui.widgets.lane import Lane, Painter, relabel
from ui.widgets.scenario_picker import (
    ScenarioPicker,
    chosen_scenario,
    editable,
    findings_html,
    first_scenario,
    uploaded,
)

FIRST_SEED = 1
SEED_LOW, SEED_HIGH = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class Form:
    """A setup as it was filled in; `own` is the text of the visitor's own scenario."""

    scenario_id: str
    own: str
    seed: float | None
    lanes: tuple[Players, ...]


class Setup:
    """Builds the components where it is created; `build_lanes` adds the lanes, whose pick lists belong to it too."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._presets = presets(parley)
        self.memory = gr.BrowserState(None, storage_key="parley-arena", secret="parley")
        shown = presets_html(self._presets, self._presets[0].lanes)
        self.preset = gr.HTML(shown, elem_id="arena-presets", js_on_load=script("send"))
        self.scenario = ScenarioPicker(parley)
        with gr.Row(elem_classes="controls"):
            self.swap = gr.Button(text.SWAP, elem_id="arena-swap", min_width=130, scale=0)
            self.seed = gr.Number(
                FIRST_SEED, precision=0, label=text.SEED, info=text.SEED_INFO, elem_id="arena-seed", min_width=150
            )
            self.suspense = gr.Checkbox(False, label=text.SUSPENSE, elem_id="arena-suspense", min_width=200)
        self.lanes: list[Lane] = []

    def build_lanes(self) -> None:
        """Create the lanes."""
        first, lanes = first_scenario(self._parley), self._presets[0].lanes
        with gr.Row(elem_classes="lanes", equal_height=False):
            self.lanes = [Lane(self._parley, number, first, players) for number, players in enumerate(lanes, 1)]

    def connect(self) -> None:
        """Connect the events that need no negotiation."""
        chosen = self.scenario
        preset = self.preset.click(self._choose_preset, None, [self.preset, *self.outputs], **QUIET)
        swapped = self.swap.click(self._swap, self.form, self.outputs, **QUIET)
        edited = [part.input for part in (self.seed, self.suspense, chosen.own, *self._picked)]
        gr.on(edited, self.remember, [self.suspense, *self.form], self.watched, trigger_mode="always_last", **QUIET)
        for event in (preset, swapped):
            self.remember_after(event)
        opened = chosen.edit.click(self._edit, [chosen.picked, chosen.own], [chosen.editor, chosen.own], **QUIET)
        opened.success(self._findings, [chosen.own], [chosen.findings], **QUIET)
        chosen.close.click(lambda: gr.update(visible=False), None, [chosen.editor], **QUIET)
        chosen.own.change(self._findings, [chosen.own], [chosen.findings], trigger_mode="always_last", **QUIET)
        chosen.upload.submit(self._upload, None, [chosen.own], **QUIET)

    def remember_after(self, event: Any) -> None:
        """Store the setup in the browser after an event that changed it."""
        event.success(self.remember, [self.suspense, *self.form], self.watched, **QUIET)

    @property
    def agents(self) -> list[Any]:
        """The pick lists, lane by lane."""
        return [picker.agent for picker in self._pickers]

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
        return [self.scenario.picked, self.scenario.own, self.seed, *self._picked]

    @property
    def outputs(self) -> list[Any]:
        """The components that show a setup."""
        abouts = [picker.about for picker in self._pickers]
        return [self.preset, *self.scenario.outputs, *self._picked, *abouts]

    @property
    def painted(self) -> list[Any]:
        """The components that show the lanes' negotiations."""
        return [part for lane in self.lanes for part in lane.outputs]

    @property
    def watched(self) -> list[Any]:
        """The components that `remember` updates."""
        return [self.memory, self.preset, *(picker.about for picker in self._pickers)]

    # -- showing a setup ---------------------------------------------------------------------------------------

    def show_scenario(self, scenario: Scenario) -> Updates:
        """Return the updates that show a scenario as the chosen one, and empty lanes."""
        new: Updates = self.scenario.show(self._parley, scenario)
        space, names = space_of(scenario), labels(self._parley)
        for lane in self.lanes:
            new |= relabel(lane, scenario) | Painter(lane, space, names).paint(LaneView(scenario))
        return new

    def show_players(self, lane: Lane, players: Players) -> Updates:
        """Return the updates that show who plays in a lane."""
        new: Updates = {}
        for picker, config in zip(lane.pickers, players, strict=True):
            new |= picker.show(self._parley, config)
        return new

    def show_lanes(self, lanes: tuple[Players, ...]) -> Updates:
        """Return the updates that show who plays in both lanes."""
        new: Updates = {self.preset: self._shown_preset(lanes)}
        for lane, players in zip(self.lanes, lanes, strict=True):
            new |= self.show_players(lane, players)
        return new

    def _shown_preset(self, lanes: tuple[Players, ...]) -> Markup:
        return presets_html(self._presets, lanes)

    def remembered(self, memory: object) -> Updates:
        """Return the updates that show a stored setup; parts that no longer exist are those of a first visit."""
        stored: Mapping[str, Any] = memory if isinstance(memory, dict) else {}
        own = stored.get("own") if isinstance(stored.get("own"), str) else ""
        try:
            scenario = chosen_scenario(self._parley, str(stored.get("scenario")), own or "")
        except ParleyError:
            scenario = first_scenario(self._parley)
        lanes = self._known_players(stored.get("agents")) or self._presets[0].lanes
        seed = stored.get("seed", FIRST_SEED)
        new: Updates = {
            self.seed: seed if isinstance(seed, int) else None,
            self.suspense: stored.get("suspense") is True,
            self.scenario.own: own,
            **self.show_scenario(scenario),
        }
        return merged(new, self.show_lanes(lanes))

    def _known_players(self, data: Any) -> tuple[Players, ...] | None:
        try:
            found = [AgentConfig.from_json(entry) for entry in data]
            for config in found:
                self._parley.catalog.create(config)
        except (ParleyError, TypeError):
            return None
        return ((found[0], found[1]), (found[2], found[3])) if len(found) == 2 * len(self.lanes) else None

    def read(self, values: Sequence[Any]) -> Form:
        """Return the form from the values of `form`."""
        scenario_id, own, seed, *rest = values
        configs = []
        for picker in self._pickers:
            count = len(picker.inputs)
            configs.append(picker.config(rest[:count]))
            del rest[:count]
        return Form(scenario_id, own, seed, tuple(zip(configs[::2], configs[1::2], strict=True)))

    # -- handlers ----------------------------------------------------------------------------------------------

    def _choose_preset(self, event: gr.EventData) -> Updates:
        chosen = next((preset for preset in self._presets if preset.preset_id == event.preset), self._presets[0])
        return self.show_lanes(chosen.lanes)

    def _swap(self, *values: Any) -> Updates:
        return self.show_lanes(tuple((b, a) for a, b in self.read(values).lanes))

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

    def remember(self, suspense: bool, *values: Any) -> Updates:
        """Store the setup in the browser, and show what it amounts to."""
        form = self.read(values)
        configs = [config for players in form.lanes for config in players]
        memory = {
            "scenario": form.scenario_id,
            "own": form.own,
            "seed": form.seed,
            "suspense": suspense,
            "agents": [config.to_json() for config in configs],
        }
        new: Updates = {self.memory: memory, self.preset: self._shown_preset(form.lanes)}
        pairs = zip(self._pickers, configs, strict=True)
        return new | {picker.about: about_html(self._parley, config) for picker, config in pairs}


def drawn_seed(given: float | None) -> int:
    """Return the seed that was given, or else a random one; raises gr.Error if it is out of range."""
    if given is None:
        return random.randrange(1, 10_000)
    if not SEED_LOW <= given <= SEED_HIGH:
        raise gr.Error(text.SEED_WRONG.format(low=SEED_LOW, high=SEED_HIGH), print_exception=False)
    return int(given)
