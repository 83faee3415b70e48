"""Find which issues, and which of their values, a text names in a scenario's own words.

An issue is found by the words of its name and title; a number by its unit, by words beside it, or because it is
possible for one issue only. Texts are in plain form (words.py). What the words leave open is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from negotiation.replies.words import plain, word_set
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import Scenario, Seat

_STOP = word_set(
    """
    a all an and anybody are at backs be both by closed company day days deal down each everybody falls first for from
    goes half happens house hundred if in into is it keep kept kilograms last late little may minimum month months names
    new nobody none not nothing of off offer on once one only open or order other others out per person place rights
    safe second settled side sides speaks stay stays the to together turn two until up week welcome what when where
    which who with within word work works year yearly years
    """
)
"""Words too common to stand for an issue or an option by themselves."""
_UNITS = {
    "€": ("euro", "euros", "eur", "€"),
    "$": ("dollar", "dollars", "usd", "$"),
    "£": ("pound", "pounds", "gbp", "£"),
    "percent": ("percent", "%", "percentage"),
}
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
    r"\b(all|every|no|none|both|half|the|a)(?: of)?(?: the| your| my| our)?(?: \d+)?(?: packs? of)? (\w+(?: \w+)?)"
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


class Vocabulary:
    """The words of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        roles = {word for role in scenario.roles.values() for word in _words(role.name)}
        names = {name: set(name.split("_")) - (_STOP if "_" in name else set()) for name in scenario.issues}
        titles = {name: set(_words(issue.title)) - _STOP - roles for name, issue in scenario.issues.items()}
        named = {_stem(word): name for name, words in names.items() for word in words}
        often = Counter(_stem(word) for words in titles.values() for word in words)
        self._keys = {
            name: names[name] | {w for w in titles[name] if named.get(_stem(w), name) == name and often[_stem(w)] == 1}
            for name in scenario.issues
        }
        units = {word for issue in scenario.issues.values() for word in _words(issue.unit)} | {"year", "month", "day"}
        keys = {key for words in self._keys.values() for key in words}
        self.nouns = frozenset(form for word in keys | units for form in (word, word.removesuffix("s")))
        self._units = {word for issue in scenario.issues.values() for word in issue.unit.split()} - _FUNCTION
        self._numeric = [name for name, issue in scenario.issues.items() if issue.range is not None]
        self._forms = self._option_forms(roles | keys)

    def issues_in(self, text: str) -> list[str]:
        """Return the issues that a text names, by their own words or by an option, in order and each once."""
        found = [(at, name) for at, word in _placed(text) for name in self._keys if self._is_key(name, word)]
        found += [(mention.start, mention.issue) for mention in self.options_in(text)]
        return list(dict.fromkeys(name for _, name in sorted(found)))

    def values_in(self, text: str, seat: Seat, share_of: Seat | None = None) -> list[Mention]:
        """Return the values that a text names, in order.

        Args:
            text: The text.
            seat: Who wrote it.
            share_of: Whose share of something divided a number is if the text does not say; None if it may be either's.
        """
        found = self.options_in(text) + list(self._amounts(text, seat, share_of))
        taken = [(mention.start, mention.end) for mention in found]
        for match in _NUMBER.finditer(text):
            if not any(start <= match.start() < end for start, end in taken):
                found += [mention] if (mention := self._number(text, match, seat, share_of)) else []
        return sorted(found, key=lambda mention: mention.start)

    def options_in(self, text: str) -> list[Mention]:
        """Return the options that a text names, in order."""
        found: list[Mention] = []
        for form, places in self._forms.items():
            for match in re.finditer(rf"(?<![\w-])(?:{form})(?![\w-])", text):
                if any(match.start() < other.end and other.start < match.end() for other in found):
                    continue
                clear = [(name, option) for name, option, vague in places if not vague]
                named = clear[:1] or [place[:2] for place in places if place[0] == self._near(text, match, places)]
                found += [Mention(name, self._same(name, o), match.start(), match.end()) for name, o in named]
        return sorted(found, key=lambda mention: mention.start)

    # -- options -----------------------------------------------------------------------------------------------

    def _option_forms(self, used: set[str]) -> dict[str, list[tuple[str, str, bool]]]:
        """Return the patterns of all options, longest first, with issue, option, and whether it is too vague alone."""
        listed = [(name, option) for name, issue in self.scenario.issues.items() for option in issue.options or ()]
        prose = " ".join([self.scenario.story, *(role.briefing for role in self.scenario.roles.values())]).lower()
        words_of = {option: _words(plain(option, self.nouns)) for _, option in listed}
        often = Counter(word for _, option in listed for word in set(words_of[option]))
        forms: defaultdict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        for name, option in listed:
            words = words_of[option]
            telling = {word for word in words if often[word] == 1 and len(word) > 3 and word not in _STOP | used}
            telling |= {word for word in words if often[word] == 1 and word.isdigit()}
            forms[re.escape(plain(option, self.nouns))].append((name, option, not telling and not words[0].isdigit()))
            two, starts = words[:2], [other[:2] for one, other in words_of.items() if one != option]
            if len(words) > 2 and two not in starts and (telling & set(two) or not _STOP & set(two)):
                forms[re.escape(" ".join(two))].append((name, option, not telling & set(two)))
            if len(words) > 1:
                for word in telling - set(_words(prose)):
                    forms[rf"(?:the|an?|your|our|my) {word}"].append((name, option, False))
        return dict(sorted(forms.items(), key=lambda form: -len(form[0])))

    def _near(self, text: str, match: re.Match[str], places: list[tuple[str, str, bool]]) -> str | None:
        """Return the issue that a vague option belongs to: the one that is named last before it, or right behind it."""
        reach = 12 if len(match[0]) <= 3 else 40
        names = dict.fromkeys(name for name, _, _ in places)
        before = text[max(0, match.start() - reach) : match.start()]
        behind = re.split(r"[,;:]", text[match.end() : _clause(text, match.start())[1]])[0]
        for _, word in [*reversed(_placed(before)), *(_placed(behind) if len(match[0]) > 3 else [])]:
            if found := [name for name in names if self._is_key(name, word)]:
                return found[0]
        return None

    def _same(self, name: str, option: str) -> frozenset[Value]:
        """Return an option with the one that says the same of the other side's share, as 40 and 60 percent do."""
        shares = {
            int(share[1]): other for other in self.scenario.issues[name].options or () if (share := _SHARE.match(other))
        }
        given = _SHARE.match(option)
        return frozenset([option, shares.get(100 - int(given[1]), option)]) if given else frozenset([option])

    # -- numbers -----------------------------------------------------------------------------------------------

    def _number(self, text: str, match: re.Match[str], seat: Seat, share_of: Seat | None) -> Mention | None:
        """Return what a number means, None if that is unclear or if it is the total of what is divided."""
        said = float(match[2])
        if said != int(said) or _TOTAL.search(text[: match.start()]):
            return None
        start, _ = _clause(text, match.start())
        rest = re.sub(r"^ of (?:the |your |our |those |all )?(?:\d+ )?", " ", text[match.end() :])
        following = _AFTER.match(rest)
        unit = following[1] if following else ""
        before = _words(re.split(r"[,(]", text[start : match.start()])[-1])[-4:]
        after = _words(re.split(r"[,;:()]", rest)[0])[:3]
        owner = whose(text, match.start(), match.end(), seat) or share_of
        scores: dict[str, float] = {}
        for name in self._numeric:
            issue = self.scenario.issues[name]
            fits = bool(self._meant(issue, said, owner))
            score = self._score(name, match[1], unit, before, after) + fits
            only = len(self._numeric) == 1 and self._may_be_bare(match[1], unit)
            score += only and score >= 1
            if score > 0 and (fits or (score >= 2 and " " not in issue.unit)):
                scores[name] = score
        best = [name for name, score in scores.items() if score == max(scores.values())]
        if len(best) != 1:
            return None
        alone = len(scores) == 1 and said >= _LARGE and self._may_be_bare(match[1], unit)
        if scores[best[0]] < (1 if alone else 2):
            return None
        values = self._meant(self.scenario.issues[best[0]], said, owner) or frozenset([int(said)])
        return Mention(best[0], values, match.start(), match.end())

    def _score(self, name: str, sign: str, unit: str, before: list[str], after: list[str]) -> float:
        """Return how well the words around a number fit an issue; very low if they name another unit."""
        issue = self.scenario.issues[name]
        own = {word for part in issue.unit.split() for word in _UNITS.get(part, (part, part.removesuffix("s")))}
        money = {word for symbol in "€$£" for word in _UNITS[symbol]}
        score = 0.0
        if unit in self._units and unit not in own:
            return -9.0
        if sign or unit in money:
            if sign not in own and unit not in own:
                return -9.0
            score += 2
        elif unit in ("%", "percent"):
            if "percent" not in own:
                return -9.0
            score += 2
        elif unit and (unit in own or unit.removesuffix("s") in own):
            score += 1.5
        keyed = [place for place, word in enumerate(after) if self._is_key(name, word)]
        behind = [place for place, word in enumerate(reversed(before)) if self._is_key(name, word)]
        if keyed or behind:
            return score + 2 - 0.1 * min([*keyed, *(place + 0.5 for place in behind)])
        return score if score or not unit or unit in _FUNCTION else -9.0

    def _may_be_bare(self, sign: str, unit: str) -> bool:
        return bool(sign) or not unit or unit in _FUNCTION or unit in {w for forms in _UNITS.values() for w in forms}

    def _meant(self, issue: Issue, said: float, owner: Seat | None) -> frozenset[Value]:
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

    def _amounts(self, text: str, seat: Seat, share_of: Seat | None) -> Iterator[Mention]:
        """Yield amounts without a number of what is divided, as in "all the water", "no firewood" and "the ball"."""
        for match in _AMOUNT.finditer(text):
            for name in self._numeric:
                issue = self.scenario.issues[name]
                if not issue.split or not any(self._is_key(name, word) for word in match[2].split()):
                    continue
                owner = whose(text, match.start(), match.end(), seat) or share_of
                amount = self._amount(match[1], issue.choices[-1], owner)
                values = None if amount is None else self._meant(issue, amount, owner)
                if values:
                    yield Mention(name, values, match.start(), match.end())

    def _amount(self, word: str, most: Value, owner: Seat | None) -> float | None:
        assert isinstance(most, int)
        if word in ("the", "a"):
            return 1 if most == 1 and owner is not None else None
        return {"all": most, "every": most, "both": 2 if most == 2 else None, "half": most / 2}.get(word, 0)

    def _is_key(self, name: str, word: str) -> bool:
        return any(_alike(key, word) for key in self._keys[name])


