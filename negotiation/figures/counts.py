"""Numbers of things as people read them."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """Return a noun as it follows a number: 1 → "seed", 2 → "seeds"."""
    return noun if count == 1 else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """Return a number of things: "1 run", "1,030 runs"."""
    return f"{count:,} {plural(count, noun)}"
