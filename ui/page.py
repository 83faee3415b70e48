"""The page: header, status strip, tabs, and what happens when it is opened."""

from __future__ import annotations

from typing import Any

import gradio as gr

from negotiation.parley import Parley
from negotiation.store import RunFilter
from ui import text
from ui.arena import Arena
from ui.history import history_html
from ui.html import esc, tag
from ui.models import strip_html
from ui.visitor import visitor_of

STATUS_SECONDS = 0.5
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build_page(parley: Parley) -> gr.Blocks:
    """The page over a running Parley."""
    labels = {choice.agent: choice.label for choice in parley.catalog.choices()}
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as page:
        version = gr.State(-1)
        with gr.Row(elem_classes="top"):
            gr.HTML(tag("h1", esc(text.TITLE)) + tag("p", esc(text.TAGLINE)), elem_classes="title")
        status = gr.HTML(strip_html(parley.manager.snapshot(), labels), elem_id="model-status", js_on_load=None)
        with gr.Tabs():
            with gr.Tab(text.ARENA):
                arena = Arena(parley)
            with gr.Tab(text.HISTORY) as history_tab:
                refresh = gr.Button(text.REFRESH, size="sm")
                history = gr.HTML(history_html([]))

        def show_status(seen: int) -> Any:
            snapshot = parley.manager.snapshot()
            if snapshot.version == seen:
                return gr.skip(), gr.skip()
            return strip_html(snapshot, labels), snapshot.version

        def show_history(request: gr.Request) -> str:
            visitor = visitor_of(request)
            return history_html(parley.store.summaries(RunFilter(visible_to=visitor, own=True)) if visitor else [])

        opened = page.load(
            arena.opened,
            [arena.shown],
            [
                arena.story,
                arena.seed,
                arena.link,
                *arena.controls,
                *arena.pickers,
                *(part for lane in arena.lanes for part in lane.outputs),
            ],
            concurrency_limit=None,
            **QUIET,
        )
        arena.connect(opened, {**QUIET, "concurrency_limit": None})
        gr.Timer(STATUS_SECONDS).tick(show_status, [version], [status, version], queue=False, **QUIET)
        for event in (history_tab.select, refresh.click):
            event(show_history, None, [history], concurrency_limit=None, **QUIET)
    return page
