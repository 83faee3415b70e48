"""What a side says about its own preferences: what contradicts its weights and values, and what it reveals.

False is: that an issue matters most, or more than another, though its weight is smaller; that an issue does not matter
though its weight is at least 0.15; that an option is preferred to another, or to all, though it is worth less; that a
number should go where it is worth less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from negotiation.behaviour.said import TIE, Said

MATTERS = 0.15
"""The least weight of an issue that matters: a side that says otherwise gives up at least 15 of 100 points."""
Kind = Literal["most", "more", "less", "none", "least", "important"]
_I = r"\b(?:i|we|me|us|my|our|mine|ours)\b"
_ADVERB = r"(?: (?:really|very|far|much|even|still|certainly|also|so|extremely|quite|truly|absolutely|would|will|simply|just))*"
_TO_ME = r"(?: (?:to|for|with) (?:me|us|my|our)(?: (?!than)\w+){0,3})?"
_PRIORITY = (
    r"\b(?:my|our) (?:\w+ )?(?:top|first|highest|main|biggest|foremost|number one|no 1|number 1|chief|primary|greatest|key) "
    r"(?:priority|concern|issue|point|aim|goal|interest)\b"
)
_CLAIMS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("most", rf"\bnothing{_ADVERB} (?:is more important|matters more|counts more){_TO_ME} than (?P<x>.+)"),
        ("most", rf"\bwhat{_ADVERB} (?:matters|counts) most{_TO_ME}(?: and{_TO_ME})? is (?P<x>.+)"),
        ("most", r"\bwhat (?:i|we) (?:\w+ )?(?:need|care about|want|value) (?:the )?most is (?P<x>.+)"),
        ("most", rf"(?P<x>.*){_ADVERB} (?:matters?|means?|is worth|are worth) more{_TO_ME} than (?:anything|everything|all)\b"),
        ("most", rf"(?P<x>.*)\b(?:is|are){_ADVERB} more important{_TO_ME} than (?:anything|everything|all)\b"),
        ("most", rf"^{_PRIORITY} is (?P<x>.+)"),
        ("most", rf"(?P<x>.*)\b(?:is|are|remains?){_ADVERB} {_PRIORITY}"),
        ("most", r"(?P<x>.*)\b(?:is|are) what (?:i|we) (?:\w+ )?(?:need|care about|want|value) (?:the )?most\b"),
        ("most", r"(?P<x>.*)\b(?:is|are) (?:the thing )?what matters (?:the )?most\b"),
        ("most", r"\b(?:i|we) (?:\w+ )?(?:care most about|only care about|care only about|value most) (?P<x>.+)"),
        ("most", r"(?P<x>.*)\b(?:matters?|counts?)(?: the)? most\b"),
        ("most", r"(?P<x>.*)\b(?:is|are)(?: by far)?(?: the| my| our)? most important\b"),
        ("less", rf"(?P<x>.*)\b(?:is|are){_ADVERB} less important{_TO_ME} than (?P<y>.+)"),
        ("less", rf"(?P<x>.*)\b(?:matters?|means?|counts?){_ADVERB} less{_TO_ME} than (?P<y>.+)"),
        ("more", rf"(?P<x>.*)\b(?:is|are|be)?{_ADVERB} ?\bmore (?:important|valuable){_TO_ME} than (?P<y>.+)"),
        ("more", rf"(?P<x>.*)\b(?:matters?|means?|counts?|is worth|are worth){_ADVERB} more{_TO_ME} than (?P<y>.+)"),
        ("more", rf"\b(?:i|we){_ADVERB} (?:care|need|want){_ADVERB} more (?:about )?(?P<x>.+?) than (?P<y>.+)"),
        ("least", r"(?P<x>.*)\b(?:matters?|counts?) (?:the )?least\b"),
        ("least", r"(?P<x>.*)\b(?:is|are) (?:the |my |our )?least important\b"),
        ("none", r"\b(?:i|we) do not (?:really |much )?(?:care|mind)\b(?P<x>.*)"),
        ("none", r"(?P<x>.*)\b(?:do|does) not (?:really )?matter\b"),
        ("none", r"(?P<x>.*)\b(?:hardly|barely) matters?\b"),
        ("none", r"(?P<x>.*)\bmatters? little\b"),
        ("none", r"(?P<x>.*)\b(?:is|are) (?:not (?:really |very )?important|of (?:no|little) importance|unimportant)\b"),
        ("important", rf"(?P<x>.*)\b(?:is|are){_ADVERB} (?:important|crucial|essential|vital)\b"),
        ("important", rf"(?P<x>.*)\b(?:matters?|matter)(?: to (?:me|us)| a lot| a great deal| very much|{_ADVERB}$)"),
        ("important", r"\b(?:i|we) (?:\w+ )?(?:care (?:a lot )?about|need(?! to\b)) (?P<x>.+)"),
    )
)
"""What each pattern says of the issues in its part x: that they matter most, more than those in y, and so on."""
_PREFERS = re.compile(
    r"\b(?:i|we) (?:\w+ )?(?:prefer|would rather|like)\b(?P<a>.+?)(?: (?:than|over|to|instead of|rather than) (?P<b>.+))?$"
)
_FAVOURITE = re.compile(r"(?P<x>.*)\b(?:is|are|would be)(?: still)? (?:my|our) (?:favou?rite|first choice|preferred|dream)\b")
_WANTS = re.compile(
    r"\b(?:i|we) (?:want|would like|prefer|need) (?:the |a |an )?(?P<x>.*?)(?:to be )?(?:as )?(?P<end>high|low|large|small|much|little)"
    r"(?:er)? ?(?:as possible|as it can)|\bthe (?P<end2>lower|higher|smaller|larger) (?:the )?(?P<x2>.+?),? the better\b"
)
_HIGH = frozenset(["high", "large", "much", "higher", "larger"])


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
    issues = [
        issue
        for claim in claims(said)
        for issue in (claim.than if claim.kind == "less" else claim.of if claim.kind in ("most", "more", "important") else ())
    ]
    return list(dict.fromkeys(issues))


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
            if not re.search(_I, clause if (match["x"] or "").strip() and kind != "none" else sentence):
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


_ABOUT_YOU = re.compile(r"\b(?:to|for) you\b|\byour\b")


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
