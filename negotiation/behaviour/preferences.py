"""What a side says about its own preferences: what contradicts its weights and values, and what it reveals.

It counts as false to say that an issue matters most, or more than another, though its weight is smaller; that an issue
does not matter though its weight is at least 0.15; that an option is preferred to another, or to all, though it is
worth less; or that a number should go where it is worth less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from negotiation.behaviour.said import TIE, Said
from negotiation.replies.words import phrases

MATTERS = 0.15
"""The least weight of an issue that matters: a side that says otherwise gives up at least 15 of 100 points."""
Kind = Literal["most", "more", "less", "none", "least", "important"]
_ME = r"\b(?:i|we|me|us|my|our|mine|ours)\b"
_ABOUT_YOU = re.compile(r"\b(?:to|for) you\b|\byour\b")
_MUCH = (
    r"(?: (?:absolutely|also|certainly|even|extremely|far|just|much|quite|really|simply|so|still|truly|very|will|"
    r"would))*"
)
_TO_ME = r"(?: (?:to|for|with) (?:me|us|my|our)(?: (?!than)\w+){0,3})?"
_TOP = "top|first|highest|main|biggest|foremost|number one|number 1|chief|primary|greatest|key"
_PRIORITY = (
    rf"(?:by far )?(?:\b(?:my|our) (?:\w+ )?(?:{_TOP}) (?:priority|concern|issue|point|aim|goal|interest|need)\b|"
    r"\b(?:my|our) priority\b)"
)
_VALUE = "(?:need|care about|want|value|watch|look at)"
_SAYINGS: tuple[tuple[Kind, str], ...] = (
    (
        "most",
        rf"""
        \bnothing{_MUCH} (?:is more important|matters more|counts more){_TO_ME} than (?P<x>.+)
        \bwhat{_MUCH} (?:matters|counts) most{_TO_ME}(?: and{_TO_ME})? is (?P<x>.+)
        \bwhat (?:i|we) (?:\w+ )?{_VALUE} (?:the )?most is (?P<x>.+)
        (?P<x>.*){_MUCH} (?:matters?|means?|is worth|are worth) more{_TO_ME} than (?:anything|everything|all)\b
        (?P<x>.*)\b(?:is|are){_MUCH} more important{_TO_ME} than (?:anything|everything|all)\b
        ^{_PRIORITY} is (?P<x>.+)
        (?P<x>.*)\b(?:is|are|remains?){_MUCH} {_PRIORITY}
        (?P<x>.*)\b(?:is|are) what (?:i|we) (?:\w+ )?{_VALUE} (?:the )?most\b
        (?P<x>.*)\b(?:is|are) (?:the thing )?what matters (?:the )?most\b
        \b(?:i|we) (?:\w+ )?(?:care most about|only care about|care only about|value most) (?P<x>.+)
        (?P<x>)\beverything else (?:comes second|can wait|is secondary|is negotiable)\b
        (?P<x>.*)\b(?:matters?|counts?)(?: the)? most\b
        (?P<x>.*)\b(?:is|are)(?: by far)?(?: the| my| our)? most important\b
        """,
    ),
    (
        "less",
        rf"""
        (?P<x>.*)\b(?:is|are){_MUCH} less important{_TO_ME} than (?P<y>.+)
        (?P<x>.*)\b(?:matters?|means?|counts?){_MUCH} less{_TO_ME} than (?P<y>.+)
        """,
    ),
    (
        "more",
        rf"""
        (?P<x>.*)\b(?:is|are|be)?{_MUCH} ?\bmore (?:important|valuable){_TO_ME} than (?P<y>.+)
        (?P<x>.*)\b(?:matters?|means?|counts?|is worth|are worth){_MUCH} more{_TO_ME} than (?P<y>.+)
        \b(?:i|we){_MUCH} (?:care|need|want){_MUCH} more (?:about )?(?P<x>.+?) than (?P<y>.+)
        (?P<x>.*)\b(?:the (?:one )?thing )?(?:i|we) need more than (?P<y>.+)
        """,
    ),
    (
        "least",
        r"""
        (?P<x>.*)\b(?:matters?|counts?) (?:the )?least\b
        (?P<x>.*)\b(?:is|are) (?:the |my |our )?least important\b
        """,
    ),
    (
        "none",
        r"""
        \b(?:i|we) do not (?:really |much )?(?:care|mind)\b(?P<x>.*)
        (?P<x>.*)\b(?:do|does) not (?:really )?matter\b
        (?P<x>.*)\b(?:hardly|barely) matters?\b
        (?P<x>.*)\bmatters? little\b
        (?P<x>.*)\b(?:is|are) (?:not (?:really |very )?important|of (?:no|little) importance|unimportant)\b
        """,
    ),
    (
        "important",
        rf"""
        (?P<x>.*)\b(?:is|are){_MUCH} (?:important|crucial|essential|vital)\b
        (?P<x>.*)\bmatters?(?: to (?:me|us)| a lot| a great deal| very much|{_MUCH}$)
        (?P<x>.*)\bmeans? (?:so much|a lot|a great deal) to (?:me|us)\b
        \b(?:i|we) (?:\w+ )?(?:care (?:a lot )?about|need(?! to\b| more than\b)) (?P<x>.+)
        """,
    ),
)
"""What each line says of the issues in its part x: that they matter most, or more than those in y, and so on."""
_CLAIMS = [
    (kind, re.compile(f"^{line}" if line.startswith("(?P<x>.*)") else line))  # or it would begin to search everywhere
    for kind, text in _SAYINGS
    for line in map(str.strip, text.strip().splitlines())
]
_PREFERS = re.compile(
    r"\b(?:i|we) (?:\w+ )?(?:prefer|would rather|like)\b"
    r"(?P<a>.+?)(?: (?:than|over|to|instead of|rather than) (?P<b>.+))?$"
)
_FAVOURITE = re.compile(
    r"^(?P<x>.*)\b(?:is|are|would be)(?: still)? (?:my|our) (?:favou?rite|first choice|preferred|dream)\b"
)
_WANTS = phrases(r"""
    \b(?:i|we) (?:want|would like|prefer|need) (?:the |an? )?(?P<x>.*?)(?:to be )?as (?P<end>high|low) as possible
    \bthe (?P<end2>lower|higher) (?:the )?(?P<x2>.+?),? the better\b
