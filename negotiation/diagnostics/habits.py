"""Bad habits of small models, measured: opening at one's own limit, repeating the other side, taking less than no deal.

Pure functions over a negotiation's turns, whoever made them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import Scenario, Seat

NEAR = 0.025
"""An opening offer within so much of the reservation value counts as being at it."""
RUN = 4
"""So many words in a row make a repetition."""


@dataclass(frozen=True)
class Habits:
    """What one seat did in a negotiation, or in several; each count stands beside how often it could have happened."""

    openings: int = 0
    at_reservation: int = 0  # openings worth the own reservation value, more or less
    messages: int = 0  # that follow a message of the other side
    echoes: int = 0  # messages of which at least half repeats the other side's last
    acceptances: int = 0
    below_reservation: int = 0  # acceptances of less than no deal is worth

    def __add__(self, more: Habits) -> Habits:
        return Habits(*(a + b for a, b in zip(vars(self).values(), vars(more).values(), strict=True)))


def habits(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> Habits:
    """The habits of one seat in a negotiation."""
    opening = opens_at_reservation(scenario, turns, seat)
    echoed = echoes(turns, seat)
    accepted = accepts_below_reservation(scenario, turns, seat)
    return Habits(
        int(opening is not None),
        int(opening or False),
        len(echoed),
        sum(echoed),
        int(accepted is not None),
        int(accepted or False),
    )


def opens_at_reservation(scenario: Scenario, turns: Iterable[Turn], seat: Seat) -> bool | None:
    """Whether a seat's first offer is worth its reservation value to it, within `NEAR`; None if it made no offer."""
    first = next((turn.offer for turn in turns if turn.seat == seat and turn.offer is not None), None)
    if first is None:
        return None
    return abs(scenario.utility(seat, first) - scenario.roles[seat].reservation) <= NEAR


def accepts_below_reservation(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> bool | None:
    """Whether a seat accepted what is worth less to it, discounted, than no deal; None if it did not accept."""
    last = turns[-1] if turns else None
    if last is None or last.seat != seat or last.action is not Action.ACCEPT:
        return None
    utility = last.utility_a if seat == "a" else last.utility_b
    assert utility is not None
    return scenario.discounted(utility, last.round) < scenario.roles[seat].reservation


def echoes(turns: Iterable[Turn], seat: Seat) -> list[bool]:
    """For each message of a seat that follows one of the other side: whether it is an echo of it."""
    heard, found = "", []
    for turn in turns:
        if turn.seat != seat:
            heard = turn.message
        elif heard and turn.message:
            found.append(echo_share(turn.message, heard) >= 0.5)
    return found


def echo_share(message: str, heard: str) -> float:
    """The share of a message's words that stand in runs of `RUN` or more words that were heard; a short one whole."""
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
