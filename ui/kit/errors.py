"""Errors in plain words on the page: no exception's own text, no Python type, and each problem on its own line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from manager.errors import ConfigError, ParleyError
from negotiation.admission.limits import LimitReached
from negotiation.errors import UnknownRun
from ui.kit import text

MOST_LINES = 6
"""The most problems that a message lists."""
_CLASS = r"(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|Timeout|Failed)"
_ASIDE = re.compile(rf" ?\({_CLASS}\b[^()]*\)")
_SPOKEN = re.compile(rf"\b{_CLASS}: .*", re.DOTALL)


@contextmanager
def plainly() -> Iterator[None]:
    """Show an expected error as a message on the page; other exceptions are bugs and go to the log."""
    try:
        yield
    except ParleyError as error:
        raise gr.Error(words_of(error), print_exception=False) from None


def words_of(error: ParleyError) -> str:
    """Return an expected error in words for a visitor; several problems are on lines of their own."""
    if isinstance(error, UnknownRun):
        return text.UNKNOWN_RUN
    if isinstance(error, ConfigError) and error.problems:
        return "\n".join(lines_of(error))
    words = plain(str(error))
    if isinstance(error, LimitReached):  # a whole sentence, whereas others begin with a file or a name
        words = words[:1].upper() + words[1:]
    return words


def lines_of(error: ConfigError) -> list[str]:
    """Return how many problems something has, and each with its key or place."""
    said, words = str(error).partition("\n")[0], error.problems[0][1]
    where = re.split(r": key '|, line ", said.removesuffix(f": {words}"), maxsplit=1)[0].rsplit(": ", 1)[-1]
    problems = [f"{key}: {words}" if key else words for key, words in error.problems]
    more = len(problems) - MOST_LINES
    lines = [text.problems(where[:1].upper() + where[1:], len(problems)), *problems[:MOST_LINES]]
    return [*lines, text.more_problems(more)] if more > 0 else lines


def plain(words: str) -> str:
    """Return a reason without what a library says to programmers: a Python type and the text of its exception."""
    return _SPOKEN.sub(text.INTERNAL, _ASIDE.sub("", words))