def whose(text: str, start: int, end: int, seat: Seat) -> Seat | None:
    """Return the seat whose share a number is: by "for you" behind it, or by the last "I get" before it."""
    first, last = _clause(text, start)
    behind = _BEHIND.search(re.split(r"[,;]|\d", text[end:last])[0])
    before = list(_BEFORE.finditer(text, first, start))
    found = behind or (before[-1] if before else None)
    if found is None:
        return None
    return seat if found["own"] else "b" if seat == "a" else "a"


_SHARE = re.compile(r"(\d+) percent")


def _clause(text: str, at: int) -> tuple[int, int]:
    """Return where the clause around a place begins and ends: from one of ; : and the like to the next."""
    marks = [match.end() for match in re.finditer(r"[;:–—]|\bbut\b|\band (?=i |we |you )", text)]
    return max([0, *(mark for mark in marks if mark <= at)]), min([len(text), *(mark for mark in marks if mark > at)])


def _placed(text: str) -> list[tuple[int, str]]:
    return [(match.start(), match[0]) for match in re.finditer(r"[\w-]+", text)]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def _alike(key: str, word: str) -> bool:
    """Return whether a word is a form of a key, as "shipped" is of "shipping"."""
    if _stem(key) == _stem(word):
        return (key, word) != ("term", "terms")
    return len(key) > 5 and word.startswith(key[: len(key) - 3])


def _stem(word: str) -> str:
    """Return a word without its ending: "payment", "paying" and "pays" are "pay"."""
    for ending in ("ments", "ment", "ings", "ing", "ies", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word
