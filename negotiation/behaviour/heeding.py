"""Whether a side uses what the other side reveals: does it give way where the other side said that it matters?

Each statement of the other side that an issue matters is a chance, if the side made an offer before and after it, and
could still give something there. The side is compared with itself: what it gave in the same step on the other issues,
of which the other side had not spoken, is what it would have given anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

from negotiation.behaviour.preferences import revealed
from negotiation.behaviour.said import TIE, said_by
from negotiation.game.events import Turn
from negotiation.scenario.model import Offer, Scenario, Seat, other


def heeded(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> list[float]:
    """Return for each chance of a side 1 if it gave way there or 0 if not, less the share of other issues where it did.

    A chance counts only if there is another issue on which it could have given something.
    """
    them = other(seat)
    statements = [turn.index for turn in turns if turn.seat == them]
    found = []
    for index, said in zip(statements, said_by(scenario, turns, them), strict=True):
        before = [turn.offer for turn in turns if turn.seat == seat and turn.index < index and turn.offer is not None]
        after = next((turn for turn in turns if turn.seat == seat and turn.index > index), None)
        if not before or after is None or after.offer is None or not said.message:
            continue
        issues = revealed(said)
        gave = {issue: _gave(scenario, them, issue, before[-1], after.offer) for issue in scenario.issues}
        others = [value for issue, value in gave.items() if issue not in issues and value is not None]
        for issue in issues:
            value = gave[issue]
            if value is not None and others:
                found.append(value - sum(others) / len(others))
    return found


def _gave(scenario: Scenario, them: Seat, issue: str, before: Offer, after: Offer) -> float | None:
    """Return 1 if a step is better for the other side in an issue, 0 if not, None if it had no room."""
    was, now = (scenario.value(them, issue, offer[issue]) for offer in (before, after))
    best = max(scenario.roles[them].values[issue].values())
    return None if was >= best - TIE else float(now > was + TIE)
