"""The page: a header, the model status strip, and tabs, each built by its own subpackage."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio_client.exceptions import AppError
from markupsafe import Markup
from starlette.routing import BaseRoute

from manager.status.snapshot import Snapshot
from negotiation.app.parley import Parley
from ui.api import build_api
from ui.arena.tab import build_arena
from ui.drawing.model_strip import strip_html
from ui.history.tab import build_history
from ui.kit import text
from ui.kit.components import script
from ui.kit.templates import render
from ui.models.tab import build_models
from ui.play.tab import build_play
from ui.server import status
from ui.sharing.buttons import card_window_html
from ui.tournament import text as tournament_text
from ui.tournament.tab import build_tournament
from ui.widgets.account import AccountCorner
from ui.widgets.agent_picker import labels

MOST_SHOWN = 80
_NO_CHOICE = re.compile(r"Value: (.*?)(?: \(type: .*\))? is not in the list of choices", re.DOTALL)

TABS: tuple[tuple[str, str, Callable[[Parley, gr.Blocks, gr.Tab], None]], ...] = (
    ("arena", text.ARENA, build_arena),
    ("play", text.PLAY, build_play),
    ("tournament", tournament_text.TAB, build_tournament),
    ("history", text.HISTORY, build_history),
    ("models", text.MODELS, build_models),
)
"""The tabs: id (the button in the page is `tab-ID-button`), name, and the function that builds its content.

A builder gets the page, to act when it is opened, and its own tab, to act when it is selected.
"""


class Page(gr.Blocks):  # type: ignore[misc]  # Gradio's classes have no types here
    """Blocks that show a bug as a general message, where Gradio would show a visitor the exception's text."""

    async def process_api(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().process_api(*args, **options)
        except AppError as error:  # a message for the visitor
            if found := _NO_CHOICE.match(str(error.message)):  # Gradio's own, which goes on with Python values
                raise gr.Error(text.NO_CHOICE.format(value=found[1][:MOST_SHOWN])) from None
            raise
        except Exception:  # noqa: BLE001 (any bug)
            traceback.print_exc()  # as Gradio does; it goes to the log
            raise gr.Error(text.UNEXPECTED, print_exception=False) from None


def build_page(parley: Parley) -> gr.Blocks:
    """Build the page over a running Parley."""
    with Page(title=text.TITLE, analytics_enabled=False) as page:
        with gr.Row(elem_id="head", elem_classes="head"):
            gr.HTML(header_html(), elem_id="header", js_on_load=script("page") + script("focus") + script("share"))
            corner = AccountCorner(parley)
        corner.build_panel()
        strip = _strip(parley)(parley.manager.snapshot(), False)
        gr.HTML(strip, elem_id="model-status", js_on_load=script("status"))
        with gr.Tabs(elem_id="tabs"):
            for tab_id, name, build in TABS:
                with gr.Tab(name, id=tab_id, elem_id=f"tab-{tab_id}") as tab:
                    build(parley, page, tab)

        corner.connect(page)
        build_api(parley)
    return page


def status_routes(parley: Parley) -> list[BaseRoute]:
    """Return the route that keeps the status strip up to date, to be served beside the page."""
    return status.status_routes(parley, _strip(parley))


def _strip(parley: Parley) -> Callable[[Snapshot, bool], str]:
    """Return what draws the status strip for a snapshot."""

    def draw(snapshot: Snapshot, closing: bool) -> str:
        return strip_html(snapshot, labels(parley), details=True, zero_gpu=parley.catalog.zero_gpu, closing=closing)

    return draw


def header_html() -> Markup:
    """Draw the title, the theme button, the window of share cards, and the notice of a server that does not answer."""
    tab_names = json.dumps({tab_id: name for tab_id, name, _ in TABS})
    return render("header", tab_names=tab_names, card_window=card_window_html())
