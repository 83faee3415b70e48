"""Numbers and units as people read them."""

from __future__ import annotations


def points(utility: float) -> str:
    """Return a utility from 0 to 1 as points from 0 to 100: 0.64 is "64"."""
    return f"{100 * utility:.0f}"