""")
_HIGH = frozenset(["high", "higher"])


@dataclass(frozen=True)
class Claim:
    """A claim about the weights of issues: that all of `of` matter most, or more than all of `than`, and so on."""

    kind: Kind
    of: tuple[str, ...]
    than: tuple[str, ...] = ()


def false_preferences(said: Said) -> list[str]:
    """Return the false claims about its own preferences in a side's message, each with what is true."""
    found = [truth for claim in claims(said) if (truth := _contradicted(said, claim))]
    for sentence in said.claims:
        found += [*_options(said, sentence), *_direction(said, sentence)]
    return list(dict.fromkeys(found))


def revealed(said: Said) -> list[str]:
    """Return the issues of which a message says that they matter to the side, true or not."""
    matter = [
        issue
        for claim in claims(said)
        for issue in (claim.than if claim.kind == "less" else claim.of)
        if claim.kind not in ("least", "none")
    ]
    return list(dict.fromkeys(matter))


def claims(said: Said) -> list[Claim]:
    """Return what a message says about the weights of issues for the side that wrote it."""
    return [claim for sentence in said.claims for claim in _claims_in(said, sentence)]


def _claims_in(said: Said, sentence: str) -> Iterator[Claim]:
    before: list[str] = []
    for clause in re.split(r"[;:,–—]| but | because | since |(?<!more) so ", sentence):
        named = said.vocabulary.issues_in(clause)
        for kind, pattern in _CLAIMS:
            match = pattern.search(clause)
            if match is None or _ABOUT_YOU.search(clause):
                continue
            if not re.search(_ME, clause if (match["x"] or "").strip() and kind != "none" else sentence):
                continue
            if re.search(r"\bnot (?:the |my |our )?(?:most|more|so|very)\b", clause):
                break
            groups = match.groupdict()
            of = said.vocabulary.issues_in(groups["x"] or "") or before
            than = said.vocabulary.issues_in(groups.get("y") or "")
            if of and (than or kind not in ("more", "less")):
                yield Claim(kind, tuple(of), tuple(than))
            break
        before = named or before


