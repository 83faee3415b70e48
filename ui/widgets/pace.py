"""Choosing the pace at which turns become visible: one choice for the whole page, which the browser keeps."""

from __future__ import annotations

import gradio as gr

from ui.kit import text
from ui.kit.components import QUIET, script
from ui.kit.templates import render
from ui.widgets.pacing import PACES, Reading


class PaceControl:
    """A pick list of paces, built where it is created; `reading` holds the pace that is chosen.

    Several of them on a page always show the same pace.

    Args:
        pace: The pace of a first visit.
    """

    def __init__(self, pace: str, elem_id: str) -> None:
        self.reading = gr.State(Reading(pace))
        self.part = gr.HTML(
            render("pace", paces=text.PACES, chosen=pace),
            elem_id=elem_id,
            elem_classes="pace",
            js_on_load=script("pace"),
        )
        self.part.input(_choose, [self.reading], None, queue=False, **QUIET)


def _choose(reading: Reading, event: gr.EventData) -> None:
    """Change the pace in place, for those who follow a run as well."""
    if isinstance(event.pace, str) and event.pace in PACES:
        reading.pace = event.pace
