"""Pieces of grammars in llguidance's Lark dialect: literals, schemas, replies, and the offers of a diagram.

Knows how a grammar is written, not what may be replied (`allowed.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from negotiation.replies.reader import KEYS
from negotiation.replies.threshold_diagram import Diagram, Edge
from negotiation.scenario.model import Issue

OFFERS = "offer_0"
"""The rule that the rules of a diagram begin with."""


def literal(text: str) -> str:
    """Exactly this text."""
    return json.dumps(text, ensure_ascii=False)


def value(data: object) -> str:
    """Exactly this value in JSON."""
    return literal(json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def schema(rules: Mapping[str, Any]) -> str:
    """Any value that a JSON schema allows, without white space: small models would write blanks to the limit."""
    return "%json " + json.dumps({**rules, "x-guidance": {"whitespace_flexible": False}})


def either(alternatives: Iterable[str]) -> str:
    """One of these."""
    return f"({' | '.join(alternatives)})"


def reply(thought: str, moves: Iterable[tuple[str, str]], message: str) -> str:
    """A reply with its four keys; a move is an action and an offer."""
    first, second, third, last = (literal(f'{mark}"{key}":') for mark, key in zip("{,,,", KEYS, strict=True))
    move = either(f"{second} {action} {third} {offer}" for action, offer in moves)
    return f'{first} {thought} {move} {last} {message} "}}"'


def grammar(what: str, rules: Iterable[str] = (), thinking: int = 0) -> str:
    """The whole grammar of a reply; before it, up to `thinking` characters may stand in a <think> block."""
    if not thinking:
        return "\n".join([f"start: {what}", *rules])
    think = rf"think[lazy]: /<think>(?s:.{{0,{thinking}}})<\/think>/"
    return "\n".join([r'start: reply | think "\n"? "\n"? reply', think, f"reply: {what}", *rules])


def numbers(first: int, last: int, step: int) -> str:
    """Whole numbers from a first to a last in steps."""
    return schema(number_schema(first, last, step))


def number_schema(first: int, last: int, step: int) -> dict[str, Any]:
    """The same as a JSON schema."""
    return {"type": "integer", "minimum": first, "maximum": last} | ({"multipleOf": step} if step > 1 else {})


def diagram_rules(diagram: Diagram) -> list[str]:
    """The rules of all offers of a diagram, as JSON objects; `OFFERS` is the first.

    A node that several edges lead to is a rule, any other stands where its one edge leads.
    """
    names = list(diagram.issues)
    references = Counter(edge.to for _, edges in diagram.nodes for edge in edges)

    def node(number: int) -> str:
        name, edges = diagram.nodes[number]
        mark = "{" if name == names[0] else ","
        key = literal(f"{mark}{json.dumps(name)}:")
        return f"{key} {either(f'{_picks(edge, diagram.issues[name])} {following(edge.to)}' for edge in edges)}"

    def following(number: int | None) -> str:
        if number is None:
            return '"}"'
        return f"offer_{number}" if references[number] > 1 else node(number)

    shared = [number for number in range(len(diagram.nodes)) if number == 0 or references[number] > 1]
    return [f"offer_{number}: {node(number)}" for number in shared]


def _picks(edge: Edge, issue: Issue) -> str:
    """The options of an edge."""
    if issue.range is None:
        return either(value(option) for option in edge.options)
    step = issue.range.step
    return either(numbers(first, last, step) for first, last in edge.runs)
