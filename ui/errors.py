"""What goes wrong, in plain words on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from manager.errors import ParleyError
from negotiation.errors import UnknownRun
from ui import text


@contextmanager
def plainly() -> Iterator[None]:
    """Show an error that Parley raises on purpose as a message; others are bugs and go to the log."""
    try:
        yield
    except UnknownRun:
        raise gr.Error(text.UNKNOWN_RUN, print_exception=False) from None
    except ParleyError as error:
        raise gr.Error(str(error), print_exception=False) from None
