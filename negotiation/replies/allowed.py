"""The replies that an agent may give now, as a grammar for generating them and as a check for reading them.

`legal` allows what the protocol allows, `rational` excludes moves worth less to the agent than its reservation value,
and `Decided` is a single move for which a model only writes the message.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from manager.generation.request import Grammar
from negotiation.game.protocol import Action, GameState
from negotiation.replies.grammar import (
    OFFERS,
    diagram_rules,
    json_schema,
    json_value,
    number_schema,
    reply_grammar,
    reply_object,
)
from negotiation.replies.narration import MAX_MESSAGE, Speech, opening
from negotiation.replies.reader import Kind, Reply
from negotiation.replies.threshold_diagram import Diagram, Edge, threshold, worth_at_least
from negotiation.scenario.issue import Value
from negotiation.scenario.model import Offer

MAX_THOUGHT = 160
_THOUGHT = {"type": "string", "minLength": 1, "maxLength": MAX_THOUGHT}
_MESSAGE = {"type": "string", "minLength": 1, "maxLength": MAX_MESSAGE}
_NARRATED = {"type": "string", "minLength": 12, "maxLength": MAX_MESSAGE}
"""Without a least length, small models end a message after its first letter."""


@dataclass(frozen=True)
class Allowed:
    """Some of the legal moves: actions, and either all possible offers or those of a diagram."""

    state: GameState
    actions: tuple[Action, ...]
    offers: Diagram | None = None

    def problem(self, reply: Reply) -> tuple[Kind, str] | None:
        """Return why a legal reply is not allowed: its kind as an invalid reply, and an explanation for the model."""
        if reply.action is not None and reply.action not in self.actions and reply.action is not Action.OFFER:
            return "illegal_action", "Their offer is worth less to you than no deal, so you cannot accept it."
        if reply.offer is not None and self.offers is not None and not self.offers.contains(reply.offer):
            return "off_menu", "Your offer is worth less to you than no deal. Offer something better for you."
        return None

    def grammar(self, thinking: int = 0) -> Grammar:
        """Return the grammar of these replies, with up to `thinking` characters in a <think> block before them."""
        if self.offers is not None:
            moves = [(json_value(action), json_value(None)) for action in self._others]
            moves += [(json_value(Action.OFFER), OFFERS)] if Action.OFFER in self.actions else []
            reply = reply_object(json_schema(_THOUGHT), moves, json_schema(_MESSAGE))
            text: str | None = reply_grammar(reply, diagram_rules(self.offers), thinking)
        else:
            text = reply_grammar(json_schema(self.schema), (), thinking) if thinking else None
        return Grammar(self.schema, text, self.sample)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """These replies as a JSON schema.

        Of a diagram, a schema can only express which options each issue has in any allowed offer. With one issue, that
        is all.
        """
        alternatives = []
        if Action.OFFER in self.actions:
            offer = _object({name: self._choice(name) for name in self.state.scenario.issues})
            alternatives.append(_reply_schema({"const": str(Action.OFFER)}, offer))
        if self._others:
            alternatives.append(_reply_schema({"enum": self._others}, {"type": "null"}))
        return {"anyOf": alternatives} if len(alternatives) > 1 else alternatives[0]

    def sample(self, rng: random.Random) -> str:
        """Return a random reply, most often an offer."""
        offering = Action.OFFER in self.actions and (not self._others or rng.random() >= 0.15)
        offer = self._any_offer(rng) if offering else None
        action = str(Action.OFFER) if offering else rng.choice(self._others)
        message = f"I propose {self.state.scenario.show(offer)}."[:MAX_MESSAGE] if offer else "So be it."
        return json.dumps({"thought": "Let me see.", "action": action, "offer": offer, "message": message})

    @property
    def _others(self) -> list[str]:
        return [str(action) for action in self.actions if action is not Action.OFFER]

    def _choice(self, name: str) -> dict[str, Any]:
        """Return the schema of an issue's options in allowed offers."""
        issue = self.state.scenario.issues[name]
        edges = self.offers.edges(name) if self.offers is not None else [Edge.of_all(issue)]
        if issue.range is None:
            return {"enum": [option for option in issue.choices if any(edge.contains(option) for edge in edges)]}
        step = issue.range.step
        runs: list[tuple[int, int]] = []
        for first, last in sorted(run for edge in edges for run in edge.runs):
            if runs and first <= runs[-1][1] + step:
                runs[-1] = runs[-1][0], max(last, runs[-1][1])
            else:
                runs.append((first, last))
        schemas = [number_schema(first, last, step) for first, last in runs]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def _any_offer(self, rng: random.Random) -> dict[str, Value]:
        if self.offers is not None:
            return self.offers.sample(rng)
        return {name: rng.choice(issue.choices) for name, issue in self.state.scenario.issues.items()}


@dataclass(frozen=True)
class Decided:
    """A single move. The model writes a message about it with no other numbers, and no thought."""

    state: GameState
    action: Action
    offer: Offer | None
    words: str
    """The message to use if the model writes none that is allowed."""
    led: bool = False
    """Whether the message starts with given words, in English."""

    def problem(self, reply: Reply) -> tuple[Kind, str] | None:
        """Return why a legal reply is not this move, or why its message is not allowed."""
        if reply.action is not self.action or reply.offer != self.offer:
            return "illegal_action", f"Your move is decided: {self.reply('')}. Only the message is yours."
        if not self._speech.allows(reply.message):
            return "off_menu", "The message must be plain words, with no other numbers than those of the offer."
        return None

    def grammar(self, thinking: int = 0) -> Grammar:
        """Return the grammar of this reply with any allowed message, with up to `thinking` characters of thinking."""
        reply = reply_object(json_value(""), [(json_value(self.action), json_value(self.offer))], "message")
        move = {"thought": {"const": ""}, "action": {"const": str(self.action)}, "offer": {"const": self.offer}}
        text = reply_grammar(reply, self._speech.rules(self._opening), thinking)
        return Grammar(_object({**move, "message": _NARRATED}), text, lambda _: self.reply("What do you say?"))

    def reply(self, message: str) -> str:
        """Return the move as a reply with a message."""
        return json.dumps(
            {"thought": "", "action": self.action, "offer": self.offer, "message": message}, ensure_ascii=False
        )

    @property
    def _opening(self) -> str:
        return opening(self.state, self.action, self.offer) if self.led else ""

    @cached_property
    def _speech(self) -> Speech:
        return Speech(self.state.scenario, self.offer if self.offer is not None else self._settled)

    @property
    def _settled(self) -> Offer | None:
        return self.state.table if self.action is Action.ACCEPT else None


def legal(state: GameState) -> Allowed:
    """Return all moves that the protocol allows."""
    return Allowed(state, state.legal)


def rational(state: GameState) -> Allowed:
    """Return the legal moves worth at least the reservation value to the seat. Walking away is always one."""
    scenario, seat = state.scenario, state.seat
    offers = worth_at_least(
        scenario, seat, threshold(scenario, seat, state.turn + 1)
    )  # an offer is answered one turn later
    actions = [Action.OFFER] if offers.nodes else []
    if state.table is not None and scenario.utility(seat, state.table) >= threshold(scenario, seat, state.turn):
        actions.append(Action.ACCEPT)
    return Allowed(state, (*actions, Action.WALK_AWAY), offers)


def _reply_schema(action: dict[str, Any], offer: dict[str, Any]) -> dict[str, Any]:
    return _object({"thought": _THOUGHT, "action": action, "offer": offer, "message": _MESSAGE})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
