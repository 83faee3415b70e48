"""One lane: its components, and the updates that draw a LaneView in them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.game.events import Ended
from negotiation.scenario.model import SEATS, Scenario
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import Space, space_of
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import Labels, now_html, turns_html
from ui.kit import text
from ui.kit.components import Updates, script
from ui.kit.templates import element
from ui.widgets.agent_picker import AgentPicker, build_head, build_settings


class Lane:
    """The components of one lane, built where it is created: an empty lane with these players."""

    def __init__(self, parley: Parley, number: int, scenario: Scenario, players: Players) -> None:
        self.number = number
        empty, space = LaneView(scenario), space_of(scenario)
        seated = list(zip(SEATS, players, strict=True))
        with gr.Column(elem_classes="lane", elem_id=f"lane-{number}", min_width=320):
            gr.HTML(element("h2", "", text.LANE.format(number=number)), elem_classes="lane-title", js_on_load=None)
            with gr.Row(elem_classes="pickers"):
                heads = [build_head(parley, number, seat, scenario, config) for seat, config in seated]
            with gr.Accordion(text.SETTINGS, open=False, elem_classes="lane-settings"), gr.Row(equal_height=False):
                settings = [build_settings(parley, seat, scenario, config) for seat, config in seated]
            self.pickers = [
                AgentPicker(seat, *head, own) for seat, head, own in zip(SEATS, heads, settings, strict=True)
            ]
            with gr.Column(elem_classes="board"):
                self.table = gr.HTML(table_html(empty), elem_id=f"lane-{number}-table", js_on_load=None)
                self.verdict = gr.HTML(verdict_html(empty, space), elem_id=f"lane-{number}-verdict", js_on_load=None)
                self.resume = gr.Button(text.CONTINUE, size="sm", visible=False, elem_id=f"lane-{number}-continue")
            with gr.Row(elem_classes="body", equal_height=False):
                with gr.Column(elem_id=f"lane-{number}-transcript", elem_classes="transcript"):
                    self.turns = gr.HTML(turns_html(empty), js_on_load=script("folds") + script("follow"))
                    self.now = gr.HTML(js_on_load=script("follow"))
                with gr.Column(elem_classes="figures"):
                    gr.HTML(element("p", "suspended", text.PLOT_HIDDEN), js_on_load=None)
                    figure = utility_space(space, (), agreed=False)
                    self.plot = gr.HTML(figure, elem_id=f"lane-{number}-plot", js_on_load=None)
                    self.rounds = gr.HTML(utility_rounds(space, ()), elem_id=f"lane-{number}-rounds", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """The components that a Painter updates."""
        return [self.table, self.verdict, self.turns, self.now, self.plot, self.rounds]


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
            self._parts[lane.plot] = utility_space(space, view.turns, _agreed(view))
            self._parts[lane.rounds] = utility_rounds(space, view.turns)
        self._parts[lane.now] = now_html(view, self._labels)
        self._painted = view
        return dict(self._parts)


def relabel(lane: Lane, scenario: Scenario) -> Updates:
    """Return the updates that put a scenario's roles over the pick lists."""
    return {
        picker.agent: gr.update(label=text.AGENT.format(name=scenario.roles[seat].name))
        for seat, picker in zip(SEATS, lane.pickers, strict=True)
    }


def _agreed(view: LaneView) -> bool:
    return isinstance(view.end, Ended) and view.end.agreement is not None
