"""Setting up: presets, scenario, seed and who plays; kept in the browser, so that a reload loses nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.scenario.model import Scenario
from ui.arena.presets import presets, presets_html
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.kit import text
from ui.kit.html import QUIET, merged, script
from ui.widgets.agent_picker import about_html, labels
from ui.widgets.lane import Lane, Painter, build_lane, relabel
from ui.widgets.scenario_picker import (
    build_scenario_picker,
    chosen_scenario,
    editable,
    findings_html,
    first_scenario,
    uploaded,
)

FIRST_SEED = 1
SEED_LOW, SEED_HIGH = -(2**31), 2**31 - 1


class Setup:
    """Builds the components where it is created; `build_lanes` adds the lanes, whose heads belong to it, too."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._presets = presets(parley)
        self.memory = gr.BrowserState(None, storage_key="parley-arena", secret="parley")
        shown = presets_html(self._presets, self._presets[0].preset_id)
        self.preset = gr.HTML(shown, elem_id="arena-presets", js_on_load=script("send"))
        self.scenario = build_scenario_picker(parley)
        with gr.Row(elem_classes="controls"):
            self.swap = gr.Button(text.SWAP, elem_id="arena-swap", min_width=130, scale=0)
            self.seed = gr.Number(
                FIRST_SEED, precision=0, label=text.SEED, info=text.SEED_INFO, elem_id="arena-seed", min_width=150
            )
            self.suspense = gr.Checkbox(False, label=text.SUSPENSE, elem_id="arena-suspense", min_width=200)
        self.lanes: list[Lane] = []

    def build_lanes(self) -> None:
        """Create the lanes where it is called."""
        first, lanes = first_scenario(self._parley), self._presets[0].lanes
        with gr.Row(elem_classes="lanes", equal_height=False):
            self.lanes = [build_lane(self._parley, number, first, players) for number, players in enumerate(lanes, 1)]

    def connect(self) -> None:
        """Connect what needs no negotiation."""
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
        """Keep the set-up in the browser when an event has changed it."""
        event.success(self.remember, [self.suspense, *self.form], self.watched, **QUIET)

    @property
    def agents(self) -> list[Any]:
        """The pick lists, lane by lane."""
        return [picker.agent for lane in self.lanes for picker in lane.pickers]

    @property
    def _picked(self) -> list[Any]:
        """Everything that says who plays."""
        return [part for lane in self.lanes for picker in lane.pickers for part in picker.inputs]

    @property
    def form(self) -> list[Any]:
        """What a start needs."""
        return [self.scenario.picked, self.scenario.own, self.seed, *self._picked]

    @property
    def outputs(self) -> list[Any]:
        """Everything that a set-up is shown in."""
        abouts = [picker.about for lane in self.lanes for picker in lane.pickers]
        return list(dict.fromkeys([self.preset, *self.scenario.outputs, *self._picked, *abouts]))

    @property
    def painted(self) -> list[Any]:
        return [part for lane in self.lanes for part in lane.outputs]

    @property
    def watched(self) -> list[Any]:
        """What `remember` updates."""
        return [self.memory, self.preset, *(picker.about for lane in self.lanes for picker in lane.pickers)]

    # -- showing a set-up --------------------------------------------------------------------------------------

    def show_scenario(self, scenario: Scenario) -> dict[Any, Any]:
        """The updates that show a scenario as the chosen one, and lanes with nothing in them."""
        new: dict[Any, Any] = self.scenario.show(self._parley, scenario)
        space, names = space_of(scenario), labels(self._parley)
        for lane in self.lanes:
            new |= relabel(lane, scenario) | Painter(lane, space, names).paint(LaneView(scenario))
        return new

    def show_players(self, lane: Lane, players: Players) -> dict[Any, Any]:
        new: dict[Any, Any] = {}
        for picker, config in zip(lane.pickers, players, strict=True):
            new |= picker.show(self._parley, config)
        return new

    def show_lanes(self, lanes: tuple[Players, ...]) -> dict[Any, Any]:
        new: dict[Any, Any] = {self.preset: self._shown_preset(lanes)}
        for lane, players in zip(self.lanes, lanes, strict=True):
            new |= self.show_players(lane, players)
        return new

    def _shown_preset(self, lanes: tuple[Players, ...]) -> str:
        return presets_html(self._presets, next((it.preset_id for it in self._presets if it.lanes == lanes), ""))

    def remembered(self, memory: Any) -> dict[Any, Any]:
        """What was set up before, as far as it still exists; else a first visit's."""
        kept: Mapping[str, Any] = memory if isinstance(memory, dict) else {}
        own = kept.get("own") if isinstance(kept.get("own"), str) else ""
        try:
            scenario = chosen_scenario(self._parley, str(kept.get("scenario")), own or "")
        except ParleyError:
            scenario = first_scenario(self._parley)
        lanes = self._known_players(kept.get("agents")) or self._presets[0].lanes
        seed = kept.get("seed", FIRST_SEED)
        new: dict[Any, Any] = {
            self.seed: seed if isinstance(seed, int) else None,
            self.suspense: kept.get("suspense") is True,
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

    def players(self, values: tuple[Any, ...]) -> tuple[Players, ...]:
        """Who plays, from the values of `_picked`."""
        rest, configs = list(values), []
        for lane in self.lanes:
            for picker in lane.pickers:
                count = len(picker.inputs)
                configs.append(picker.config(rest[:count]))
                del rest[:count]
        return tuple(zip(configs[::2], configs[1::2], strict=True))

    # -- handlers ----------------------------------------------------------------------------------------------

    def _choose_preset(self, event: gr.EventData) -> dict[Any, Any]:
        found = next((preset for preset in self._presets if preset.preset_id == event.preset), self._presets[0])
        return self.show_lanes(found.lanes)

    def _swap(self, scenario_id: str, own: str, seed: float | None, *values: Any) -> dict[Any, Any]:
        lanes = tuple((b, a) for a, b in self.players(values))
        return self.show_lanes(lanes)

    def _edit(self, scenario_id: str, own: str) -> dict[Any, Any]:
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

    def remember(self, suspense: bool, scenario_id: str, own: str, seed: float | None, *values: Any) -> dict[Any, Any]:
        """Keep the set-up in the browser, and say what it is."""
        lanes = self.players(values)
        configs = [config for players in lanes for config in players]
        memory = {
            "scenario": scenario_id,
            "own": own,
            "seed": seed,
            "suspense": suspense,
            "agents": [config.to_json() for config in configs],
        }
        new: dict[Any, Any] = {self.memory: memory, self.preset: self._shown_preset(lanes)}
        pickers = [picker for lane in self.lanes for picker in lane.pickers]
        return new | {p.about: about_html(self._parley, config) for p, config in zip(pickers, configs, strict=True)}


def seed_of(given: float | None) -> int:
    """The seed to run with: what was given, or one that is drawn."""
    if given is None:
        return random.randrange(1, 10_000)
    if not SEED_LOW <= given <= SEED_HIGH:
        raise gr.Error(text.SEED_WRONG.format(low=SEED_LOW, high=SEED_HIGH), print_exception=False)
    return int(given)
