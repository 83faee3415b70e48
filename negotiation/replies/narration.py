"""Messages for a decided move: words, with no numbers but the move's own.

A message contains digits only as part of phrases made from the offer, and English number words only if the offer
contains them. One pattern serves both the grammar under which a message is generated and the reader that checks it.
Option names, "one" and number words of other languages are not checked.
"""

from __future__ import annotations

import json
import re

from negotiation.game.protocol import Action, GameState
from negotiation.replies.grammar import literal
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import Offer, Scenario

MAX_MESSAGE = 200
"""Maximum length of a message in characters under a grammar."""
MAX_TOKENS = 60
"""Maximum length of a message for a decided move in tokens. Counting characters together with everything else would
need more states than a lexer may have."""
MAX_SPOKEN = 1000
NUMBER_WORDS = (
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands "
    "million millions billion billions dozen dozens half halves third thirds quarter quarters twice thrice double "
    "triple"
)
OPENINGS = ("I offer {} because", "My offer is {} and I hope", "I can do {} so that", "I propose {} since")
"""Used in turn, round by round: after the same words a small model repeats what it said."""
_NO_NUMERAL = (
    r"\d\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2079\u2080-\u2089\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
)
_WORD = rf'[^\s"\\\x00-\x1f\x7f-\x9f{_NO_NUMERAL}]+'
_LETTERS = "A-Za-z"


class Speech:
    """The messages allowed for an offer that is made or accepted or, without one, for walking away."""

    def __init__(self, scenario: Scenario, offer: Offer | None) -> None:
        self._phrases = _phrases(scenario, offer) if offer is not None else []
        options = [value for value in (offer or {}).values() if isinstance(value, str)]
        said = {word for text in options for word in re.findall(f"[{_LETTERS}]+", text.lower())}
        self._words = [word for word in NUMBER_WORDS.split() if word not in said]

    def allows(self, message: str) -> bool:
        """Return whether a message names no other number: words and phrases, with single spaces between them.

        The token limit may cut a message after a space, so it may end in one.
        """
        part = rf"({_WORD}|{self._phrase})" if self._phrases else _WORD
        if len(message) > MAX_SPOKEN or not re.fullmatch(rf"{part}( {part})* ?", message):
            return False
        return not re.search(rf"(?i)(?<![{_LETTERS}])({'|'.join(self._words)})(?![{_LETTERS}])", message)

    def rules(self, opening: str = "") -> list[str]:
        """Return the rules of a Lark grammar; `message` is the message with its quotes and starts with `opening`."""
        phrase = f" | /{self._phrase}/" if self._phrases else ""
        first = json.dumps(f"{opening} " if opening else "", ensure_ascii=False)[:-1]
        return [
            f'message: {literal(first)} spoken "\\""',
            f"spoken[max_tokens={MAX_TOKENS}]: SPOKEN",
            'SPOKEN: PART (" " PART)*',
            f"PART: (/{_WORD}/ & ~NUMBER){phrase}",
            rf"NUMBER: /(\S*[^{_LETTERS}\s])?(?i:{'|'.join(self._words)})([^{_LETTERS}\s]\S*)?/",
        ]

    @property
    def _phrase(self) -> str:
        """A pattern for one phrase, with punctuation around it."""
        phrases = "|".join(re.escape(phrase).replace("/", r"\/") for phrase in self._phrases)
        return rf"\(?({phrases})[.,;:!?)]{{0,2}}"


def opening(state: GameState, action: Action, offer: Offer | None) -> str:
    """Return the first words of a message about a decided move, for models too small to start one themselves."""
    if action is not Action.OFFER or offer is None:
        return "I accept because" if action is Action.ACCEPT else "I leave because"
    (name, value), *others = offer.items()
    alone = not others and not isinstance(value, str)
    said = state.scenario.issues[name].show(value) if alone else "this"
    return OPENINGS[(state.round - 1) % len(OPENINGS)].format(said)


def _phrases(scenario: Scenario, offer: Offer) -> list[str]:
    """Return phrases that state the offer's numbers. A bare number is a phrase only if it is unambiguous."""
    values = {name: issue.show(offer[name]) for name, issue in scenario.issues.items()}
    numeric = [name for name, shown in values.items() if any(character.isdigit() for character in shown)]
    found: list[str] = []
    for name in numeric:
        issue, value = scenario.issues[name], offer[name]
        bare = _forms(issue, value)
        found += [f"{label}{mark}{form}" for label in _labels(name, issue) for mark in (": ", " = ") for form in bare]
        if len(numeric) == 1 or isinstance(value, str):
            found += bare
    return sorted({phrase for phrase in found if not re.search(r'["\\\x00-\x1f\x7f-\x9f]', phrase)})


def _forms(issue: Issue, value: Value) -> list[str]:
    return [str(value), issue.show(value)] if isinstance(value, str) else [str(value), f"{value:,}", issue.show(value)]


def _labels(name: str, issue: Issue) -> list[str]:
    return [name, issue.title] if issue.title else [name]
