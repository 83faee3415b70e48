"""How hard property tests try: a moment in `make test`, minutes in `make stress`."""

from __future__ import annotations

import os

from hypothesis import settings

EFFORT = int(os.environ.get("PARLEY_TEST_EFFORT", "1"))
"""Factor for the number of examples. Above 1, every run draws other examples."""


def examples(count: int) -> settings:
    """Return hypothesis settings for `count` times EFFORT examples of a property."""
    return settings(max_examples=count * EFFORT, deadline=None, derandomize=EFFORT == 1)
