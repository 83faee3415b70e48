"""How a model's reply is read: strictly.

A reply is one JSON object with the keys thought, action, offer and message, in any order. Nothing is ever guessed: a
reply that is not exactly that has no action and no offer.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from manager.config.strict_yaml import shown
from negotiation.game.protocol import Action, State
from negotiation.scenario.model import Offer, Scenario

KEYS = ("thought", "action", "offer", "message")
MAX_REPLY = 20_000
THINK, THOUGHT = "<think>", "</think>"
"""Around what a reasoning model thinks before it replies."""
Kind = Literal["empty", "not_json", "wrong_shape", "off_menu", "illegal_action"]


@dataclass(frozen=True)
class Reply:
    """A reply that was read. `kind` says what is wrong with it, `detail` says it to the model; both None if valid."""

    action: Action | None = None
    offer: Offer | None = None
    message: str = ""
    thought: str = ""
    kind: Kind | None = None
    detail: str = ""


def read_reply(text: str, state: State) -> Reply:
    """Read a reply strictly; legal is what the protocol allows in `state`."""
    if not text.strip():
        return _invalid("empty", "The reply was empty.")
    if len(text) > MAX_REPLY:
        return _invalid("not_json", f"The reply was longer than {MAX_REPLY} characters.")
    doubled: list[str] = []
    try:
        data = json.loads(
            text, object_pairs_hook=partial(_object_of, doubled), parse_constant=_refuse_constant, parse_int=_whole
        )
    except (ValueError, RecursionError):
        return _invalid("not_json", "The reply was not exactly one JSON object.")
    if doubled:
        return _invalid("wrong_shape", f"The key {shown(doubled[0], 60)} stands in the reply twice.")
    if not isinstance(data, dict) or set(data) != set(KEYS):
        return _invalid("wrong_shape", f"The reply must have exactly the keys {', '.join(KEYS)}.")
    if not isinstance(data["thought"], str) or not isinstance(data["message"], str):
        return _invalid("wrong_shape", "thought and message must be texts.")
    if not isinstance(data["action"], str):
        return _invalid("wrong_shape", "The action must be a text.")
    if data["action"] not in set(Action):
        return _invalid("illegal_action", 'The action must be "offer", "accept" or "walk_away".')
    action = Action(data["action"])
    offer = data["offer"]
    if action is Action.OFFER:
        if detail := _misshapen(offer, state.scenario):
            return _invalid("wrong_shape", detail)
        if problem := state.scenario.problem(offer):
            return _invalid("off_menu", f"The offer is not possible: {problem}.")
    elif offer is not None:
        return _invalid("wrong_shape", f'With the action "{action}" the offer must be null.')
    if action not in state.legal:
        return _invalid("illegal_action", "There is no offer from the other side that you could accept.")
    return Reply(action, offer, clean(data["message"]), clean(data["thought"]))


def split_thinking(text: str) -> tuple[str, str]:
    """What a reasoning model thought before its reply, and the reply.

    Thinking goes from the beginning to the first `</think>`; some chat templates write the `<think>` themselves. A text
    that begins with `<think>` and never ends it is all thinking and has no reply.
    """
    begun = text.lstrip()
    if begun.startswith("{") or (THOUGHT not in text and not begun.startswith(THINK)):
        return "", text
    thinking, _, reply = text.partition(THOUGHT)
    return thinking.lstrip().removeprefix(THINK).strip(), reply


def _misshapen(offer: object, scenario: Scenario) -> str | None:
    """What is wrong with the form of an offer, whatever its values."""
    if not isinstance(offer, dict) or set(offer) != set(scenario.issues):
        return f"With the action offer, the offer must have exactly the keys {', '.join(scenario.issues)}."
    for name, issue in scenario.issues.items():
        wanted = str if issue.options is not None else int
        if type(offer[name]) is not wanted:
            return f"In the offer, {name} must be a {'text' if wanted is str else 'whole number without quotes'}."
    return None


def clean(text: str) -> str:
    """A text that every database and page can hold: no control characters, no halves of characters."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(c for c in whole if c in "\n\t" or unicodedata.category(c) != "Cc")


def _invalid(kind: Kind, detail: str) -> Reply:
    return Reply(kind=kind, detail=detail)


def _object_of(doubled: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with its keys; those that stand in it twice are added to `doubled`."""
    doubled += [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return dict(pairs)


def _whole(digits: str) -> int:
    """A whole number, cut where Python would refuse it: beyond that length none is possible anyway."""
    return int(digits[:400])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# -- while it is being written ---------------------------------------------------------------------------------

_FIELD = re.compile(r'"(thought|message)"\s*:\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')
"""A field from its name to its end, or to the last escape that is complete."""
_HALF = re.compile(r"[\ud800-\udbff]\Z")
"""The first half of a character beyond 16 bits, the second not being written yet."""


def glimpse(text: str) -> dict[str, str]:
    """The thought and message as far as they are written, for display only; never read an action from this."""
    found: dict[str, str] = {}
    if text.startswith(THINK):
        thinking, text = split_thinking(text)
        found = {"thought": clean(_HALF.sub("", thinking))} if thinking else {}
    for name, body in _FIELD.findall(text):
        try:
            written = json.loads(f'"{body}"', strict=False)
        except ValueError:  # an escape that JSON does not have
            written = body
        found.setdefault(name, clean(_HALF.sub("", written)))
    return found
