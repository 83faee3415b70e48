"""What a browser remembers of its visitor's choices.

Gradio's own component for this (BrowserState) encrypts what it keeps, and its library would take a tenth of the time of
a first visit on a slow line.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

_READ = "(...given) => { try { given[given.length - 1] = localStorage.getItem(%s) ?? ''; } catch {} return given; }"
_WRITE = "text => { try { localStorage.setItem(%s, text); } catch {} }"
"""Browsers that keep nothing raise an error."""


class Memory:
    """A value in the browser's storage, built where it is created.

    An event reads it with `stored` as its last input and `read` as its `js`, and writes it with `stored` as an output.

    Args:
        key: The name of the value in the storage.
    """

    def __init__(self, key: str) -> None:
        self.stored = gr.Textbox(visible="hidden", container=False, elem_id=key)
        self.read = _READ % json.dumps(key)
        self.stored.change(None, [self.stored], None, js=_WRITE % json.dumps(key))

    @staticmethod
    def packed(value: Any) -> str:
        """Return a value of plain data as it is stored."""
        return json.dumps(value)

    @staticmethod
    def unpacked(stored: object) -> Any:
        """Return a stored value; None if there is none, or none of ours."""
        try:
            return json.loads(stored) if isinstance(stored, str) else None
        except (ValueError, RecursionError):
            return None
