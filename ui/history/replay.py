"""A stored run as it was after any of its turns, with the buttons that save, publish, delete and play on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import gradio as gr
from markupsafe import Markup

from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat
from ui.drawing.charts import utility_rounds, utility_space
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.run_list import outcome_html, time_html
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import turns_html
from ui.history import text
from ui.history.access import Access
from ui.history.contributing import Contributing
from ui.history.provenance import provenance_html
from ui.kit import text as shared
from ui.kit.components import Updates, script
from ui.kit.downloads import Kind
from ui.kit.templates import render
from ui.server.accounts import Accounts
from ui.sharing.buttons import share_html
from ui.sharing.subject import replay_link
from ui.widgets.agent_picker import choices, labels
from ui.widgets.follow import stored_view
from ui.widgets.spending import Spending

Names = Mapping[str, str]


class Pane:
    """The components of one run that is shown, built where it is created."""

    def __init__(self, parley: Parley, number: int, access: Access, accounts: Accounts) -> None:
        name = f"replay-{number}"
        with gr.Column(visible=number == 1, elem_classes="lane", elem_id=name, min_width=320) as self.column:
            self.head = gr.HTML(elem_id=f"{name}-head", js_on_load=script("times"))
            with gr.Column(elem_classes="board"):
                self.board = gr.HTML(elem_id=f"{name}-board", js_on_load=None)
            with gr.Row(elem_classes="body", equal_height=False):
                with gr.Column(elem_classes="transcript", elem_id=f"{name}-transcript"):
                    self.turns = gr.HTML(js_on_load=script("folds") + script("follow"))
                with gr.Column(elem_classes="figures"):
                    self.figures = gr.HTML(elem_id=f"{name}-figures", js_on_load=None)
            with gr.Accordion(text.FORK, open=False, elem_classes="lane-settings", elem_id=f"{name}-fork") as self.fork:
                gr.HTML(render("note", words=text.FORK_ABOUT), js_on_load=None)
                with gr.Row():
                    self.agents = gr.Dropdown([], elem_id=f"{name}-agent-a"), gr.Dropdown([], elem_id=f"{name}-agent-b")
                self.spending = Spending(parley, name)
                self.spending.build_limit()
                self.message = gr.Textbox(label=text.FORK_MESSAGE, lines=2, max_length=2000, elem_id=f"{name}-message")
                self.go = gr.Button(text.FORK_GO, variant="primary", size="sm", elem_id=f"{name}-go")
            self.cite = gr.HTML(elem_id=f"{name}-cite", js_on_load=script("folds"))
            with gr.Row(elem_classes="run-acts"):
                small: dict[str, Any] = {"size": "sm", "min_width": 80, "scale": 0}
                self.saves = {
                    kind: gr.Button(text.SAVE[kind], elem_id=f"{name}-{kind}", **small) for kind in get_args(Kind)
                }
                self.publish = gr.Button(text.PUBLISH, visible=False, elem_id=f"{name}-publish", **small)
                self.contributing = Contributing(number, access, accounts)
                self.delete = gr.Button(text.DELETE, visible=False, elem_id=f"{name}-delete", **small)
                # "Keep" comes first, because a double click on "Delete" lands there.
                self.keep = gr.Button(text.KEEP, visible=False, elem_id=f"{name}-keep", **small)
                self.sure = gr.Button(text.DELETE_SURE, variant="stop", visible=False, elem_id=f"{name}-sure", **small)
            self.contributing.build_panel()

    @property
    def outputs(self) -> list[Any]:
        """The components that `show_run` and `close` update."""
        owners = [self.publish, self.delete, self.sure, self.keep]
        contributing = self.contributing.outputs
        return [
            self.column,
            self.head,
            self.cite,
            *owners,
            *contributing,
            *self.agents,
            *self.spending.outputs,
            *self.moving,
        ]

    @property
    def moving(self) -> list[Any]:
        """The components that `show_turn` updates."""
        return [self.board, self.turns, self.figures, self.fork, self.message, self.go]


def show_run(
    parley: Parley, pane: Pane, run: Run, turn: int, *, may_change: bool, hidden: bool, account: bool = False
) -> Updates:
    """Return the updates that show a run after some of its turns.

    Args:
        may_change: Whether the visitor may publish and delete it.
        hidden: Whether the names of the agents are withheld.
        account: Whether the visitor has an account of their own here.
    """
    listed = [*choices(parley, account=account), (text.PLAY_ON, HUMAN)]
    known = {agent for _, agent in listed}
    new: Updates = {
        pane.column: gr.update(visible=True),
        pane.head: head_html(run, names_of(parley, run, hidden), hidden=hidden),
        pane.cite: Markup() if hidden else provenance_html(run),
        pane.publish: gr.update(value=text.UNPUBLISH if run.published else text.PUBLISH, visible=may_change),
        pane.delete: gr.update(visible=may_change),
        pane.sure: gr.update(visible=False),
        pane.keep: gr.update(visible=False),
    }
    for seat, picker in zip(SEATS, pane.agents, strict=True):
        agent = run.agents[seat].agent
        value = agent if agent in known and not hidden else None
        label = shared.AGENT.format(name=run.scenario.roles[seat].name)
        new[picker] = gr.update(choices=listed, value=value, label=label)
    return new | show_turn(parley, pane, run, turn, hidden=hidden)


def show_turn(parley: Parley, pane: Pane, run: Run, turn: int, *, hidden: bool) -> Updates:
    """Return the updates that show a run as it was after `turn` turns."""
    view, space = view_at(run, turn), space_of(run.scenario)
    known = replace(view, players={}) if hidden else view  # how they bargained would tell who is a script
    over = len(view.turns) == len(run.turns) and run.status == "done"
    agreed = over and run.agreement is not None
    message = view.turns[-1].message if view.turns else ""
    return {
        pane.board: verdict_html(known, space) if view.end is not None else table_html(view),
        pane.turns: turns_html(view, names_of(parley, run, hidden)),
        pane.figures: utility_space(space, view.turns, agreed) + utility_rounds(space, view.turns),
        pane.fork: gr.update(label=text.FORK_AFTER.format(turns=len(view.turns)) if view.turns else text.FORK),
        pane.message: gr.update(value=message, visible=bool(view.turns)),
        pane.go: gr.update(interactive=not over, value=text.FORK_OVER if over else text.FORK_GO),
    }


def close(pane: Pane) -> Updates:
    """Return the updates that hide a pane."""
    return {pane.column: gr.update(visible=False)}


def view_at(run: Run, turn: int) -> LaneView:
    """Return a run as it was after `turn` turns, with its end only after all of them."""
    view = stored_view(run)
    if turn >= len(run.turns):
        return view
    return replace(view, turns=view.turns[: max(0, turn)], end=None)


def names_of(parley: Parley, run: Run, hidden: bool) -> dict[str, str]:
    """Return the names that people read for the agents of a run."""
    if hidden:
        return {config.agent: shared.HIDDEN_AGENT for config in run.agents.values()}
    return labels(parley) | {HUMAN: text.PERSON}


def head_html(run: Run, names: Names, *, hidden: bool = False) -> Markup:
    """Draw what a run is, how it ended, its permanent link, and how to share it; `hidden` as for `share_html`."""
    outcome = "" if run.agreement is None else run.scenario.show(run.agreement)
    ending = None if run.ending is None else str(run.ending)
    players = [
        (seat, run.scenario.roles[seat].name, names.get(run.agents[seat].agent, run.agents[seat].agent))
        for seat in SEATS
    ]
    return render(
        "history/head",
        text=text,
        shared=shared,
        run=run,
        players=players,
        created=time_html(run.created),
        outcome=outcome_html(run.status, ending, outcome, run.reason),
        # The link of a private run is its only protection, so a published fork does not give it away.
        origin="" if run.published else run.forked_from,
        link=(link := replay_link(run.run_id, hidden=hidden)),
        share=share_html(run.run_id, link, hidden=hidden),
    )


def forked_agents(run: Run, picked: Mapping[Seat, str | None]) -> dict[Seat, AgentConfig]:
    """Return who plays on: the same agents with their settings, unless another one was picked."""
    return {
        seat: run.agents[seat] if not agent or agent == run.agents[seat].agent else AgentConfig(agent)
        for seat, agent in picked.items()
    }
