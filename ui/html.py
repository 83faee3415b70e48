"""Small, safe HTML: everything that comes from models, people or files goes through `esc`."""

from __future__ import annotations

import html

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


def number(value: float) -> str:
    """A utility, short."""
    return f"{value:.2f}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}" if unit == "GB" else f"{count / factor:,.0f} {unit}"
    return f"{count / 1e3:,.0f} kB"


def seconds(value: float) -> str:
    """A span of time for people."""
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"
