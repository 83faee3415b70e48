"""The list of a visitor's runs, each with its link."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import gradio as gr

from negotiation.parley import Parley
from negotiation.store import RunFilter, RunSummary
from ui import text
from ui.html import QUIET, esc, number, tag
from ui.visitor import visitor_of


def build_history(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""

    def show(request: gr.Request) -> str:
        visitor = visitor_of(request)
        return history_html(parley.store.summaries(RunFilter(visible_to=visitor, own=True)) if visitor else [])

    refresh = gr.Button(text.REFRESH, size="sm")
    table = gr.HTML(history_html([]))
    for event in (tab.select, refresh.click):
        event(show, None, [table], **QUIET)


def history_html(runs: Sequence[RunSummary]) -> str:
    """A table of runs, newest first."""
    if not runs:
        return tag("p", esc(text.HISTORY_EMPTY), "empty")
    head = "".join(tag("th", esc(name), scope="col") for name in text.HISTORY_COLUMNS)
    return tag("table", tag("thead", tag("tr", head)) + tag("tbody", "".join(_row(run) for run in runs)), "history")


def _row(run: RunSummary) -> str:
    when = datetime.fromtimestamp(run.created, UTC)
    if run.status != "done":
        outcome = text.HALTED.get(run.status, run.status)
    else:
        outcome = run.outcome or text.NO_DEAL
    a, b = ("" if worth is None else number(worth) for worth in (run.utility_a, run.utility_b))
    link = tag("a", esc(text.OPEN), href=f"?run={run.run_id}")
    cells = [
        tag("time", esc(when.strftime("%Y-%m-%d %H:%M")), datetime=when.isoformat()),
        esc(run.title),
        esc(run.agent_a),
        esc(run.agent_b),
        esc(outcome),
        esc(a),
        esc(b),
        link,
    ]
    return tag("tr", "".join(tag("td", cell) for cell in cells))
