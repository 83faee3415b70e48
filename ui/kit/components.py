"""Gradio components as Parley uses them: private events, updates by component, and scripts in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from gradio.blocks import Block

QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],
    "api_visibility": "private",
    "concurrency_limit": None,
}
"""Options of the page's own events: no spinner over the output, no place in the public API, no queue.

Hiding the spinner is not enough: at every step of any event, Gradio tells its state to all components that it or an
earlier event may update, and copies the properties of each. Nowhere (`[]`) means none of them.
"""

Updates: TypeAlias = dict[Block, Any]
"""What a handler returns: a new value, or a `gr.update`, for each component that changes."""


def script(name: str) -> str:
    """Return `scripts/NAME.js`, which the browser runs when a `gr.HTML(js_on_load=...)` is shown."""
    return (Path(__file__).parents[1] / "scripts" / f"{name}.js").read_text(encoding="utf-8")


def merged(first: Updates, second: Updates) -> Updates:
    """Return both updates; where they share a component, its value and its other properties are combined."""
    both = dict(first)
    for part, update in second.items():
        before = both.get(part)
        if isinstance(before, dict) and "__type__" in before:
            update = {**before, **(update if isinstance(update, dict) else {"value": update})}
        elif isinstance(update, dict) and "__type__" in update and part in both:
            update = {"value": before, **update}
        both[part] = update
    return both
