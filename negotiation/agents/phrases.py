"""Sentences from templates, none of which is said again. Knows nothing of negotiation.

A template is text with slots and alternatives: "[Still|Once more], {ask}[, {other}|]." makes four sentences for every
value of its slots. Alternatives may be empty, and may contain others.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

BLANK = "_"
LATELY = 16
"""Number of messages that count as said lately."""
_TOKEN = re.compile(r"\{[a-z“”]+\}|[\[|\]]|[^\[|\]{}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


@dataclass(frozen=True)
class Slot:
    """A place for a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that was made from a template; `bones` has blanks where the slots were."""

    text: str
    bones: str


Part: TypeAlias = "str | Slot | tuple[Template, ...]"
"""Text, a slot, or alternatives."""


@dataclass(frozen=True)
class Template:
    """A text with slots and alternatives."""

    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Return the template that a text describes; raise ValueError if a bracket or a slot is wrong."""
        tokens = _TOKEN.findall(text)
        if "".join(tokens) != text:
            raise ValueError(f"'{text}': write slots as {{name}}")
        tokens.reverse()
        template = _sequence(tokens)
        if tokens:
            raise ValueError(f"'{text}': '{tokens[-1]}' is outside of brackets")
        return template

    @cached_property
    def slots(self) -> frozenset[str]:
        """The names of all slots, those in alternatives included."""
        own = frozenset(part.name for part in self.parts if isinstance(part, Slot))
        return own.union(*(text.slots for part in self.parts if isinstance(part, tuple) for text in part))

    @property
    def varies(self) -> bool:
        """Whether it has alternatives."""
        return any(isinstance(part, tuple) for part in self.parts)

    def fill(self, values: Mapping[str, str], chance: random.Random) -> Draft:
        """Return the text with the values of its slots, and with alternatives chosen by chance."""
        text, bones = [], []
        for part in self.parts:
            if isinstance(part, str):
                said = Draft(part, part)
            elif isinstance(part, Slot):
                said = Draft(values[part.name], BLANK)
            else:
                said = part[int(chance.random() * len(part))].fill(values, chance)
            text.append(said.text)
            bones.append(said.bones)
        return Draft("".join(text), "".join(bones))


def _sequence(tokens: list[str]) -> Template:
    """Take a template off the end of `tokens`, which are in reverse order, up to a bar or a closing bracket."""
    parts: list[Part] = []
    while tokens and tokens[-1] not in ("|", "]"):
        token = tokens.pop()
        if token == "[":
            options = [_sequence(tokens)]
            while tokens and tokens[-1] == "|":
                tokens.pop()
                options.append(_sequence(tokens))
            if not tokens:
                raise ValueError("a ']' is missing")
            tokens.pop()
            parts.append(tuple(options))
        else:
            parts.append(Slot(token[1:-1]) if token.startswith("{") else token)
    return Template(tuple(parts))


@lru_cache(4096)
def sentences(message: str) -> tuple[str, ...]:
    """Return the sentences of a message.

    >>> sentences("No. Not today, at €5.50!")
    ('No.', 'Not today, at €5.50!')
    """
    return tuple(_SENTENCE_END.split(message))


def freshest(drafts: Sequence[Draft], said: Sequence[str]) -> str | None:
    """Return the draft that sounds least like what was said lately; newer messages count more.

    Likeness is the number of sequences of three words of the template's own that occur in a message.

    Args:
        said: All messages so far, the oldest first. No sentence of the draft occurs in them.

    Returns:
        The draft's text, the first one among equals; None if all of them repeat a sentence.
    """
    known = frozenset[str]().union(*map(sentences, said))
    new = [draft for draft in drafts if known.isdisjoint(sentences(draft.text))]
    lately = [(weight, _triples(message)) for weight, message in enumerate(said[-LATELY:], 1)]

    def likeness(draft: Draft) -> int:
        words = _triples(draft.bones)
        return sum(weight * len(words & message) for weight, message in lately)

    return min(new, key=likeness).text if new else None


@lru_cache(4096)
def _triples(message: str) -> frozenset[tuple[str, ...]]:
    words = message.casefold().split()
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def in_words(number: int) -> str:
    """Return a number from 0 to 19,999 in words.

    >>> in_words(412)
    'four hundred and twelve'
    """
    small, tens = _SMALL.split(), _TENS.split()
    if number >= 1000:
        rest = number % 1000
        link = " and " if 0 < rest < 100 else " "
        return f"{small[number // 1000]} thousand" + (link + in_words(rest) if rest else "")
    if number >= 100:
        return f"{small[number // 100]} hundred" + (f" and {in_words(number % 100)}" if number % 100 else "")
    if number >= 20:
        return tens[number // 10 - 2] + (f"-{small[number % 10]}" if number % 10 else "")
    return small[number]
