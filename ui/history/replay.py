"""A stored run as it was after any of its turns, with what can be done with it: save, publish, delete, play on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

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
from ui.kit import text
from ui.kit.html import esc, script, tag
from ui.widgets.agent_picker import choices, labels
from ui.widgets.follow import stored_view

Names = Mapping[str, str]


@dataclass(frozen=True)
class Pane:
    """The components of one run that is shown."""

    column: gr.Column
    head: gr.HTML
    board: gr.HTML
    turns: gr.HTML
    figures: gr.HTML
    jsonl: gr.Button
    csv: gr.Button
    publish: gr.Button
    delete: gr.Button
    sure: gr.Button
    keep: gr.Button
    fork: gr.Accordion
    agents: tuple[gr.Dropdown, gr.Dropdown]
    message: gr.Textbox
    go: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """What `show_run` and `close` update."""
        owners = [self.publish, self.delete, self.sure, self.keep]
        return [self.column, self.head, *owners, *self.agents, *self.moving]

    @property
    def moving(self) -> list[Any]:
        """What `show_turn` updates."""
        return [self.board, self.turns, self.figures, self.fork, self.message, self.go]


def build_pane(number: int) -> Pane:
    """Create the components of a run where it is called."""
    name = f"replay-{number}"
    with gr.Column(visible=number == 1, elem_classes="lane", elem_id=name, min_width=320) as column:
        head = gr.HTML(elem_id=f"{name}-head", js_on_load=script("times"))
        with gr.Column(elem_classes="board"):
            board = gr.HTML(elem_id=f"{name}-board", js_on_load=None)
        with gr.Row(elem_classes="body", equal_height=False):
            with gr.Column(elem_classes="transcript", elem_id=f"{name}-transcript"):
                turns = gr.HTML(js_on_load=script("folds") + script("follow"))
            with gr.Column(elem_classes="figures"):
                figures = gr.HTML(elem_id=f"{name}-figures", js_on_load=None)
        with gr.Accordion(text.FORK, open=False, elem_classes="lane-settings", elem_id=f"{name}-fork") as fork:
            gr.HTML(tag("p", esc(text.FORK_ABOUT), "note"), js_on_load=None)
            with gr.Row():
                agents = gr.Dropdown([], elem_id=f"{name}-agent-a"), gr.Dropdown([], elem_id=f"{name}-agent-b")
            message = gr.Textbox(label=text.FORK_MESSAGE, lines=2, max_length=2000, elem_id=f"{name}-message")
            go = gr.Button(text.FORK_GO, variant="primary", size="sm", elem_id=f"{name}-go")
        with gr.Row(elem_classes="run-acts"):
            small: dict[str, Any] = {"size": "sm", "min_width": 80, "scale": 0}
            jsonl = gr.Button(text.SAVE_JSONL, elem_id=f"{name}-jsonl", **small)
            csv = gr.Button(text.SAVE_CSV, elem_id=f"{name}-csv", **small)
            publish = gr.Button(text.PUBLISH, visible=False, elem_id=f"{name}-publish", **small)
            delete = gr.Button(text.DELETE, visible=False, elem_id=f"{name}-delete", **small)
            keep = gr.Button(text.KEEP, visible=False, elem_id=f"{name}-keep", **small)  # where a second press lands
            sure = gr.Button(text.DELETE_SURE, variant="stop", visible=False, elem_id=f"{name}-sure", **small)
    return Pane(column, head, board, turns, figures, jsonl, csv, publish, delete, sure, keep, fork, agents, message, go)


def show_run(parley: Parley, pane: Pane, run: Run, turn: int, *, may_change: bool, hidden: bool) -> dict[Any, Any]:
    """The updates that show a run after some of its turns; `hidden` keeps back who played."""
    listed = [*choices(parley), (text.PLAY_ON, HUMAN)]
    known = {agent for _, agent in listed}
    new: dict[Any, Any] = {
        pane.column: gr.update(visible=True),
        pane.head: head_html(run, names_of(parley, run, hidden)),
        pane.publish: gr.update(value=text.UNPUBLISH if run.published else text.PUBLISH, visible=may_change),
        pane.delete: gr.update(visible=may_change),
        pane.sure: gr.update(visible=False),
        pane.keep: gr.update(visible=False),
    }
    for seat, picker in zip(SEATS, pane.agents, strict=True):
        agent = run.agents[seat].agent
        value = agent if agent in known and not hidden else None
        label = text.AGENT.format(name=run.scenario.roles[seat].name)
        new[picker] = gr.update(choices=listed, value=value, label=label)
    return new | show_turn(parley, pane, run, turn, hidden=hidden)


def show_turn(parley: Parley, pane: Pane, run: Run, turn: int, *, hidden: bool) -> dict[Any, Any]:
    """The updates that show a run as it was after `turn` turns."""
    view, space = view_at(run, turn), space_of(run.scenario)
    over = len(view.turns) == len(run.turns) and run.status == "done"
    agreed = over and run.agreement is not None
    told = view.turns[-1].message if view.turns else ""
    return {
        pane.board: verdict_html(view, space) if view.end is not None else table_html(view),
        pane.turns: turns_html(view, names_of(parley, run, hidden)),
        pane.figures: utility_space(space, view.turns, agreed) + utility_rounds(space, view.turns),
        pane.fork: gr.update(label=text.FORK_AFTER.format(turns=len(view.turns)) if view.turns else text.FORK),
        pane.message: gr.update(value=told, visible=bool(view.turns)),
        pane.go: gr.update(interactive=not over, value=text.FORK_OVER if over else text.FORK_GO),
    }


def close(pane: Pane) -> dict[Any, Any]:
    """The updates that hide a pane."""
    return {pane.column: gr.update(visible=False)}


def view_at(run: Run, turn: int) -> LaneView:
    """A run as it was after `turn` turns; its end only after all of them."""
    view = stored_view(run)
    if turn >= len(run.turns):
        return view
    return replace(view, turns=view.turns[: max(0, turn)], end=None)


def names_of(parley: Parley, run: Run, hidden: bool) -> dict[str, str]:
    """What the agents of a run are called for people."""
    if hidden:
        return {config.agent: text.HIDDEN_AGENT for config in run.agents.values()}
    return labels(parley) | {HUMAN: text.PERSON}


def head_html(run: Run, names: Names) -> str:
    """What a run is, and its permanent link."""
    place = text.LANE.format(number=run.lane) + ": " if run.lane is not None else ""
    title = tag("h3", esc(place + run.scenario.title))
    players = text.AGAINST.join(
        tag("b", esc(run.scenario.roles[seat].name), f"seat-{seat}")
        + " "
        + tag("span", esc(names.get(run.agents[seat].agent, run.agents[seat].agent)))
        for seat in SEATS
    )
    outcome = "" if run.agreement is None else run.scenario.show(run.agreement)
    ended = outcome_html(run.status, None if run.ending is None else str(run.ending), outcome, run.reason)
    facts = [time_html(run.created), tag("span", esc(text.RAN_WITH.format(seed=run.seed))), ended]
    if run.forked_from is not None:
        words = text.FORKED_AFTER.format(turns=run.forked_turns)
        origin = "" if run.published else f"?replay={run.forked_from}"  # a private run is found by its link alone
        facts.append(tag("a", esc(words), href=origin) if origin else tag("span", esc(words)))
    link = f"?replay={run.run_id}"
    copy = tag("button", esc(text.COPY), "plain", type="button", data_copy=link, data_done=text.COPIED)
    facts += [tag("a", esc(text.REPLAY_HERE), href=link), copy]
    return title + tag("p", players, "players") + tag("p", "".join(facts), "facts")


def forked_agents(run: Run, picked: Mapping[Seat, str | None]) -> dict[Seat, AgentConfig]:
    """Who plays on: who played before, with their settings, unless somebody else was picked."""
    return {
        seat: run.agents[seat] if not agent or agent == run.agents[seat].agent else AgentConfig(agent)
        for seat, agent in picked.items()
    }
