"""The measures of behaviour: what each is called, its range, and whether it may be shown.

Measures of messages read words, which can go wrong. Each was validated on turns labelled by hand; `validation.json` has
the counts (`python -m benchmarks.behaviour --write`), and a measure is shown only if at least 90 % of the held-out
turns that it flagged were flagged rightly. docs/behaviour.md defines all measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

LEAST_PRECISION = 0.9
_VALIDATION = Path(__file__).with_name("validation.json")


@dataclass(frozen=True)
class Trait:
    """A measure of behaviour: its range, and the validated reading of messages that it depends on, if it does."""

    name: str
    title: str
    unit: Literal["share", "points", "number"]
    low: float
    high: float
    about: str
    reads: str = ""


@dataclass(frozen=True)
class Validated:
    """How a reading of messages did on labelled turns: those it found rightly, found wrongly, and missed."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of what it found that is right; 0 if it found nothing."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 0.0

    @property
    def recall(self) -> float:
        """The share of what there was that it found; 0 if there was nothing."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 0.0


TRAITS: Mapping[str, Trait] = {
    trait.name: trait
    for trait in (
        Trait("opening", "first offer", "points", 0, 1, "what its first offer is worth to it"),
        Trait("timing", "timing", "number", 0, 1, "when it gives way: 0.5 steadily, more early, less late"),
        Trait("retracts", "asks for more", "share", 0, 1, "offers that ask for more than its last one"),
        Trait(
            "wasteful", "steps that help nobody", "share", 0, 1, "offers worse for the other side, no better for itself"
        ),
        Trait(
            "anchoring", "anchoring", "number", -1, 1, "how far its first offer follows the other side's (0 not at all)"
        ),
        Trait("below_limit", "accepts below its limit", "share", 0, 1, "acceptances worth less to it than no deal"),
        Trait("oracle_gap", "gap to the best response", "points", 0, 1, "what a best response would have gained more"),
        Trait("other_values", "names other values", "share", 0, 1, "messages at odds with their offer", "other_values"),
        Trait(
            "wrong_arithmetic", "wrong arithmetic", "share", 0, 1, "messages with a wrong result", "wrong_arithmetic"
        ),
        Trait(
            "false_limit", "false limits", "share", 0, 1, "messages with a false claim about its limit", "false_limit"
        ),
        Trait(
            "false_preference",
            "false preferences",
            "share",
            0,
            1,
            "messages with a false claim about what it wants",
            "false_preference",
        ),
        Trait(
            "broken_promise", "broken promises", "share", 0, 1, "messages that its next turn belies", "broken_promise"
        ),
        Trait(
            "heeds",
            "heeds the other side",
            "number",
            -1,
            1,
            "how much more often it gives way where the other side said that it matters",
            "reveals",
        ),
    )
}
"""All measures, in the order in which they are shown."""


@cache
def validation() -> Mapping[str, Mapping[str, Validated]]:
    """Return the committed validation: by the part of the labelled turns, and the reading."""
    data = json.loads(_VALIDATION.read_text(encoding="utf-8"))
    return {
        part: {name: Validated(**counts) for name, counts in readings.items()}
        for part, readings in data["parts"].items()
    }


def is_shown(trait: Trait, found: Mapping[str, Validated] | None = None) -> bool:
    """Return whether a measure may be shown.

    Args:
        trait: The measure.
        found: The validation on the turns held out; by default the committed one.
    """
    if not trait.reads:
        return True
    held_out = validation()["held_out"] if found is None else found
    return trait.reads in held_out and held_out[trait.reads].precision >= LEAST_PRECISION


def shown_traits() -> dict[str, Trait]:
    """Return the measures that may be shown."""
    return {name: trait for name, trait in TRAITS.items() if is_shown(trait)}
