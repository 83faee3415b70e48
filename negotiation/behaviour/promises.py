"""Promises about a side's own next turn, and whether its next turn breaks them.

- *Hold*: "my final offer", "I won't go below 900". Broken if the side next makes or accepts an offer worth less to it,
  or gives way on that issue.
- *Accept*: "if you pay 60, I'll sign". Broken if the other side offers at least that, everything else at least as good
  for the side as in its own offer, and the side does not accept.
- *Leave*: "accept this or I walk away". Broken if the side next makes another offer, unless a stated demand was met.
- *Move*: "next round I'll offer 70". Broken if the side next makes an offer with another value there.

A side without a next turn breaks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from negotiation.behaviour.said import TIE, Said
from negotiation.game.protocol import Action
from negotiation.replies.words import phrases
from negotiation.scenario.issue import Value

_GIVES_WAY = (
    "accept|agree|budge|change|come|drop|give|go|goes|improve|increase|lower|move|moving|offer|pay|raise|reduce|sell|"
    "settle|ship|sign|take"
)
_HOLDS = phrases(rf"""
    \b(?:i|we) (?:\w+ )?(?:will not(?: be able to)?|shall not|refuse to|will never)(?: \w+)? ?\b(?:{_GIVES_WAY})\b
    \b(?:i|we) (?:am|are) not(?: going to| willing to)?(?: \w+)? ?\b(?:{_GIVES_WAY})\b
    \bnot (?:a|1|one|another) (?:single )?(?:cent|penny|euro|dollar|pack|day)\b
    \bnot negotiable\b|\bnon-negotiable\b|\bred line\b
    \b(?:will|shall) not (?:\w+ ){{0,3}}change\b|\bnot going to change\b
""")
_POSITION = "(?:answer|bid|figure|number|offer|position|price|proposal|word)"
_FINAL = phrases(rf"""
    \b(?:my|our|the|a|is|it)(?: very| absolutely)? (?:final|last) {_POSITION}\b
    ^(?:final|last) offer\b
    \btake it or leave it\b
""")
_ACCEPTS = phrases(r"""
    \b(?:i|we) (?:will|would|can|shall|say|am|are)?(?: \w+)? ?(?:accept|agree|buy|happy|pay|settle|shake|sign|yes)\b
    \b(?:i|we) (?:will|would|can|shall)(?: \w+)? take (?:it|that|the deal)\b|\b(?:i|we) say yes\b
    \b(?:we|you)(?: will)? have (?:a deal|(?:my|our) signature|my word|an agreement)\b
    \bit is a deal\b|\bwe are done\b|\bdeal\b
""")
_ASKS = phrases(r"""
    \b(?:if|once|when|as soon as) (?:you|we)\b
    ^(?:please )?(?:add|come|get|give|go|include|let|lower|make it|move|offer|pay|put|raise)\b
    ^if (?:the|i|it)\b
""")
_LEAVES = phrases(r"""
    \b(?:i|we) (?:will|am|are|shall|would)(?: \w+)? ?(?:walk|leave|leaving|go elsewhere|end this|end the)\b
    \bor (?:i|we) walk\b
    \botherwise (?:i|we) (?:\w+ )?(?:walk|leave)\b
""")
_THREATENS = phrases(r"""
    \bif you\b|\bunless\b|\botherwise\b|\bor (?:i|we) (?:will|walk|leave|am)\b
    ^(?:accept|take)\b|\blast chance\b
""")
_NEXT = phrases(r"""
    \bnext (?:round|time|turn)\b(?!.*\bif\b).*\b(?:i|we) (?:will|shall|can|am going to|are going to)\b
    \b(?:i|we) (?:will|shall|am going to|are going to)\b.*\bnext (?:round|time|turn)\b(?!.*\bif\b)
""")
_NOT_LEAVING = re.compile(r"\bnot (?:walk|leave|leaving|going)\b")
_OF_OTHERS = re.compile(
    r"\byou (?:said|say|told)\b|^your\b|\b(?:never|not) (?:say|said|saying)\b|^you\b(?! have (?:my|our|a deal))"
)
_DENIES = re.compile(r"\b(?:never|not) (?:say|said|saying)\b")


def broken_promises(said: Said) -> list[str]:
    """Return the promises of a side's message that its next turn breaks, each with what it does instead."""
    if said.offer is None or said.then is None:
        return []
    found: list[str] = []
    text = ". ".join(part.text for part in said.sentences)
    for sentence in said.claims if not _DENIES.search(text) else []:
        found += [*_holds(said, sentence), *_moves(said, sentence)]
    for part in said.sentences:
        if not part.question and not _OF_OTHERS.search(part.text):
            found += [*_accepts(said, part.text), *_leaves(said, part.text, text)]
    return list(dict.fromkeys(found))


