"""What goes wrong, in plain words on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from manager.errors import ParleyError
from negotiation.errors import UnknownRun
from negotiation.limits import LimitReached
from ui import text


@contextmanager
def plainly() -> Iterator[None]:
    """Show an error that Parley raises on purpose as a message; others are bugs and go to the log."""
    try:
        yield
    except ParleyError as error:
        raise told(error) from None


def told(error: ParleyError) -> gr.Error:
    """The message for an error that Parley raises on purpose. What is beyond a limit is nobody's fault, and says so."""
    words = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
    if isinstance(error, LimitReached):
        return gr.Error(words[:1].upper() + words[1:], title=text.LIMIT, print_exception=False)
    return gr.Error(words, print_exception=False)
