"""Errors in plain words on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from manager.errors import ParleyError
from negotiation.admission.limits import LimitReached
from negotiation.errors import UnknownRun
from ui.kit import text


@contextmanager
def plainly() -> Iterator[None]:
    """Show an expected error as a message on the page; other exceptions are bugs and go to the log."""
    try:
        yield
    except ParleyError as error:
        raise gr.Error(words_of(error), print_exception=False) from None


def words_of(error: ParleyError) -> str:
    """Return an expected error in words for a visitor."""
    words = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
    if isinstance(error, LimitReached):  # a whole sentence, whereas others begin with a file or a name
        words = words[:1].upper() + words[1:]
    return words