def _holds(said: Said, sentence: str) -> Iterator[str]:
    assert said.offer is not None
    assert said.then is not None
    if said.then.offer is None:
        return
    final, holds = _FINAL.search(sentence), _HOLDS.search(sentence)
    own = said.scenario.utility(said.seat, said.offer)
    if final is not None and not re.search(r"\bnot (?:my|our|the|a)\b", sentence):
        if said.scenario.utility(said.seat, said.then.offer) < own - TIE:
            yield "the next offer is worth less to it" if said.then.action is Action.OFFER else "it accepts less"
    elif holds is not None:
        yield from _holds_value(said, sentence, said.then.offer)


def _holds_value(said: Said, sentence: str, then: Mapping[str, Value]) -> Iterator[str]:
    """Yield how the next offer gives way on what the side said it would hold."""
    assert said.offer is not None
    mentions = said.vocabulary.values_in(sentence, said.seat, share_of=said.seat)
    held: dict[str, Value] = {issue: said.offer[issue] for issue in said.vocabulary.issues_in(sentence)}
    for mention in mentions:
        own = said.offer[mention.issue]
        value = own if own in mention.values else min(mention.values, key=str)
        if said.scenario.issues[mention.issue].allows(value):
            held[mention.issue] = value
    if not held and re.search(r"\b(?:go|price|lower|higher|raise|budge|move|moving|change|improve)\b", sentence):
        if said.scenario.utility(said.seat, then) < said.scenario.utility(said.seat, said.offer) - TIE:
            yield "the next offer is worth less to it"
        return
    for issue, value in held.items():
        if said.worth(issue, then[issue]) < said.worth(issue, value) - TIE:
            kind = said.scenario.issues[issue]
            yield f"{kind.title or issue}: {kind.show(then[issue])} follows"


def _accepts(said: Said, sentence: str) -> Iterator[str]:
    """Yield that the side does not accept although the other side offers what it asked for."""
    assert said.offer is not None
    assert said.then is not None
    if said.reply is None or said.then.action is Action.ACCEPT or _LEAVES.search(sentence):
        return
    if not _ASKS.search(sentence) or not _ACCEPTS.search(sentence):
        return
    wanted = _wanted(said, sentence)
    for issue, own in said.offer.items():
        least = min(said.worth(issue, value) for value in wanted.get(issue, [own]))
        if said.worth(issue, said.reply[issue]) < least - TIE:
            return
    if wanted:
        yield "the other side offers that, and it does not accept"


def _wanted(said: Said, sentence: str) -> dict[str, list[Value]]:
    """Return the values of a sentence by issue, of several meanings the one that is better for the side."""
    wanted: dict[str, list[Value]] = {}
    for mention in said.vocabulary.values_in(sentence, said.seat, share_of=said.seat):
        allowed = [value for value in mention.values if said.scenario.issues[mention.issue].allows(value)]
        if allowed:
            wanted.setdefault(mention.issue, []).append(max(allowed, key=lambda v: said.worth(mention.issue, v)))
    return wanted


def _leaves(said: Said, sentence: str, text: str) -> Iterator[str]:
    """Yield that the side goes on although it said it would leave."""
    assert said.then is not None
    if said.then.action is not Action.OFFER or not _LEAVES.search(sentence) or _NOT_LEAVING.search(sentence):
        return
    if not (_THREATENS.search(sentence) or _THREATENS.search(text)):
        return
    if said.reply is not None and _met(said, sentence):
        return
    yield "it makes another offer"


def _met(said: Said, sentence: str) -> bool:
    """Return whether the other side's reply does what a threat asks for."""
    assert said.reply is not None
    mentions = said.vocabulary.values_in(sentence, said.seat, share_of=said.seat)
    if not mentions:
        return False
    refuses = re.search(r"\bdo not\b|\bunless\b|\bwithout\b", sentence)
    for mention in mentions:
        worth = said.worth(mention.issue, said.reply[mention.issue])
        allowed = [value for value in mention.values if said.scenario.issues[mention.issue].allows(value)]
        named = max((said.worth(mention.issue, value) for value in allowed), default=1.0)
        if refuses and worth < named - TIE:
            return False
        if not refuses and said.reply[mention.issue] in mention.values:
            return False
    return True


def _moves(said: Said, sentence: str) -> Iterator[str]:
    """Yield that the next offer is not the one that was announced."""
    assert said.then is not None
    if said.then.action is not Action.OFFER or said.then.offer is None or not _NEXT.search(sentence):
        return
    for mention in said.vocabulary.values_in(sentence, said.seat, share_of=said.seat):
        made = said.then.offer[mention.issue]
        if made not in mention.values:
            kind = said.scenario.issues[mention.issue]
            yield f"{kind.title or mention.issue}: {kind.show(made)} follows"
