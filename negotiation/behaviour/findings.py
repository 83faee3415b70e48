"""What a side said that is not so, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from negotiation.behaviour.arithmetic import wrong_arithmetic
from negotiation.behaviour.false_limits import false_limits
from negotiation.behaviour.preferences import false_preferences
from negotiation.behaviour.promises import broken_promises
from negotiation.behaviour.said import Said, said_by
from negotiation.behaviour.traits import TRAITS, is_shown
from negotiation.game.events import Turn
from negotiation.replies.named_values import contradictions
from negotiation.scenario.model import Scenario, Seat


@dataclass(frozen=True)
class Finding:
    """A message that is not so: the measure that it counts for, its turn, and what is true."""

    trait: str
    index: int
    round: int
    truth: str


def other_values(said: Said) -> list[str]:
    """Return where a message gives other values than its offer, each with both."""
    issues = said.scenario.issues
    return [
        f"{issues[found.issue].title or found.issue}: the message says {found.said}, the offer "
        f"{issues[found.issue].show(said.offer[found.issue])}"
        for found in contradictions(said.vocabulary, said.seat, said.message, said.offer)
        if said.offer is not None
    ]


READINGS: Mapping[str, Callable[[Said], list[str]]] = {
    "other_values": other_values,
    "wrong_arithmetic": wrong_arithmetic,
    "false_limit": false_limits,
    "false_preference": false_preferences,
    "broken_promise": broken_promises,
}
"""The readings of messages that find something untrue, by name; each returns what is true instead."""


def findings(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> list[Finding]:
    """Return what a side said that is not so, by the measures that may be shown, in the order of the turns."""
    own = [turn for turn in turns if turn.seat == seat]
    readings = [name for name in READINGS if is_shown(TRAITS[name])]
    return [
        Finding(name, turn.index, turn.round, truth)
        for turn, said in zip(own, said_by(scenario, turns, seat), strict=True)
        if turn.message
        for name in readings
        for truth in READINGS[name](said)[:1]
    ]
