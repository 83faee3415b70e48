"""How hard property tests try: a moment in `make test` and `make quick`, minutes in `make stress`."""

from __future__ import annotations

import os

from hypothesis import settings

EFFORT = float(os.environ.get("PARLEY_TEST_EFFORT", "1"))
"""Factor for the number of examples. Above 1, every run draws other examples."""


def tries(count: int) -> int:
    """Return how often to try something, for `count` times EFFORT, but at least once."""
    return max(1, round(count * EFFORT))


def examples(count: int) -> settings:
    """Return hypothesis settings for `count` times EFFORT examples of a property."""
    return settings(max_examples=tries(count), deadline=None, derandomize=EFFORT <= 1)
