"""A message made comparable: lower case, contractions spelled out, numbers in digits, sentences apart.

It knows nothing of scenarios. Numbers lose their thousands separators, and "17.5k", "18 thousand" and "twelve" become
17500, 18000 and 12, so that one pattern finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST_READ = 1000
"""Characters of a message that are read: more than a grammar allows, and little enough to take no time."""
_SPELLED = (
    ("'", "[\u2018\u2019\u02bc]"),
    (r"cannot", r"\b(?:can't|can not)\b"),
    (r"will not", r"\b(?:won't|wo not)\b"),
    (r"shall not", r"\bshan't\b"),
    (r"\1 not", r"\b(\w+)n't\b"),
    (r"let us", r"\blet's\b"),
    (r"\1 will", r"\b(\w+)'ll\b"),
    (r"\1 are", r"\b(\w+)'re\b"),
    (r"\1 have", r"\b(\w+)'ve\b"),
    (r"i am", r"\bi'm\b"),
    (r"\1 would", r"\b(i|we|you)'d\b"),
    (r"\1 is", r"\b(that|it|what|here|there|he|she)'s\b"),
)
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {
    **{word: number for number, word in enumerate(_UNITS)},
    **{word: 20 + 10 * number for number, word in enumerate(_TENS)},
}
_SCALES = {"k": 1000, "thousand": 1000, "grand": 1000, "million": 1_000_000, "m": 1_000_000, "hundred": 100}
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3})((?:,\d{3})+|(?:[\u00a0\u202f]\d{3})+|(?:\.\d{3})+)(?!\d|[,.]\d)")
_SCALED = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)(?:(k|m)\b| (thousand|grand|million|hundred)\b)")
_WORDED = re.compile(rf"\b(?:({'|'.join(_TENS)})[- ])?({'|'.join(_NUMBERS)})\b(?! (?:of us|another)\b)")
_ENDS = re.compile(r"(?<=[.!?])[\"')]*\s+|\n+")


@dataclass(frozen=True)
class Sentence:
    """A sentence in plain form, and whether it is a question."""

    text: str
    question: bool = False


def sentences(message: str, nouns: Iterable[str] = ()) -> list[Sentence]:
    """Return the sentences of a message in plain form, up to its first `MOST_READ` characters.

    >>> [found.text for found in sentences("I can't go below €17.5k. Not one cent!")]
    ['i cannot go below €17500', 'not one cent']
    """
    found = [(part.rstrip(" \"')"), plain(part, nouns).strip(" .!?…\"'")) for part in _ENDS.split(message[:MOST_READ])]
    return [Sentence(text, part.endswith("?")) for part, text in found if text]


def plain(text: str, nouns: Iterable[str] = ()) -> str:
    """Return a text in plain form; "one" becomes 1 before one of the `nouns` only, as it is a pronoun elsewhere."""
    text = text.lower()
    for spelled, pattern in _SPELLED:
        text = re.sub(pattern, spelled, text)
    text = _GROUPED.sub(lambda found: found[1] + re.sub(r"\D", "", found[2]), text)
    known = frozenset(nouns)
    text = _WORDED.sub(lambda found: _digits(found, text, known), text)
    text = _SCALED.sub(_scaled, text)
    return re.sub(r"\s+", " ", text)


def phrases(text: str) -> re.Pattern[str]:
    """Compile a pattern that is written with one alternative on each line, indented as one likes."""
    return re.compile("|".join(line.strip() for line in text.strip().splitlines()))


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that lists them."""
    return frozenset(text.split())


def shown(value: float) -> str:
    """Return a number as people write it: 17,500 or 0.25."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def _digits(found: re.Match[str], text: str, nouns: frozenset[str]) -> str:
    tens, unit = found[1], _NUMBERS[found[2]]
    if tens:
        return str(_NUMBERS[tens] + unit) if unit < 10 else found[0]
    if unit == 1:
        following = re.match(r"[ -](\w+)", text[found.end() :])
        return "1" if following and following[1] in nouns else found[0]
    return str(unit)


def _scaled(found: re.Match[str]) -> str:
    return f"{float(found[1]) * _SCALES[found[2] or found[3]]:.10g}"
