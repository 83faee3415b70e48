"""Read a model's reply strictly.

A reply is one JSON object with the keys thought, action, offer and message, in any order and with any white space that
JSON allows. Nothing is ever guessed: a reply in any other form has no action and no offer.
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
from manager.generation.reply import THINK, THOUGHT
from negotiation.game.protocol import Action, GameState
from negotiation.scenario.model import Offer, Scenario

KEYS = ("thought", "action", "offer", "message")
MAX_REPLY = 20_000
Kind = Literal["empty", "not_json", "wrong_shape", "off_menu", "illegal_action"]


@dataclass(frozen=True)
class Reply:
    """A reply as read. If it is invalid, `kind` classifies the fault and `detail` explains it to the model."""

    action: Action | None = None
    offer: Offer | None = None
    message: str = ""
    thought: str = ""
    kind: Kind | None = None
    detail: str = ""


def read_reply(text: str, state: GameState) -> Reply:
    """Read a reply; an action is legal if the protocol allows it in `state`."""
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
        fence = " Write it without a code fence." if text.lstrip().startswith("```") else ""
        return _invalid("not_json", f"The reply was not exactly one JSON object.{fence}")
    if doubled:
        return _invalid("wrong_shape", f"The key {shown(doubled[0], 60)} appears twice in the reply.")
    if not isinstance(data, dict) or set(data) != set(KEYS):
        return _invalid("wrong_shape", f"The reply must have exactly the keys {', '.join(KEYS)}.")
    if not isinstance(data["thought"], str) or not isinstance(data["message"], str):
        return _invalid("wrong_shape", "thought and message must be strings.")
    if not isinstance(data["action"], str):
        return _invalid("wrong_shape", "The action must be a string.")
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
    """Return the thinking of a reasoning model and the reply after it.

    Thinking extends from the beginning to the first `</think>`; some chat templates write the `<think>` themselves. A
    text that starts with `<think>` and never closes it is all thinking, without a reply.
    """
    begun = text.lstrip()
    if begun.startswith("{") or (THOUGHT not in text and not begun.startswith(THINK)):
        return "", text
    thinking, _, reply = text.partition(THOUGHT)
    return thinking.lstrip().removeprefix(THINK).strip(), reply


def _misshapen(offer: object, scenario: Scenario) -> str | None:
    """Return what is wrong with the form of an offer, whatever its values."""
    if not isinstance(offer, dict) or set(offer) != set(scenario.issues):
        return f"With the action offer, the offer must have exactly the keys {', '.join(scenario.issues)}."
    for name, issue in scenario.issues.items():
        wanted = str if issue.options is not None else int
        if type(offer[name]) is not wanted:
            return f"In the offer, {name} must be a {'string' if wanted is str else 'whole number without quotes'}."
    return None


def clean(text: str) -> str:
    """Return a text without what databases and pages cannot hold: control characters and lone surrogates."""
    return "".join(c for c in well_formed(text) if c in "\n\t" or unicodedata.category(c) != "Cc")


def well_formed(text: str) -> str:
    """Return a text with its lone surrogates replaced, which files in UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _invalid(kind: Kind, detail: str) -> Reply:
    return Reply(kind=kind, detail=detail)


def _object_of(doubled: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object from its pairs; duplicate keys are added to `doubled`."""
    doubled += [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return dict(pairs)


def _whole(digits: str) -> int:
    """Return an integer, truncated where Python would refuse it: no number of that length is a legal option."""
    return int(digits[:400])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# -- while it is being written ---------------------------------------------------------------------------------

_FIELD = re.compile(r'"(thought|message)"\s*:\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')
"""A field from its name to its end, or to the last complete escape."""
_HALF = re.compile(r"[\ud800-\udbff]\Z")
"""The first half of a surrogate pair whose second half is not written yet."""


def glimpse(text: str) -> dict[str, str]:
    """Return the thought and message as far as they are written. For display only; never read an action from it."""
    found: dict[str, str] = {}
    if text.startswith(THINK):
        thinking, text = split_thinking(text)
        found = {"thought": clean(_HALF.sub("", thinking))} if thinking else {}
    for name, body in _FIELD.findall(text):
        try:
            written = json.loads(f'"{body}"', strict=False)
        except ValueError:  # an escape that JSON does not define
            written = body
        found.setdefault(name, clean(_HALF.sub("", written)))
    return found
