"""Utilities as people read them: points from 0 to 100."""

from __future__ import annotations


def points(utility: float) -> str:
    """Return a utility, or a difference of two, in whole points: 0.64 → "64". 100 is everything a side wants."""
    number = int(100 * abs(utility) + 0.5)  # halves round away from zero, so that 35 and a gain of 5.5 make 41
    return f"-{number}" if utility < 0 and number else f"{number}"
