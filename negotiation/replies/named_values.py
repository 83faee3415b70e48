"""Whether a message states values that differ from the offer it comes with.

A message does so if, for some issue, it states values as those of its offer, and the offer's own is not among them.
Values of earlier offers, limits, conditions, calculations and the other side's words are no such statements, and what
may be one of them is not counted. docs/behaviour.md has the definition, and how often this reading is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from negotiation.replies.amounts import Mention
from negotiation.replies.vocabulary import Vocabulary
from negotiation.replies.words import Sentence, phrases, sentences
from negotiation.scenario.model import Offer, Seat

_PROPOSES = re.compile(
    r"^(?:so |then |and |well,? )?(?:how about|what about|shall we|would you (?:take|accept)|can we)\b"
)
_DEMANDS = re.compile(
    r"^(?:please )?(?:move|raise|lower|drop|offer|put|add|give (?:me|us)|make|pay|come|go|get|throw|include)\b"
)
_OTHERWISE = phrases(r"""
    \byou(?: \w+)? (?:said|say|ask|asked|offer|offered|started|began|went|came|have gone|propose|proposed|call|called)\b
    \byour (?:\w+ )?(?:offer|price|bid|demand|proposal|limit|minimum|maximum)\b
    \b(?:i|we) said\b|\bcalled\b|\btold\b
    \b(?:start|started|began|opened|was|were|had|used to|already|previous\w*|earlier|instead|rather|from)\b
    \b(?:enough|we have|there (?:is|are))\b
    \b(?:if|unless|suppose|would (?:need|have|go|be|cost|sell)|could)\b
    \b(?:at least|at most|most|lowest|highest|maximum|minimum|limit|floor|ceiling|budget|capped)\b
    \b(?:cannot|will not|shall not|not|never|no|between|below|above|under|over)\b
    \b(?:more|less|fewer|lower|higher|further|faster) than\b
    \bnext (?:round|time|turn)\b
    \b(?:another|other (?:buyers|sellers)|elsewhere|online|dealer)\b
    \b(?:half(?:way)? (?:of|between)|middle|midpoint|split|difference|plus|minus|times|apart|gap|step|in all|in total)\b
    \b(?:add up|come to|makes|worth|points|each|of a|a (?:month|day) (?:is|are)|a year (?:is|are|come))\b
    \bby [€$£]?\d|\d\)? ?[=+×*/] ?\d
""")
"""Words of a clause that speaks of other values than those offered now: the other side's words, what was said before,
conditions, limits, plans, other people's prices, and calculations."""


@dataclass(frozen=True)
class Contradiction:
    """An issue for which a message gives only other values than its offer, and the first of them, as it was written."""

    issue: str
    said: str


def contradictions(vocabulary: Vocabulary, seat: Seat, message: str, offer: Offer | None) -> list[Contradiction]:
    """Return where a message contradicts the offer that it comes with.

    Args:
        vocabulary: The words of the scenario.
        seat: The side that wrote the message.
        message: The message.
        offer: The offer that it makes or accepts; None if it does neither.
    """
    if offer is None:
        return []
    stated: defaultdict[str, list[tuple[Mention, str]]] = defaultdict(list)
    right: set[str] = set()
    for sentence in sentences(message, vocabulary.nouns):
        mentions = vocabulary.values_in(sentence.text, seat)
        right |= {mention.issue for mention in mentions if offer[mention.issue] in mention.values}
        for mention in mentions:
            if _is_stated(sentence, mention):
                stated[mention.issue].append((mention, sentence.text[mention.start : mention.end]))
    return [Contradiction(issue, said[0][1]) for issue, said in stated.items() if issue not in right]


def _is_stated(sentence: Sentence, mention: Mention) -> bool:
    """Return whether a value is stated as one of the offer that comes with it."""
    if _DEMANDS.search(sentence.text) or (sentence.question and not _PROPOSES.search(sentence.text)):
        return False
    marks = [match.end() for match in re.finditer(r"[;:]|, (?:but|so) | but |\. ", sentence.text)]
    start = max([0, *(mark for mark in marks if mark <= mention.start)])
    end = min([len(sentence.text), *(mark for mark in marks if mark > mention.start)])
    clause = sentence.text[start:end]
    return not _OTHERWISE.search(clause)
