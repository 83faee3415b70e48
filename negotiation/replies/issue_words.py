"""The words by which a scenario's issues are named, and the clauses of a text."""

from __future__ import annotations

import re
from collections import Counter

from negotiation.replies.words import word_set
from negotiation.scenario.model import Scenario

COMMON = word_set(
    """
    a all an and anybody are at backs be both by closed company day days deal down each everybody falls first for from
    goes half happens house hundred if in into is it keep kept kilograms last late little may minimum month months names
    new nobody none not nothing of off offer on once one only open or order other others out per person place rights
    safe second settled side sides speaks stay stays the to together turn two until up week welcome what when where
    which who with within word work works year yearly years
    """
)
"""Words too common to stand for an issue or an option by themselves."""


class IssueWords:
    """The words of a scenario's issues: those of their names, and those that only one of their titles has.

    `nouns` are all that may be counted in it, for `words.plain`.
    """

    def __init__(self, scenario: Scenario) -> None:
        roles = {word for role in scenario.roles.values() for word in tokens(role.name)}
        names = {name: set(name.split("_")) - (COMMON if "_" in name else set()) for name in scenario.issues}
        titles = {name: set(tokens(issue.title)) - COMMON - roles for name, issue in scenario.issues.items()}
        named = {_stem(word): name for name, words in names.items() for word in words}
        often = Counter(_stem(word) for words in titles.values() for word in words)
        self._keys = {
            name: names[name] | {w for w in titles[name] if named.get(_stem(w), name) == name and often[_stem(w)] == 1}
            for name in scenario.issues
        }
        keys = {key for words in self._keys.values() for key in words}
        units = {word for issue in scenario.issues.values() for word in tokens(issue.unit)} | {"year", "month", "day"}
        self.used = roles | keys
        self.nouns = frozenset(form for word in keys | units for form in (word, word.removesuffix("s")))

    def names(self, issue: str, word: str) -> bool:
        """Return whether a word names an issue."""
        return any(_alike(key, word) for key in self._keys[issue])

    def named_in(self, text: str) -> list[tuple[int, str]]:
        """Return the issues whose words are in a text, with their places."""
        return [(at, issue) for at, word in placed(text) for issue in self._keys if self.names(issue, word)]


def clause(text: str, at: int) -> tuple[int, int]:
    """Return where the clause around a place begins and ends: from one of ; : and the like to the next."""
    marks = [match.end() for match in re.finditer(r"[;:–—]|\bbut\b|\band (?=i |we |you )", text)]
    return max([0, *(mark for mark in marks if mark <= at)]), min([len(text), *(mark for mark in marks if mark > at)])


def placed(text: str) -> list[tuple[int, str]]:
    """Return the words of a text with their places."""
    return [(match.start(), match[0]) for match in re.finditer(r"[\w-]+", text)]


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case."""
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
