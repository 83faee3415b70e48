"""What a model may reply, and how its reply is read: the grammar of legal replies, and the strict reader.

A reply is one JSON object with the keys thought, action, offer and message; the grammar has them written in this
order, the reader takes them in any. Nothing is ever guessed: a reply that is not exactly that has no action and no
offer.
"""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from manager.configfile import shown
from manager.generation.request import Grammar
from negotiation.protocol import Action, State
from negotiation.scenario import Issue, Offer, Scenario

KEYS = ("thought", "action", "offer", "message")
MAX_THOUGHT, MAX_MESSAGE = 160, 200
MAX_REPLY = 20_000
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
    return Reply(action, offer, _clean(data["message"]), _clean(data["thought"]))


def _misshapen(offer: object, scenario: Scenario) -> str | None:
    """What is wrong with the form of an offer, whatever its values."""
    if not isinstance(offer, dict) or set(offer) != set(scenario.issues):
        return f"With the action offer, the offer must have exactly the keys {', '.join(scenario.issues)}."
    for name, issue in scenario.issues.items():
        wanted = str if issue.options is not None else int
        if type(offer[name]) is not wanted:
            return f"In the offer, {name} must be a {'text' if wanted is str else 'whole number without quotes'}."
    return None


def _clean(text: str) -> str:
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


# -- the grammar -----------------------------------------------------------------------------------------------


def reply_grammar(state: State) -> Grammar:
    """The grammar of all replies that are legal in `state`."""
    actions = [str(action) for action in state.legal if action is not Action.OFFER]
    offer = _object({name: _choice(issue) for name, issue in state.scenario.issues.items()})
    alternatives = [_reply_schema({"const": str(Action.OFFER)}, offer)]
    alternatives += [_reply_schema({"enum": actions}, {"type": "null"})] if actions else []
    schema = {"anyOf": alternatives} if len(alternatives) > 1 else alternatives[0]
    return Grammar(schema=schema, sample=lambda rng: sample_reply(state, rng))


def _reply_schema(action: dict[str, Any], offer: dict[str, Any]) -> dict[str, Any]:
    thought = {"type": "string", "minLength": 1, "maxLength": MAX_THOUGHT}
    message = {"type": "string", "minLength": 1, "maxLength": MAX_MESSAGE}
    return _object({"thought": thought, "action": action, "offer": offer, "message": message})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _choice(issue: Issue) -> dict[str, Any]:
    if issue.options is not None:
        return {"enum": list(issue.options)}
    assert issue.range is not None
    low, high, step = issue.range.min, issue.range.max, issue.range.step
    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if step == 1:
        return schema
    if low % step == 0:
        return {**schema, "multipleOf": step}
    return {"enum": list(issue.choices)}


def sample_reply(state: State, rng: random.Random) -> str:
    """A legal reply by chance, as a model without a mind would give it; offers come most often."""
    others = [action for action in state.legal if action is not Action.OFFER]
    action = rng.choice(others) if others and rng.random() < 0.15 else Action.OFFER
    offer = _any_offer(state.scenario, rng) if action is Action.OFFER else None
    message = f"I propose {state.scenario.show(offer)}."[:MAX_MESSAGE] if offer else "So be it."
    return json.dumps({"thought": "Let me see.", "action": str(action), "offer": offer, "message": message})


def _any_offer(scenario: Scenario, rng: random.Random) -> dict[str, Any]:
    return {name: rng.choice(issue.choices) for name, issue in scenario.issues.items()}


# -- while it is being written ---------------------------------------------------------------------------------

_FIELD = re.compile(r'"(thought|message)"\s*:\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')
"""A field from its name to its end, or to the last escape that is complete."""
_HALF = re.compile(r"[\ud800-\udbff]\Z")
"""The first half of a character beyond 16 bits, the second not being written yet."""


def glimpse(text: str) -> dict[str, str]:
    """The thought and message as far as they are written, for display only; never read an action from this."""
    found: dict[str, str] = {}
    for name, body in _FIELD.findall(text):
        try:
            written = json.loads(f'"{body}"', strict=False)
        except ValueError:  # an escape that JSON does not have
            written = body
        found.setdefault(name, _clean(_HALF.sub("", written)))
    return found
