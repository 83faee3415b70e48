"""One lane: its components, and the updates that draw a LaneView in them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.game.events import Ended
from negotiation.game.protocol import Action
from negotiation.scenario.model import SEATS, Scenario
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.lane_head import head_html
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import Space, space_of
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import Labels, now_html, turns_html
from ui.kit import text
from ui.kit.components import Updates, script
from ui.kit.templates import element, render
from ui.widgets.agent_picker import AgentPicker, build_head, build_settings


class Lane:
    """The components of one lane, built where it is created: an empty lane, whose players `pickers` determine."""

    def __init__(self, number: int, scenario: Scenario, pickers: tuple[AgentPicker, AgentPicker]) -> None:
        self.number = number
        self.pickers = pickers
        empty, space, name = LaneView(scenario), space_of(scenario), f"lane-{number}"
        head = head_html(empty, number)
        with gr.Column(elem_classes="lane", elem_id=name, min_width=320):
            self.head = gr.HTML(head, elem_id=f"{name}-head", elem_classes="lane-head", js_on_load=script("lane_tabs"))
            with gr.Column(elem_classes="board"):
                self.table = gr.HTML(table_html(empty), elem_id=f"{name}-table", js_on_load=None)
                self.verdict = gr.HTML(
                    verdict_html(empty, space), elem_id=f"{name}-verdict", js_on_load=script("folds")
                )
                self.resume = gr.Button(text.CONTINUE, size="sm", visible=False, elem_id=f"{name}-continue")
            with gr.Row(elem_classes="body", equal_height=False):
                with gr.Column(elem_id=f"{name}-transcript", elem_classes="transcript"):
                    self.turns = gr.HTML(turns_html(empty), js_on_load=script("folds") + script("follow"))
                    self.now = gr.HTML(js_on_load=script("folds") + script("follow"))
                    gr.HTML(render("newer"), elem_classes="newer", js_on_load=None)
                with gr.Column(elem_classes="figures", elem_id=f"{name}-figures"):
                    gr.HTML(element("p", "suspended", text.PLOT_HIDDEN), js_on_load=None)
                    self.plot = gr.HTML(elem_id=f"{name}-plot", js_on_load=None)
                    self.rounds = gr.HTML(elem_id=f"{name}-rounds", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """The components that a Painter updates."""
        return [self.table, self.verdict, self.turns, self.now, self.plot, self.rounds, self.head]


class Painter:
    """Keeps a lane up to date with a view.

    Every update carries all parts, because the browser may merge two updates and drop parts that only the first one
    had. Unchanged parts are not drawn again, and Gradio sends only differences.
    """

    def __init__(self, lane: Lane, space: Space, labels: Labels) -> None:
        self._lane = lane
        self._space = space
        self._labels = labels
        self._painted: LaneView | None = None
        self._parts: Updates = {}

    def paint(self, view: LaneView) -> Updates:
        """Return the updates that show `view`."""
        before, lane, space = self._painted, self._lane, self._space
        if before is None or (view.turns, view.end, view.begun) != (before.turns, before.end, before.begun):
            self._parts[lane.table] = table_html(view)
            self._parts[lane.verdict] = verdict_html(view, space)
            self._parts[lane.turns] = turns_html(view, self._labels)
            plots = any(turn.action is Action.OFFER for turn in view.turns)  # nothing to see before the first offer
            self._parts[lane.plot] = utility_space(space, view.turns, _agreed(view)) if plots else ""
            self._parts[lane.rounds] = utility_rounds(space, view.turns) if plots else ""
        self._parts[lane.now] = now_html(view, self._labels)
        self._parts[lane.head] = head_html(view, lane.number, self._labels)
        self._painted = view
        return dict(self._parts)


def build_players(parley: Parley, number: int, scenario: Scenario, players: Players) -> tuple[AgentPicker, AgentPicker]:
    """Create the pick lists and settings of a lane's two agents, showing `players`."""
    seated = list(zip(SEATS, players, strict=True))
    with gr.Column(elem_classes="lane-setup", elem_id=f"lane-{number}-setup", min_width=320):
        gr.HTML(element("h2", "", text.LANE.format(number=number)), js_on_load=None)
        with gr.Row(elem_classes="pickers"):
            heads = [build_head(parley, number, seat, scenario, config) for seat, config in seated]
        with gr.Accordion(text.SETTINGS, open=False, elem_classes="lane-settings"), gr.Row(equal_height=False):
            settings = [build_settings(parley, seat, scenario, config) for seat, config in seated]
    a, b = (AgentPicker(seat, *head, own) for seat, head, own in zip(SEATS, heads, settings, strict=True))
    return a, b


def relabel(lane: Lane, scenario: Scenario) -> Updates:
    """Return the updates that put a scenario's roles over the pick lists."""
    return {
        picker.agent: gr.update(label=text.AGENT.format(name=scenario.roles[seat].name))
        for seat, picker in zip(SEATS, lane.pickers, strict=True)
    }


def _agreed(view: LaneView) -> bool:
    return isinstance(view.end, Ended) and view.end.agreement is not None
