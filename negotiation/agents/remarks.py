"""Remarks on a model's valid reply: habits that no grammar prevents, recorded with the turn and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from negotiation.game.agent import View
from negotiation.game.events import Note
from negotiation.replies.reader import Reply
from negotiation.scenario.model import Offer, Scenario

WORDS: Mapping[Note, str] = MappingProxyType(
    {
        "transcript": "This model has no chat template, so it plays as a transcript; instruction models play better.",
        "repeated": "This message repeats the speaker's last one word for word.",
        "other_numbers": "This message names numbers that are in neither side's offer.",
    }
)
"""The remarks, for people."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def remarks(view: View, reply: Reply, *, transcript: bool) -> tuple[Note, ...]:
    """Return the remarks on a reply.

    Args:
        view: The negotiation before the reply.
        transcript: Whether the model read a plain transcript, as it has no chat template. Remarked once.
    """
    found: list[Note] = []
    if transcript and not any("transcript" in turn.notes for turn in view.own):
        found.append("transcript")
    if view.own and reply.message and _words(reply.message) == _words(view.own[-1].message):
        found.append("repeated")
    named = set(numbers(reply.message))
    if named - _numbers_of(view.scenario, reply.offer) - _numbers_of(view.scenario, view.state.table):
        found.append("other_numbers")
    return tuple(found)


def numbers(text: str) -> list[str]:
    """Return the numbers in a text, without thousands separators.

    >>> numbers("I offer 1,500 kr, or 2.5 % more.")
    ['1500', '2.5']
    """
    return [re.sub(r",(?=\d{3}(?!\d))", "", number) for number in _NUMBER.findall(text)]


def _numbers_of(scenario: Scenario, offer: Offer | None) -> set[str]:
    """Return the numbers with which an offer can be stated, those in option names included."""
    shown = [(str(value), scenario.issues[name].show(value)) for name, value in (offer or {}).items()]
    return {number for forms in shown for form in forms for number in numbers(form)}


def _words(message: str) -> str:
    return " ".join(message.casefold().split())
