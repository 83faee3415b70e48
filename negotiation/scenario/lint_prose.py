"""Find contradictions between a scenario's texts and its numbers, and text that a model could copy as an offer.

The checks know a few turns of phrase in plain English and stay silent when unsure: a clause is about an issue if it
contains the name or title of that issue only, and it is skipped if it speaks of the other role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from negotiation.scenario.issue import Issue
from negotiation.scenario.model import SEATS, Scenario, Seat, other

_UP = re.compile(
    r"\bas (?:high|much|many|long|late|large|big)(?: a \w+)? as (?:you can|possible)|\bmaximi[sz]e|"
    r"\b(?:highest|largest|longest|latest) possible|\bthe (?:higher|more|longer|later|larger)\b.{0,30}\bthe better"
)
_DOWN = re.compile(
    r"\bas (?:low|little|few|short|early|small|cheap|cheaply)(?: a \w+)? as (?:you can|possible)|\bminimi[sz]e|"
    r"\b(?:lowest|smallest|shortest|earliest|cheapest) possible|"
    r"\bthe (?:lower|less|fewer|shorter|earlier|smaller|cheaper)\b.{0,30}\bthe better"
)
_FIRST = re.compile(r"\bmatters? (?:the )?most\b|\bmost important\b|\bcares? (?:the )?most\b")
_LAST = re.compile(
    r"\b(?:does|do) not (?:really )?(?:matter|care)|\b(?:doesn't|don't) (?:really )?(?:matter|care)|\bunimportant\b|"
    r"\bnot important\b|\bhardly matters?\b|\bmatters? (?:the )?least\b|\bleast important\b"
)
_NOT = re.compile(r"\b(?:not|never|no|cannot|nothing|without|rather than|avoid|refuse|hate)\b|n't\b")
_DIGITS = r"(?:[0-9]{1,3}(?:[,.  ][0-9]{3})+|[0-9]+)"
_NUMBER = re.compile(rf"(?<![\w.,]){_DIGITS}(?![\w]|[.,][0-9])")
_EXAMPLE = re.compile(r"\bfor (?:example|instance)\b|\be\.g\.|\bsuch as\b|\bsay,")
_JSON = re.compile(r"\{\s*[\"']|[\"']\w+[\"']\s*:")

Found = Iterator[tuple[str, str]]


def text_findings(scenario: Scenario) -> Found:
    """Yield the key and the message of every problem in the story and the briefings."""
    yield from _anchors(scenario, "story", scenario.story)
    for seat in SEATS:
        key = f"roles.{seat}.briefing"
        yield from _anchors(scenario, key, scenario.roles[seat].briefing)
        for clause in _clauses(scenario.roles[seat].briefing):
            about = [name for name, issue in scenario.issues.items() if _mentions(clause, name, issue)]
            if len(scenario.issues) == 1:
                about = list(scenario.issues)
            if len(about) == 1 and scenario.roles[other(seat)].name.lower() not in clause:
                yield from ((key, text) for text in _direction(scenario, seat, about[0], clause))
                yield from ((key, text) for text in _importance(scenario, seat, about[0], clause))


def _clauses(text: str) -> Iterator[str]:
    """Yield the clauses of a text, in lower case, each on one line."""
    flat = " ".join(text.split()).lower().replace("’", "'")
    return (clause for clause in re.split(r"(?<=[.!?])\s+|[;:]\s+|,\s+(?:but|and|so|yet|while)\s+", flat) if clause)


def _mentions(clause: str, name: str, issue: Issue) -> bool:
    if issue.title and issue.title.lower() in clause:
        return True
    words = [word for word in name.split("_") if len(word) > 2]
    return bool(words) and all(re.search(rf"\b{re.escape(word.removesuffix('s'))}", clause) for word in words)


# -- contradictions of the utilities ---------------------------------------------------------------------------


def _slope(scenario: Scenario, seat: Seat, name: str) -> int:
    """Return 1 if a role wants more of a range, -1 if it wants less; 0 if neither, or if it is not a range."""
    values = scenario.roles[seat].values[name]
    if scenario.issues[name].range is None or not scenario.roles[seat].weights[name]:
        return 0
    worth = [values[number] for number in sorted(values, key=int)]
    if worth == sorted(worth) and worth[0] < worth[-1]:
        return 1
    return -1 if worth == sorted(worth, reverse=True) and worth[0] > worth[-1] else 0


def _direction(scenario: Scenario, seat: Seat, name: str, clause: str) -> Iterator[str]:
    up, down, slope = bool(_UP.search(clause)), bool(_DOWN.search(clause)), _slope(scenario, seat, name)
    # An issue that is named after the other role may count what either side gets: too unsure to judge.
    others = scenario.roles[other(seat)].name.lower() in scenario.issues[name].title.lower()
    if up == down or not slope or others or _NOT.search(clause):
        return
    if up != (slope > 0):
        wanted, better = ("more", "less") if up else ("less", "more")
        yield f"the text asks for {wanted} of '{name}' (“{clause}”), but the values of this role prefer {better}"


def _importance(scenario: Scenario, seat: Seat, name: str, clause: str) -> Iterator[str]:
    weights = scenario.roles[seat].weights
    if len(weights) < 2:
        return
    top = max(weights, key=lambda issue: weights[issue])
    if _LAST.search(clause):
        if weights[name] * len(weights) > 1 + 1e-9:
            yield f"the text says that '{name}' matters little (“{clause}”), but its weight is {weights[name]:g}"
    elif _FIRST.search(clause) and not _NOT.search(clause) and weights[name] < weights[top]:
        yield (
            f"the text says that '{name}' matters most (“{clause}”), but '{top}' has a larger weight "
            f"({weights[top]:g} against {weights[name]:g})"
        )


# -- what a model could copy -----------------------------------------------------------------------------------


def _anchors(scenario: Scenario, key: str, text: str) -> Found:
    """Yield numbers and examples that a model may take for an offer."""
    flat = " ".join(text.split())
    if _JSON.search(flat):
        yield key, "it contains something like JSON, which a model may copy as its reply; say it in words"
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
