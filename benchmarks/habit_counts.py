"""Count bad habits of small models: opening at their own limit, echoing the other side, accepting less than no deal.

Pure functions over the turns of a negotiation, for `benchmarks.habits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from negotiation.game.events import Turn
from negotiation.game.measures import accepted_below_reservation
from negotiation.scenario.model import Scenario, Seat

TOLERANCE = 0.025
"""An opening offer is at the reservation value if its utility differs from it by at most this much."""
RUN = 4
"""This many words in a row make a repetition."""


@dataclass(frozen=True)
class Habits:
    """What one seat did in one or more negotiations; each count follows the number of chances for it."""

    openings: int = 0
    at_reservation: int = 0  # openings that are worth about the own reservation value
    messages: int = 0  # that follow a message of the other side
    echoes: int = 0  # messages at least half of which repeat the other side's last message
    acceptances: int = 0
    below_reservation: int = 0  # acceptances of less than no deal is worth

    def __add__(self, more: Habits) -> Habits:
        return Habits(*(a + b for a, b in zip(vars(self).values(), vars(more).values(), strict=True)))


def habits(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> Habits:
    """Count the habits of one seat in a negotiation."""
    opening = opens_at_reservation(scenario, turns, seat)
    echoed = echoes(turns, seat)
    accepted = accepted_below_reservation(scenario, turns, seat)
    return Habits(
        openings=int(opening is not None),
        at_reservation=int(opening or False),
        messages=len(echoed),
        echoes=sum(echoed),
        acceptances=int(accepted is not None),
        below_reservation=int(accepted or False),
    )


def opens_at_reservation(scenario: Scenario, turns: Iterable[Turn], seat: Seat) -> bool | None:
    """Return whether a seat's first offer is worth about its reservation value; None if it made no offer."""
    first = next((turn.offer for turn in turns if turn.seat == seat and turn.offer is not None), None)
    if first is None:
        return None
    return abs(scenario.utility(seat, first) - scenario.roles[seat].reservation) <= TOLERANCE


def echoes(turns: Iterable[Turn], seat: Seat) -> list[bool]:
    """Return for each message of a seat that follows one of the other side whether it is an echo of it."""
    heard, found = "", []
    for turn in turns:
        if turn.seat != seat:
            heard = turn.message
        elif heard and turn.message:
            found.append(echo_share(turn.message, heard) >= 0.5)
    return found


def echo_share(message: str, heard: str) -> float:
    """Return the fraction of a message's words in runs of at least `RUN` words that were heard.

    A message of fewer words counts if all of them were heard in a row.
    """
    words, other = _words(message), _words(heard)
    length = min(RUN, len(words))
    if not length:
        return 0.0
    known = {tuple(other[at : at + length]) for at in range(len(other) - length + 1)}
    repeated: set[int] = set()
    for at in range(len(words) - length + 1):
        if tuple(words[at : at + length]) in known:
            repeated.update(range(at, at + length))
    return len(repeated) / len(words)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
