"""Build grammars in llguidance's Lark dialect: literals, JSON schemas, replies and the offers of a diagram.

JSON is written the way models write it, with a space after `:` and `,` (`JSON_STYLE`) and no other white space: small
models would fill flexible white space up to the token limit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from manager.generation.request import JSON_STYLE
from negotiation.replies.reader import KEYS
from negotiation.replies.threshold_diagram import Diagram, Edge
from negotiation.scenario.issue import Issue

OFFERS = "offer_0"
"""The first rule of a diagram's rules."""


def literal(text: str) -> str:
    """Return an expression for exactly this text."""
    return json.dumps(text, ensure_ascii=False)


def json_value(data: object) -> str:
    """Return an expression for exactly this value in JSON."""
    return literal(json.dumps(data, ensure_ascii=False))


def json_schema(schema: Mapping[str, Any]) -> str:
    """Return an expression for any value that a JSON schema allows."""
    return "%json " + json.dumps({**schema, "x-guidance": JSON_STYLE})


def either(alternatives: Iterable[str]) -> str:
    """Return an expression for one of several expressions."""
    return f"({' | '.join(alternatives)})"


def reply_object(thought: str, moves: Iterable[tuple[str, str]], message: str) -> str:
    """Return an expression for a reply with its four keys.

    Args:
        moves: Pairs of expressions for an action and its offer.
    """
    marks = ("{", ", ", ", ", ", ")
    first, second, third, last = (literal(f'{mark}"{key}": ') for mark, key in zip(marks, KEYS, strict=True))
    move = either(f"{second} {action} {third} {offer}" for action, offer in moves)
    return f'{first} {thought} {move} {last} {message} "}}"'


def reply_grammar(reply: str, rules: Iterable[str] = (), thinking: int = 0) -> str:
    """Return the whole grammar of a reply.

    Args:
        rules: Further rules that it refers to.
        thinking: The number of characters allowed in a <think> block before the reply; 0 for no such block.
    """
    if not thinking:
        return "\n".join([f"start: {reply}", *rules])
    think = rf"think[lazy]: /<think>(?s:.{{0,{thinking}}})<\/think>/"
    return "\n".join([r'start: reply | think "\n"? "\n"? reply', think, f"reply: {reply}", *rules])


def number_schema(first: int, last: int, step: int) -> dict[str, Any]:
    """Return the JSON schema of the integers from a first to a last in steps."""
    return {"type": "integer", "minimum": first, "maximum": last} | ({"multipleOf": step} if step > 1 else {})


def diagram_rules(diagram: Diagram) -> list[str]:
    """Return the rules of all offers of a diagram, as JSON objects; `OFFERS` is the first.

    A node that several edges lead to becomes a rule, any other is written inline.
    """
    names = list(diagram.issues)
    references = Counter(edge.to for _, edges in diagram.nodes for edge in edges)

    def node(number: int) -> str:
        name, edges = diagram.nodes[number]
        mark = "{" if name == names[0] else ", "
        key = literal(f"{mark}{json.dumps(name)}: ")
        return f"{key} {either(f'{_options(edge, diagram.issues[name])} {following(edge.to)}' for edge in edges)}"

    def following(number: int | None) -> str:
        if number is None:
            return '"}"'
        return f"offer_{number}" if references[number] > 1 else node(number)

    shared = [number for number in range(len(diagram.nodes)) if number == 0 or references[number] > 1]
    return [f"offer_{number}: {node(number)}" for number in shared]


def _options(edge: Edge, issue: Issue) -> str:
    """Return an expression for the options of an edge."""
    if issue.range is None:
        return either(json_value(option) for option in edge.options)
    step = issue.range.step
    return either(json_schema(number_schema(first, last, step)) for first, last in edge.runs)
