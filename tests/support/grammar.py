"""Writing under a grammar without a model, byte by byte by chance, and asking a grammar whether it allows a text."""

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
    """A text that the grammar allows, as the most mindless model would write it."""
    following, written = matcher(grammar), bytearray()
    while not following.is_stopped():
        bits = np.unpackbits(np.frombuffer(following.compute_bitmask(), dtype=np.uint8), bitorder="little")
        token = rng.choice(np.flatnonzero(bits[:256]).tolist())
        assert following.consume_token(token)
        written.append(token)
    return written.decode(errors="replace")  # a limit on tokens may cut a character


def permits(grammar: Grammar, text: str) -> bool:
    """Whether the grammar allows a whole text."""
    following, tokens = matcher(grammar), list(text.encode())
    return int(following.try_consume_tokens(tokens)) == len(tokens) and bool(following.is_accepting())


def as_written(reply: dict[str, Any]) -> str:
    """A reply as it is written under a grammar, with the separators that models write."""
    return json.dumps(reply, ensure_ascii=False)
