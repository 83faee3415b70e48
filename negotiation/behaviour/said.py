"""A message together with everything needed to check whether it is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.replies.vocabulary import Vocabulary
from negotiation.replies.words import Sentence, phrases, sentences
from negotiation.scenario.issue import Value
from negotiation.scenario.model import Offer, Scenario, Seat

TIE = 1e-9
_NOT_OWN = phrases(r"""
    \b(?:said|says|told|claims|claimed|heard|according to|keep (?:repeating|saying))\b
    \b(?:tell|telling) (?:me|us)\b
    \byou (?:always |often |only )?(?:say|tell|call|claim|think|want|need|care|keep|ask)\b
    \b(?:not|never|nobody|no one)(?: \w+)? (?:say|said|saying|says|claim|claiming|pretend)\b
    \b(?:could|would|might) (?:say|claim|pretend|tell)\b
    ^(?:if (?:i|we|the|\w+ \w+ were)|suppose|imagine|had (?:i|we|you))\b
    \byour? (?:\w+ )?(?:final|last|best|limit|minimum|maximum)\b
    ^you (?:will|are)\b
""")
"""The words of others, what is denied or only supposed, and what is said about the other side."""


@dataclass(frozen=True)
class NextMove:
    """What a side does on its next turn; the offer is the one that it makes or accepts, None if it leaves."""

    action: Action
    offer: Offer | None


@dataclass(frozen=True)
class Said:
    """A message of a turn.

    Attributes:
        offer: The offer that the turn makes or accepts; None if it leaves.
        last: The side's last offer before it.
        table: The other side's offer that was on the table.
        reply: What the other side offered next; None if it did not.
        then: The side's next turn; None if there was none.
    """

    vocabulary: Vocabulary
    seat: Seat
    round: int
    message: str
    offer: Offer | None
    last: Offer | None = None
    table: Offer | None = None
    reply: Offer | None = None
    then: NextMove | None = None

    @property
    def scenario(self) -> Scenario:
        """The scenario."""
        return self.vocabulary.scenario

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences of the message."""
        return sentences(self.message, self.vocabulary.nouns)

    @cached_property
    def claims(self) -> list[str]:
        """The sentences in which the side speaks for itself: no questions, quotations, denials or suppositions."""
        return [part.text for part in self.sentences if not part.question and not _NOT_OWN.search(part.text)]

    def acceptable(self, offer: Offer) -> bool:
        """Return whether an offer is worth at least no deal to the side, in the round of the message."""
        worth = self.scenario.discounted(self.scenario.utility(self.seat, offer), self.round)
        return worth >= self.scenario.roles[self.seat].reservation - TIE

    def worth(self, issue: str, value: Value) -> float:
        """Return what an option of an issue is worth to the side, from 0 to 1 within the issue."""
        return self.scenario.value(self.seat, issue, value)

    def worse(self, issue: str, value: Value) -> Value | None:
        """Return the option that the side would have to accept next if it gave way from `value`; None if none is worse.

        For a number that is the neighbouring one, for named options the best of those that are worse.
        """
        kind, worth = self.scenario.issues[issue], self.worth(issue, value)
        if kind.range is not None:
            place = kind.choices.index(value)
            near = [kind.choices[at] for at in (place - 1, place + 1) if 0 <= at < kind.size]
        else:
            near = list(kind.choices)
        below = [choice for choice in near if self.worth(issue, choice) < worth - TIE]
        return max(below, key=lambda choice: self.worth(issue, choice), default=None)


def said_by(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> list[Said]:
    """Return the messages of a side in a negotiation, one for each of its turns."""
    vocabulary = Vocabulary(scenario)
    found = []
    last: Offer | None = None
    for place, turn in enumerate(turns):
        if turn.seat != seat:
            continue
        table = turns[place - 1].offer if place else None
        following = turns[place + 1 : place + 3]
        made = Said(
            vocabulary=vocabulary,
            seat=seat,
            round=turn.round,
            message=turn.message,
            offer=table if turn.action is Action.ACCEPT else turn.offer,
            last=last,
            table=table,
            reply=following[0].offer if following else None,
            then=_move(following[1], following[0].offer) if len(following) > 1 else None,
        )
        found.append(made)
        last = turn.offer or last
    return found


def _move(turn: Turn, table: Offer | None) -> NextMove:
    return NextMove(turn.action, table if turn.action is Action.ACCEPT else turn.offer)
