"""Find which values of an issue the numbers of a text mean, and the amounts of what is divided.

A number belongs to an issue by its unit, by the issue's words beside it, or because it is possible for that issue only.
Of something divided, offers count role a's share, and texts either side's. What the words leave open is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from negotiation.replies.issue_words import IssueWords, clause, tokens
from negotiation.replies.words import word_set
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import Scenario, Seat, other

_UNITS = {
    "€": ("euro", "euros", "eur", "€"),
    "$": ("dollar", "dollars", "usd", "$"),
    "£": ("pound", "pounds", "gbp", "£"),
    "percent": ("percent", "%", "percentage"),
}
_MONEY = frozenset(word for sign in "€$£" for word in _UNITS[sign])
_NUMBER = re.compile(r"(?<![\w.,])([€$£]?)(\d+(?:\.\d+)?)(?![\d\w.,]*\d)")
_AFTER = re.compile(r" ?([€$£%]|[a-z³/]+(?:-[a-z]+)?)")
_FUNCTION = word_set(
    """
    a again also an and are as at because but by can could each flat for from i if in instead is it just less may me
    more my now of off on only or our per please so than that the then this to today too until us was we were when
    where which while will with within would yet you your
    """
)
"""Words that may follow a number without being what it counts."""
_GIVER = r"(?:give|gives|leave|leaves|leaving|let|grant|allow|hand|get)"
_TAKES = r"(?: \w+)? (?:get|take|keep|want|have|need|receive|hold|ask for)"
_BEFORE = re.compile(
    rf"(?P<own>\b(?:i|we){_TAKES}\b|\b{_GIVER} (?:me|us)\b)|(?P<other>\byou{_TAKES}\b|\b{_GIVER} you\b)"
)
_BEHIND = re.compile(r"(?P<own>\bfor (?:me|us|myself|ourselves)\b|\bmine\b|\bours\b)|(?P<other>\bfor you\b|\byours\b)")
_AMOUNT = re.compile(
    r"\b(all|every|no|none|both|half|the|a)(?: of)?(?: the| your| my| our)?(?: \d+)?(?: \w+ of)? (\w+(?: \w+)?)"
)
_TOTAL = re.compile(r"(?:\d|half|all|each|quarter|third|%|percent)(?: [a-z]+)? of (?:(?:the|all|your|our|those) )*$")
_LARGE = 13
"""Numbers from this one on are rarely mere words, so that a bare one names the only issue that it is possible for."""


@dataclass(frozen=True)
class Mention:
    """A value of an issue in a text: every value of an offer that it may mean, and where it is."""

    issue: str
    values: frozenset[Value]
    start: int
    end: int


class Amounts:
    """Reads the numbers and amounts of texts about a scenario."""

    def __init__(self, scenario: Scenario, words: IssueWords) -> None:
        self._issues = {name: issue for name, issue in scenario.issues.items() if issue.range is not None}
        self._units = {word for issue in scenario.issues.values() for word in issue.unit.split()} - _FUNCTION
        self._words = words

    def numbers_in(self, text: str, seat: Seat, share_of: Seat | None) -> Iterator[Mention]:
        """Yield what the numbers of a text mean, see `Vocabulary.values_in`."""
        for match in _NUMBER.finditer(text):
            mention = self._number(text, match, whose(text, match.start(), match.end(), seat) or share_of)
            if mention is not None:
                yield mention

    def amounts_in(self, text: str, seat: Seat, share_of: Seat | None) -> Iterator[Mention]:
        """Yield amounts without a number of what is divided, as in "all the water", "no firewood" and "the ball"."""
        for match in _AMOUNT.finditer(text):
            for name, issue in self._issues.items():
                if not issue.split or not any(self._words.names(name, word) for word in match[2].split()):
                    continue
                owner = whose(text, match.start(), match.end(), seat) or share_of
                amount = _amount(match[1], issue, owner)
                values = _meant(issue, amount, owner) if amount is not None else None
                if values:
                    yield Mention(name, values, match.start(), match.end())

    def _number(self, text: str, match: re.Match[str], owner: Seat | None) -> Mention | None:
        """Return what a number means, None if that is unclear or if it is the total of what is divided."""
        said = float(match[2])
        if said != int(said) or _TOTAL.search(text[: match.start()]):
            return None
        start, _ = clause(text, match.start())
        rest = re.sub(r"^ of (?:the |your |our |those |all )?(?:\d+ )?", " ", text[match.end() :])
        following = _AFTER.match(rest)
        unit = following[1] if following else ""
        before = tokens(re.split(r"[,(]", text[start : match.start()])[-1])[-4:]
        after = tokens(re.split(r"[,;:()]", rest)[0])[:3]
        bare = bool(match[1]) or not unit or unit in _FUNCTION or any(unit in forms for forms in _UNITS.values())
        scores: dict[str, float] = {}
        for name, issue in self._issues.items():
            fits = bool(_meant(issue, said, owner))
            score = self._score(name, match[1], unit, before, after) + fits
            score += bare and len(self._issues) == 1 and score >= 1
            if score > 0 and (fits or (score >= 2 and " " not in issue.unit)):
                scores[name] = score
        best = [name for name, score in scores.items() if score == max(scores.values())]
        needed = 1 if bare and len(scores) == 1 and said >= _LARGE else 2
        if len(best) != 1 or scores[best[0]] < needed:
            return None
        values = _meant(self._issues[best[0]], said, owner) or frozenset([int(said)])
        return Mention(best[0], values, match.start(), match.end())

    def _score(self, name: str, sign: str, unit: str, before: list[str], after: list[str]) -> float:
        """Return how well the words around a number fit an issue; very low if they name another unit."""
        own = {w for part in self._issues[name].unit.split() for w in _UNITS.get(part, (part, part.removesuffix("s")))}
        fits = sign in own or unit in own or unit.removesuffix("s") in own
        strange = sign or unit in _MONEY or unit in ("%", "percent") or unit in self._units
        if strange and not fits:
            return -9.0
        score = 0.0 if not fits else 2.0 if sign or unit in _MONEY or unit in ("%", "percent") else 1.5
        near: list[float] = [place for place, word in enumerate(after) if self._words.names(name, word)]
        near += [place + 0.5 for place, word in enumerate(reversed(before)) if self._words.names(name, word)]
        if near:
            return score + 2 - 0.1 * min(near)
        return score if score or not unit or unit in _FUNCTION else -9.0


def whose(text: str, start: int, end: int, seat: Seat) -> Seat | None:
    """Return the seat whose share a number is: by "for you" behind it, or by the last "I get" before it."""
    first, last = clause(text, start)
    behind = _BEHIND.search(re.split(r"[,;]|\d", text[end:last])[0])
    before = list(_BEFORE.finditer(text, first, start))
    found = behind or (before[-1] if before else None)
    if found is None:
        return None
    return seat if found["own"] else other(seat)


def _meant(issue: Issue, said: float, owner: Seat | None) -> frozenset[Value]:
    """Return the values of an offer that a number may mean: its own, and for shares the other side's as well."""
    assert issue.range is not None
    scale = 1e3 if issue.unit.startswith("thousand") else 1e6 if issue.unit.startswith("million") else 1.0
    number = said / scale if said >= scale and scale > 1 else said
    if number != int(number) or not issue.range.min <= number <= issue.range.max:
        return frozenset()
    own, rest = int(number), issue.range.max - int(number)
    if issue.split:
        return frozenset([own, rest] if owner is None else [own if owner == "a" else rest])
    if "percent" in issue.unit and issue.range.min <= 100 - own <= issue.range.max:
        return frozenset([own, 100 - own])
    return frozenset([own])


def _amount(word: str, issue: Issue, owner: Seat | None) -> float | None:
    assert issue.range is not None
    most = issue.range.max
    if word in ("the", "a"):
        return 1 if most == 1 and owner is not None else None
    return {"all": most, "every": most, "both": 2 if most == 2 else None, "half": most / 2}.get(word, 0)