def _contradicted(said: Said, claim: Claim) -> str:
    """Return what is true instead of a claim, or nothing if the claim is true."""
    weights = said.scenario.roles[said.seat].weights
    others = [issue for issue in weights if issue not in claim.of]
    least = min(claim.of, key=lambda issue: weights[issue])
    most = max(claim.of, key=lambda issue: weights[issue])
    match claim.kind:
        case "most":
            rival = max(others, key=lambda issue: weights[issue], default=least)
            false = weights[rival] > weights[least] + TIE
        case "more":
            rival = max(claim.than, key=lambda issue: weights[issue])
            false = weights[rival] > weights[least] + TIE
        case "less":
            least, rival = min(claim.than, key=lambda issue: weights[issue]), most
            false = weights[rival] > weights[least] + TIE
        case "least":
            rival = min(others, key=lambda issue: weights[issue], default=most)
            false, least, rival = weights[rival] < weights[most] - TIE, rival, most
        case "none":
            return f"{_title(said, most)} has a weight of {weights[most]:.0%}" if weights[most] >= MATTERS - TIE else ""
        case _:
            return ""
    words = f"{_title(said, rival)} has a weight of {weights[rival]:.0%}, {_title(said, least)} {weights[least]:.0%}"
    return words if false else ""


def _options(said: Said, sentence: str) -> Iterator[str]:
    """Yield what is true instead of a claim that one option is better than another, or than all."""
    if match := _FAVOURITE.search(sentence):
        for mention in said.vocabulary.options_in(match["x"])[-1:]:
            for option in mention.values:
                choices = said.scenario.issues[mention.issue].choices
                best = max(choices, key=lambda choice: said.worth(mention.issue, choice))
                if said.worth(mention.issue, best) > said.worth(mention.issue, option) + TIE:
                    yield _better(said, mention.issue, str(best), str(option))
    if match := _PREFERS.search(sentence):
        preferred = said.vocabulary.options_in(match["a"])[:1]
        rejected = said.vocabulary.options_in(match["b"] or "")[:1]
        if preferred and rejected and preferred[0].issue == rejected[0].issue:
            issue, (one,), (two,) = preferred[0].issue, preferred[0].values, rejected[0].values
            if said.worth(issue, two) > said.worth(issue, one) + TIE:
                yield _better(said, issue, str(two), str(one))


def _direction(said: Said, sentence: str) -> Iterator[str]:
    """Yield what is true instead of a claim that a number should be high or low."""
    for match in _WANTS.finditer(sentence):
        for name in said.vocabulary.issues_in(match["x"] or match["x2"] or "")[:1]:
            issue = said.scenario.issues[name]
            if issue.range is None or issue.split:
                continue
            high = (match["end"] or match["end2"]) in _HIGH
            wanted, other = (issue.range.max, issue.range.min) if high else (issue.range.min, issue.range.max)
            if said.worth(name, other) > said.worth(name, wanted) + TIE:
                yield _better(said, name, issue.show(other), issue.show(wanted))


def _better(said: Said, issue: str, better: str, worse: str) -> str:
    return f"{_title(said, issue)}: {better} is worth more to it than {worse}"


def _title(said: Said, issue: str) -> str:
    return said.scenario.issues[issue].title or issue
