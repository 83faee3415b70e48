"""Random text under a grammar, without a model, and whether a grammar allows a given text."""

from __future__ import annotations

import json
import random
from typing import Any

import llguidance
import numpy as np

from manager.generation.request import JSON_STYLE, Grammar

BYTES = llguidance.LLTokenizer("byte")


def matcher(grammar: Grammar) -> Any:
    if grammar.lark is not None:
        compiled = llguidance.LLMatcher.grammar_from_lark(grammar.lark)
    else:
        schema = json.dumps(grammar.schema)
        compiled = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=JSON_STYLE)
    made = llguidance.LLMatcher(BYTES, compiled)
    assert not made.is_error(), made.get_error()
    return made


def written_under(grammar: Grammar, rng: random.Random) -> str:
    """Return a random text that the grammar allows."""
    following, written = matcher(grammar), bytearray()
    while not following.is_stopped():
        bits = np.unpackbits(np.frombuffer(following.compute_bitmask(), dtype=np.uint8), bitorder="little")
        token = rng.choice(np.flatnonzero(bits[:256]).tolist())
        assert following.consume_token(token)
        written.append(token)
    return written.decode(errors="replace")  # a token limit may split a character


def permits(grammar: Grammar, text: str) -> bool:
    """Return whether the grammar allows the whole text."""
    following, tokens = matcher(grammar), list(text.encode())
    return int(following.try_consume_tokens(tokens)) == len(tokens) and bool(following.is_accepting())


def as_written(reply: dict[str, Any]) -> str:
    """Return a reply as a model writes it under a grammar, with the usual separators."""
    return json.dumps(reply, ensure_ascii=False)
