"""The texts of drawn scenarios: words that vary, and sentences about what matters to a role."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from negotiation.families.draws import Draws

Parts = Mapping[str, str | int]
Alternatives = Annotated[
    tuple[str | dict[str, str | int], ...],
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    Field(min_length=1, max_length=200),
]
Words = dict[str, Alternatives]
"""Alternatives for each word: texts, or several forms of a text by name (as in {a: a piano, the: the piano})."""

_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
CLOSE, APART = 0.05, 0.1
"""The first two weights are called equal below the first difference, and all of them below the second."""


def check_words(key: str, text: str, words: Words) -> None:
    """Raise ValueError if a text uses a word, or a form of it, that is not given in all alternatives."""
    for name, part in _SLOT.findall(text):
        alternatives = words.get(name[0].lower() + name[1:])
        if alternatives is None:
            raise ValueError(f"{key}: '{{{name}}}' is not one of the words ({', '.join(words) or 'none are given'})")
        if not all(_form(each, part) is not None for each in alternatives):
            raise ValueError(f"{key}: '{{{name}{f'.{part}' if part else ''}}}' is missing in some alternatives")


def check_numbers(key: str, text: str, words: Words) -> None:
    """Raise ValueError if a text is not a whole number from 10 up with every alternative of its word."""
    slot = _SLOT.fullmatch(text)
    given = [text] if slot is None else [str(_form(each, slot[2] or "")) for each in words[slot[1]]]
    if wrong := [each for each in given if not re.fullmatch("[1-9][0-9]{1,8}", each)]:
        raise ValueError(f"{key}: '{wrong[0]}' is not a whole number from 10 to 999,999,999")


def filled(text: str, words: Mapping[str, str | Parts]) -> str:
    """Return a text with its words; `{Word}` begins with a capital letter.

    >>> filled("{Who} sells {thing.a}.", {"who": "a baker", "thing": {"a": "an oven", "the": "the oven"}})
    'A baker sells an oven.'
    """

    def fill(found: re.Match[str]) -> str:
        name, part = found[1], found[2] or ""
        word = str(_form(words[name[0].lower() + name[1:]], part))
        return capital(word) if name[0].isupper() else word

    return _SLOT.sub(fill, text)


def capital(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Return names as a list inside a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def priorities(draws: Draws, weights: Mapping[str, float]) -> str:
    """Return a sentence that says which issues matter to a role and how much, true to the weights.

    Args:
        draws: Chooses the wording.
        weights: By the names of issues inside a sentence.
    """
    ranked = sorted(weights, key=lambda name: -weights[name])
    if len(ranked) < 2:
        return ""
    first, second, *_, last = (*ranked, ranked[-1])
    if weights[first] - weights[last] < APART:
        return f"You care about {listed(ranked)} to much the same degree."
    if len(ranked) == 2:
        return draws.pick([f"You care more about {first} than about {last}.", f"Put {first} before {last}."])
    if weights[first] - weights[second] < CLOSE:
        return f"You care most about {first} and {second}, and least about {last}."
    return draws.pick(
        [
            f"You care most about {first}, then about {second}, and least about {last}.",
            f"If you must choose, put {first} first and {second} second, and give way on {last}.",
            f"Hold on to {first} above all, then to {second}; you can give way most easily on {last}.",
        ]
    )


def _form(word: str | Parts, part: str) -> str | int | None:
    """Return a form of a word; None if it has none of this name."""
    if isinstance(word, str):
        return None if part else word
    return word.get(part)
