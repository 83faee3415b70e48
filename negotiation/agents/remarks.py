"""Remarks on a model's valid reply: habits that no grammar prevents, recorded with the turn and shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from negotiation.game.agent import View
from negotiation.game.events import Note
from negotiation.game.protocol import Action
from negotiation.replies.named_values import contradictions
from negotiation.replies.reader import Reply
from negotiation.replies.vocabulary import Vocabulary

WORDS: Mapping[Note, str] = MappingProxyType(
    {
        "transcript": "This model has no chat template, so it plays as a transcript; instruction models play better.",
        "repeated": "This message repeats the speaker's last one word for word.",
        "other_values": "This message names other values than its offer.",
        "other_numbers": "This message names numbers that are in neither side's offer.",
    }
)
"""The remarks, for people. Runs of earlier versions have the last one instead of the one before it."""


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
    offer = view.state.table if reply.action is Action.ACCEPT else reply.offer
    if contradictions(Vocabulary(view.scenario), view.seat, reply.message, offer):
        found.append("other_values")
    return tuple(found)


def _words(message: str) -> str:
    return " ".join(message.casefold().split())
