"""Small, safe HTML: everything that comes from models, people or files goes through `esc`."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from ui.kit.units import dollars as dollars
from ui.kit.units import seconds as seconds
from ui.kit.units import size as size

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""How the page's own events are listened to: no spinner over the output, no place in the public API, no queue."""

_DIRECTIONS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Characters that turn the direction of what follows, also beyond the text they stand in (Unicode TR 9 and 36)."""


def esc(text: object) -> str:
    """Text as text, whatever is in it; characters that turn the direction of others are shown as replaced."""
    return html.escape(str(text).translate(_DIRECTIONS), quote=True)


def tag(name: str, content: str = "", classes: str = "", **attributes: object) -> str:
    """An element around `content`, which is HTML already; attributes are escaped, and left out when None."""
    given = {"class": classes or None, **attributes}
    shown = "".join(
        f' {key.strip("_").replace("_", "-")}="{esc(value)}"' for key, value in given.items() if value is not None
    )
    return f"<{name}{shown}>{content}</{name}>"


def fold(summary: str, content: str, key: str) -> str:
    """A part that opens on a press; `key` lets the page remember whether it was open."""
    return tag("details", tag("summary", esc(summary)) + content, "fold", data_key=key)


def meter(fraction: float, words: str) -> str:
    """How far something is; `words` say what."""
    share = round(100 * min(1.0, max(0.0, fraction)))
    return tag("progress", "", value=share, max=100, aria_label=words)


def number(value: float) -> str:
    """A utility, short."""
    return f"{value:.2f}"


def script(name: str) -> str:
    """What runs in the browser when a `gr.HTML(js_on_load=...)` is shown, from the folder `scripts`."""
    return (Path(__file__).parents[1] / "scripts" / f"{name}.js").read_text(encoding="utf-8")


def merged(new: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    """Both updates; where both are about one component, its value and its other properties together."""
    merged = dict(new)
    for part, update in more.items():
        before = merged.get(part)
        if isinstance(before, dict) and "__type__" in before:
            update = {**before, **(update if isinstance(update, dict) else {"value": update})}
        elif isinstance(update, dict) and "__type__" in update and part in merged:
            update = {"value": before, **update}
        merged[part] = update
    return merged
