"""Grammars over one tokenizer: which tokens may come next, and which must. A thin layer over llguidance."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import llguidance
import llguidance.hf
import llguidance.numpy
import numpy as np
import torch

from manager.errors import GenerationFailed
from manager.generation.request import JSON_STYLE, Grammar


class GrammarCompiler:
    """Makes matchers for one tokenizer. Building it takes some tenths of a second, once per set of weights."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._vocabulary = vocabulary
        self._threads = llguidance.LLExecutor(min(4, os.cpu_count() or 1))

    def matcher(self, grammar: Grammar) -> GrammarMatcher:
        """Return a matcher at the start of `grammar`. Raises GenerationFailed if the grammar is not usable."""
        if grammar.lark is not None:
            compiled = llguidance.LLMatcher.grammar_from_lark(grammar.lark)
        elif grammar.schema is not None:
            compiled = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(grammar.schema), defaults=JSON_STYLE)
        else:
            raise GenerationFailed("the grammar has neither a schema nor a Lark text")
        matcher = llguidance.LLMatcher(self._tokenizer, compiled)
        if matcher.is_error():
            raise GenerationFailed(f"the grammar is not usable: {matcher.get_error()}")
        return GrammarMatcher(matcher, self)

    def allowed(self, matchers: Sequence[GrammarMatcher | None]) -> torch.Tensor:
        """Return a boolean mask [matchers, vocabulary] of the tokens that may come next; all for None."""
        words = llguidance.numpy.allocate_token_bitmask(len(matchers), self._vocabulary)
        words.fill(-1)
        filled = [(matcher.native, row) for row, matcher in enumerate(matchers) if matcher is not None]
        if len(filled) > 1:
            llguidance.numpy.fill_next_token_bitmask_par(self._threads, filled, words)
        else:
            for native, row in filled:
                llguidance.numpy.fill_next_token_bitmask(native, words, row)
        bits = np.unpackbits(words.view(np.uint8), axis=1, count=self._vocabulary, bitorder="little")
        return torch.from_numpy(bits.view(np.bool_))


class GrammarMatcher:
    """Follows one text through its grammar."""

    def __init__(self, native: Any, compiler: GrammarCompiler) -> None:
        self.native = native
        self.compiler = compiler

    @property
    def finished(self) -> bool:
        """Whether the text is complete and nothing may follow."""
        return bool(self.native.is_stopped())

    def advance(self, token: int) -> list[int]:
        """Advance by a token. Return it and the tokens that must follow it."""
        if not self.native.consume_token(token):
            raise GenerationFailed(f"a token outside the grammar was chosen: {self.native.get_error()}")
        return [token, *self.forced()]

    def forced(self) -> list[int]:
        """Advance by the tokens that the grammar forces next, and return them."""
        if self.finished:
            return []
        tokens: list[int] = self.native.compute_ff_tokens()
        if tokens and not self.native.consume_tokens(tokens):
            raise GenerationFailed(f"the grammar rejects the tokens that it forces: {self.native.get_error()}")
        return tokens
