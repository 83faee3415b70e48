"""Prompt-anchor audit: count how often a model offers, or agrees on, a number that merely appears in its prompt.

Only the first message (story, briefing, preferences) counts, not what the other side says later, and only issues that
are ranges of integers: all named options appear in the prompt anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, Scenario, Seat

_NUMBER = re.compile(r"(?<![\w.,])-?(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+|\d+)(?![\w]|[.,]\d)")


@dataclass(frozen=True)
class Anchors:
    """How many of the numbers offered, and of those agreed on, appear in the prompt.

    `even` is the expected number of the offered ones, had they been picked evenly from the ranges.
    """

    offered: int = 0
    offered_anchored: int = 0
    even: float = 0.0
    agreed: int = 0
    agreed_anchored: int = 0


def anchors(run: Run, seat: Seat) -> Anchors:
    """Audit one seat of a run with its turns; all counts are 0 without a prompt, as for a scripted strategy."""
    own = [turn for turn in run.turns if turn.seat == seat]
    if not own or not own[0].prompt:
        return Anchors()
    prompted = numbers_in("\n".join(message["content"] for message in own[0].prompt[:1]))
    offers = [turn.offer for turn in own if turn.offer is not None]
    offered = [number for offer in offers for number in _numbers(run.scenario, offer)]
    agreed = _numbers(run.scenario, run.agreement) if run.agreement is not None else []
    ranges = [issue for issue in run.scenario.issues.values() if issue.range is not None]
    return Anchors(
        offered=len(offered),
        offered_anchored=sum(number in prompted for number in offered),
        even=len(offers) * sum(sum(map(issue.allows, prompted)) / issue.size for issue in ranges),
        agreed=len(agreed),
        agreed_anchored=sum(number in prompted for number in agreed),
    )


def total(audits: Iterable[Anchors]) -> Anchors:
    """Return the sum of several audits."""
    counts = [
        (found.offered, found.offered_anchored, found.even, found.agreed, found.agreed_anchored) for found in audits
    ]
    return Anchors(*map(sum, zip(*counts, strict=True))) if counts else Anchors()


def numbers_in(text: str) -> frozenset[int]:
    """Return the integers in a text, thousands separators included.

    >>> sorted(numbers_in("62,000 km, 0.25 of 1, for €14000."))
    [1, 14000, 62000]
    """
    return frozenset(int(re.sub(r"[^\d-]", "", found)) for found in _NUMBER.findall(text))


def _numbers(scenario: Scenario, offer: Offer) -> list[str | int]:
    return [offer[name] for name, issue in scenario.issues.items() if issue.range is not None]
