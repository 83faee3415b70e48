"""What the texts of a scenario say that its numbers do not, and what in them could be copied as an offer.

It reads plain English by a few turns of phrase, and says nothing where it is not sure: a sentence is taken to be
about an issue when it has the issue's name or title in it, and about that one only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from negotiation.scenario.model import SEATS, Issue, Scenario, Seat, other

_UP = re.compile(
    r"\bas (?:high|much|many|long|late|large|big)(?: a \w+)? as (?:you can|possible)|\bmaximi[sz]e|"
    r"\b(?:highest|largest|longest|latest) possible|\bthe (?:higher|more|longer|later|larger)\b.{0,30}\bthe better"
)
_DOWN = re.compile(
    r"\bas (?:low|little|few|short|early|small|cheap|cheaply)(?: a \w+)? as (?:you can|possible)|\bminimi[sz]e|"
    r"\b(?:lowest|smallest|shortest|earliest|cheapest) possible|"
    r"\bthe (?:lower|less|fewer|shorter|earlier|smaller|cheaper)\b.{0,30}\bthe better"
)
_FIRST = re.compile(r"\bmatters? (?:the )?most\b|\bmost important\b|\bcares? (?:the )?most\b|\babove all\b")
_LAST = re.compile(
    r"\b(?:does|do) not (?:really )?(?:matter|care)|\b(?:doesn't|don't) (?:really )?(?:matter|care)|\bunimportant\b|"
    r"\bnot important\b|\bhardly matters?\b|\bmatters? (?:the )?least\b|\bleast important\b"
)
_NOT = re.compile(r"\b(?:not|never|no|cannot|n't|nothing|without|rather than|avoid|refuse|hate)\b|n't\b")
_WANTS = re.compile(
    r"\byou (?:really |very much )?(?:want|prefer|need|insist on|hope for|would (?:like|love|prefer))\b"
)
_SHUNS = re.compile(
    r"\byou (?:really )?(?:do not|don't|never|cannot) (?:want|like|accept|bear|need)\b|"
    r"\byou (?:avoid|hate|refuse|dread)\b"
)
_LEAST = r"at least|no less than|not less than|not below|not under|no lower than|a minimum of"
_MOST = r"at most|no more than|not more than|not above|not over|no higher than|a maximum of"
_DIGITS = r"(?:[0-9]{1,3}(?:[,.  ][0-9]{3})+|[0-9]+)"
_NUMBER = re.compile(rf"(?<![\w.,]){_DIGITS}(?![\w]|[.,][0-9])")
_LIMIT = re.compile(rf"\b(?:(?P<least>{_LEAST})|(?P<most>{_MOST}))\s+(?:[^\s\w]\s?)?(?P<number>{_DIGITS})")
_EXAMPLE = re.compile(r"\bfor (?:example|instance)\b|\be\.g\.|\bsuch as\b|\bsay,")
_JSON = re.compile(r"\{\s*[\"']|[\"']\w+[\"']\s*:")

Found = Iterator[tuple[str, str]]


def text_findings(scenario: Scenario) -> Found:
    """The key and the message of everything that is wrong with the story and the briefings."""
    yield from _anchors(scenario, "story", scenario.story)
    for seat in SEATS:
        key = f"roles.{seat}.briefing"
        yield from _anchors(scenario, key, scenario.roles[seat].briefing)
        for clause in _clauses(scenario.roles[seat].briefing):
            about = [name for name, issue in scenario.issues.items() if _mentions(clause, name, issue)]
            if len(scenario.issues) == 1:
                about = list(scenario.issues)
                yield from ((key, text) for text in _limit(scenario, seat, about[0], clause))
            if len(about) == 1:
                name = about[0]
                for text in (*_direction(scenario, seat, name, clause), *_importance(scenario, seat, name, clause)):
                    yield key, text
            yield from ((key, text) for text in _wishes(scenario, seat, clause))


def _clauses(text: str) -> Iterator[str]:
    """The clauses of a text, in small letters, each in one line."""
    flat = " ".join(text.split()).lower().replace("’", "'")
    return (clause for clause in re.split(r"(?<=[.!?])\s+|[;:]\s+|,\s+(?:but|and|so|yet|while)\s+", flat) if clause)


def _mentions(clause: str, name: str, issue: Issue) -> bool:
    if issue.title and issue.title.lower() in clause:
        return True
    words = [word for word in name.split("_") if len(word) > 2]
    return bool(words) and all(re.search(rf"\b{re.escape(word.removesuffix('s'))}", clause) for word in words)


# -- against the utilities -------------------------------------------------------------------------------------


def _slope(scenario: Scenario, seat: Seat, name: str) -> int:
    """Whether a role wants more (1) or less (-1) of a range; 0 if neither, or if it is no range."""
    values = scenario.roles[seat].values[name]
    if scenario.issues[name].range is None or not scenario.roles[seat].weights[name]:
        return 0
    worth = [values[number] for number in sorted(values, key=int)]
    if worth == sorted(worth) and worth[0] < worth[-1]:
        return 1
    return -1 if worth == sorted(worth, reverse=True) and worth[0] > worth[-1] else 0


def _direction(scenario: Scenario, seat: Seat, name: str, clause: str) -> Iterator[str]:
    up, down, slope = bool(_UP.search(clause)), bool(_DOWN.search(clause)), _slope(scenario, seat, name)
    if up == down or not slope or _NOT.search(clause):
        return
    title = scenario.issues[name].title.lower()
    if scenario.roles[other(seat)].name.lower() in title:
        slope = -slope  # what the other side gets is counted: more for oneself is less of it
    if up != (slope > 0):
        wanted, worth = ("more", "less") if up else ("less", "more")
        yield f"it wants {wanted} of '{name}' (“{clause}”), but by the values {worth} is better for this role"


def _importance(scenario: Scenario, seat: Seat, name: str, clause: str) -> Iterator[str]:
    weights = scenario.roles[seat].weights
    if len(weights) < 2:
        return
    top = max(weights, key=lambda issue: weights[issue])
    if _LAST.search(clause):
        if weights[name] * len(weights) > 1 + 1e-9:
            yield f"it says that '{name}' counts little (“{clause}”), but its weight is {weights[name]:g}"
    elif _FIRST.search(clause) and not _NOT.search(clause) and weights[name] < weights[top]:
        yield (
            f"it says that '{name}' matters most (“{clause}”), but '{top}' has a larger weight "
            f"({weights[top]:g} against {weights[name]:g})"
        )


def _wishes(scenario: Scenario, seat: Seat, clause: str) -> Iterator[str]:
    for name, issue in scenario.issues.items():
        named = [option for option in issue.options or () if re.search(rf"\b{re.escape(option.lower())}\b", clause)]
        if len(named) != 1:
            continue
        values, rest = scenario.roles[seat].values[name], clause.replace(named[0].lower(), "")
        worth, worst, best = values[named[0]], min(values.values()), max(values.values())
        if _SHUNS.search(clause) and worth == best > worst:
            yield f"it does not want '{named[0]}' (“{clause}”), but of '{name}' that is worth most to this role"
        elif _WANTS.search(clause) and not _NOT.search(rest) and worth == worst < best:
            yield f"it wants '{named[0]}' (“{clause}”), but of '{name}' that is worth least to this role"


def _limit(scenario: Scenario, seat: Seat, name: str, clause: str) -> Iterator[str]:
    """A limit that is told must be where the reservation value is reached, in a scenario of one issue."""
    issue, slope = scenario.issues[name], _slope(scenario, seat, name)
    for found in _LIMIT.finditer(clause):
        number = _whole(found["number"])
        if not slope or not issue.allows(number):
            continue
        if (found["least"] is not None) != (slope > 0):
            yield f"it sets a limit on the wrong side (“{found[0]}”): by the values this role wants to go beyond it"
            continue
        reservation, worth = scenario.roles[seat].reservation, scenario.utility(seat, {name: number})
        assert issue.range is not None
        worse = number - slope * issue.range.step
        if worth < reservation:
            yield f"it allows {issue.show(number)}, worth {worth:g}: less than the reservation value {reservation:g}"
        elif issue.allows(worse) and scenario.utility(seat, {name: worse}) >= reservation:
            yield f"it stops at {issue.show(number)}, but {issue.show(worse)} reaches the reservation value, too"


# -- what could be copied --------------------------------------------------------------------------------------


def _anchors(scenario: Scenario, key: str, text: str) -> Found:
    """Numbers and examples that a model may take for an offer."""
    flat = " ".join(text.split())
    if _JSON.search(flat):
        yield key, "it has something like JSON in it, which a model may copy as its reply; say it in words"
    ends = {end for issue in scenario.issues.values() if issue.range for end in (issue.range.min, issue.range.max)}
    for number in dict.fromkeys(_whole(digits) for digits in _NUMBER.findall(flat)):
        for name, issue in scenario.issues.items():
            if issue.range and issue.allows(number) and number not in ends:
                yield key, f"the number {number:,} is a possible offer for '{name}' and anchors it; leave it out"
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", flat):
        if _EXAMPLE.search(sentence.lower()):
            for name, issue in scenario.issues.items():
                named = [
                    it for it in issue.options or () if re.search(rf"\b{re.escape(it)}\b", sentence, re.IGNORECASE)
                ]
                named += [it for it in _NUMBER.findall(sentence) if issue.range and issue.allows(_whole(it))]
                if named:
                    yield key, f"the example “{named[0]}” is a possible offer for '{name}' and anchors it; leave it out"


def _whole(digits: str) -> int:
    return int(re.sub("[^0-9]", "", digits)[:15])
