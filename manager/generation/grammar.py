"""Grammars over one tokenizer: which tokens may come next, and which must.

A thin layer over llguidance, so that the rest of the program knows nothing of it.
"""

from __future__ import annotations

import json
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch

from manager.errors import GenerationFailed
from manager.generation.request import Grammar


class GrammarCompiler:
    """Makes matchers for one tokenizer; building it takes some tenths of a second, once per weights."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._vocabulary = vocabulary

    def matcher(self, grammar: Grammar) -> GrammarMatcher:
        """A matcher at the beginning of `grammar`; raises GenerationFailed if the grammar is not usable."""
        if grammar.lark is not None:
            compiled = llguidance.LLMatcher.grammar_from_lark(grammar.lark)
        elif grammar.schema is not None:
            # Flexible white space would let small models write blanks to the limit.
            compiled = llguidance.LLMatcher.grammar_from_json_schema(
                json.dumps(grammar.schema), defaults={"whitespace_flexible": False}
            )
        else:
            raise GenerationFailed("the grammar has neither a schema nor a Lark text")
        matcher = llguidance.LLMatcher(self._tokenizer, compiled)
        if matcher.is_error():
            raise GenerationFailed(f"the grammar is not usable: {matcher.get_error()}")
        return GrammarMatcher(matcher, self._vocabulary)


class GrammarMatcher:
    """Follows one text through its grammar."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    @property
    def finished(self) -> bool:
        """Whether the text is complete and nothing may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> torch.Tensor:
        """A boolean mask [vocabulary] of the tokens that may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocabulary].astype(bool))

    def advance(self, token: int) -> list[int]:
        """Take note of a token; returns it and the tokens that must follow it."""
        if not self._matcher.consume_token(token):
            raise GenerationFailed(f"a token outside the grammar was chosen: {self._matcher.get_error()}")
        if self.finished:
            return [token]
        forced = self._matcher.compute_ff_tokens()
        if forced and not self._matcher.consume_tokens(forced):
            raise GenerationFailed(f"the grammar rejects what it forces: {self._matcher.get_error()}")
        return [token, *forced]
