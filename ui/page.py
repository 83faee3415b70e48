"""The page: header, model status strip, and a list of tabs, each of which a module of its own builds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from negotiation.app.parley import Parley
from ui.api import build_api
from ui.arena.tab import build_arena
from ui.drawing.model_strip import strip_html
from ui.history.tab import build_history
from ui.kit import text
from ui.kit.html import QUIET, esc, script, tag
from ui.models.tab import build_models
from ui.play.tab import build_play
from ui.tournament import text as tournament_text
from ui.tournament.tab import build_tournament
from ui.widgets.agent_picker import labels

STATUS_SECONDS = 0.5

TABS: tuple[tuple[str, str, Callable[[Parley, gr.Blocks, gr.Tab], None]], ...] = (
    ("arena", text.ARENA, build_arena),
    ("play", text.PLAY, build_play),
    ("tournament", tournament_text.TAB, build_tournament),
    ("history", text.HISTORY, build_history),
    ("models", text.MODELS, build_models),
)
"""The tabs: id (the button in the page is `tab-ID-button`), name, and what builds its content inside it.

A builder is given the page, for what is to happen when it is opened, and its own tab, for when it is chosen.
"""


def build_page(parley: Parley) -> gr.Blocks:
    """The page over a running Parley."""
    names = labels(parley)
    details = any(tab_id == "models" for tab_id, _, _ in TABS)
    lends = parley.catalog.zero_gpu
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as page:
        shown = gr.State(None)
        gr.HTML(header_html(), elem_id="header", js_on_load=script("page"))
        status = gr.HTML(
            strip_html(parley.manager.snapshot(), names, details, lends), elem_id="model-status", js_on_load=None
        )
        with gr.Tabs(elem_id="tabs"):
            for tab_id, name, build in TABS:
                with gr.Tab(name, id=tab_id, elem_id=f"tab-{tab_id}") as tab:
                    build(parley, page, tab)

        build_api(parley)

        def show_status(seen: tuple[int, bool] | None) -> Any:
            snapshot, closing = parley.manager.snapshot(), parley.lanes.closed
            if (snapshot.version, closing) == seen:
                return gr.skip(), gr.skip()
            return strip_html(snapshot, names, details, lends, closing), (snapshot.version, closing)

        gr.Timer(STATUS_SECONDS).tick(show_status, [shown], [status, shown], queue=False, **QUIET)
    return page


def header_html() -> str:
    """What the page is, the choice of colours, and the place where a silent server is told."""
    names = json.dumps({tab_id: name for tab_id, name, _ in TABS})
    title = tag("h1", esc(text.TITLE), data_tab_names=names) + tag("p", esc(text.TAGLINE))
    themes = "".join(
        tag("span", esc(name), data_theme=theme, hidden=None if theme == "auto" else "")
        for theme, name in text.THEMES.items()
    )
    button = tag("button", themes, "plain", type="button", data_theme_button="")
    offline = tag("p", esc(text.OFFLINE), "offline", role="alert", data_offline="", hidden="")
    return tag("div", tag("div", title, "title") + button, "top") + offline
