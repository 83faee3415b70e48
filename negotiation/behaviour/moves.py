"""What the moves of a side show, without its words: its opening, how and when it gives way, and deals below its limit.

A *step* is an offer after the side's last one. Utilities are undiscounted, as offers are compared with offers.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from negotiation.game.events import Turn
from negotiation.scenario.model import Seat, other

Step = Literal["concession", "nice", "fortunate", "silent", "selfish", "unfortunate"]
"""The kinds of steps of Hindriks, Jonker & Tykhonov (2011), "Let's DANS! An analytic framework of negotiation dynamics
and strategies", by what a step does to both utilities: the own falls and the other's does not; the own is equal and the
other's rises; both rise; both are equal; the own rises and the other's does not; the other's falls and the own does not
rise."""
SAME = 1e-9
LEAST_GIVEN = 0.05
"""The least that a side must have conceded in all for its timing to mean anything."""


def utility(turn: Turn, seat: Seat) -> float:
    """Return the utility of a turn's offer to a seat."""
    found = turn.utility_a if seat == "a" else turn.utility_b
    assert found is not None
    return found


def offers_of(turns: Sequence[Turn], seat: Seat) -> list[Turn]:
    """Return the turns in which a seat made an offer."""
    return [turn for turn in turns if turn.seat == seat and turn.offer is not None]


def opening(turns: Sequence[Turn], seat: Seat) -> float | None:
    """Return what a side's first offer was worth to it; None if it made none."""
    made = offers_of(turns, seat)
    return utility(made[0], seat) if made else None


def steps(turns: Sequence[Turn], seat: Seat) -> Counter[Step]:
    """Return how often a side made each kind of step."""
    made = offers_of(turns, seat)
    changes = [
        (utility(now, seat) - utility(last, seat), utility(now, other(seat)) - utility(last, other(seat)))
        for last, now in itertools.pairwise(made)
    ]
    return Counter(_step(own, others) for own, others in changes)


def _step(own: float, others: float) -> Step:
    if abs(own) <= SAME:
        return "silent" if abs(others) <= SAME else "nice" if others > 0 else "unfortunate"
    if own > 0:
        return "fortunate" if others > SAME else "selfish"
    return "concession" if others >= -SAME else "unfortunate"


def timing(turns: Sequence[Turn], seat: Seat) -> float | None:
    """Return when a side conceded: 0.5 steadily, more early, less late; None if it conceded less than 0.05 in all.

    With u_0 ... u_k the own utilities of its offers, that is the area under (u_0 - u_i) / (u_0 - u_k), each cut at 0
    and 1, over its offers in equal steps (trapezoidal rule). A side that concedes as time^(1/e) (Faratin, Sierra &
    Jennings 1998) has e / (1 + e), whenever the negotiation ends: 0.17 for boulware, 0.5 for linear, 0.75 for conceder.
    """
    own = [utility(turn, seat) for turn in offers_of(turns, seat)]
    if len(own) < 3 or own[0] - own[-1] < LEAST_GIVEN:
        return None
    given = [min(1.0, max(0.0, (own[0] - worth) / (own[0] - own[-1]))) for worth in own]
    return (sum(given) - (given[0] + given[-1]) / 2) / (len(given) - 1)


def anchor(turns: Sequence[Turn], seat: Seat) -> tuple[float, float] | None:
    """Return what the other side's first offer was worth to a side, and then its own; None unless they came so."""
    own, others = offers_of(turns, seat), offers_of(turns, other(seat))
    if not own or not others or others[0].index > own[0].index:
        return None
    return utility(others[0], seat), utility(own[0], seat)
