"""Grammars: only what may follow can be chosen, and what must follow costs nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from manager.errors import GenerationFailed
from manager.generation.grammar import GrammarCompiler, GrammarMatcher
from manager.generation.request import Grammar
from tests.unit.manager.conftest import byte_tokenizer

VOCABULARY = 300
"""More than the tokenizer has, as models pad theirs."""

OFFER = {
    "type": "object",
    "properties": {
        "price": {"type": "integer", "minimum": 100, "maximum": 300},
        "action": {"enum": ["offer", "accept"]},
    },
    "required": ["price", "action"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer()


@pytest.fixture(scope="module")
def compiler(tokenizer: Any) -> GrammarCompiler:
    return GrammarCompiler(tokenizer, VOCABULARY)


def allowed(compiler: GrammarCompiler, matcher: GrammarMatcher, tokenizer: Any) -> set[str]:
    return {tokenizer.decode([int(token)]) for token in compiler.allowed([matcher])[0].nonzero().flatten()}


def write(compiler: GrammarCompiler, matcher: GrammarMatcher, tokenizer: Any, seed: int) -> str:
    """Return a random text of the grammar."""
    chance = random.Random(seed)
    tokens: list[int] = []
    tokens += matcher.forced()
    while not matcher.finished:
        choices = compiler.allowed([matcher])[0].nonzero().flatten().tolist()
        tokens += matcher.advance(chance.choice(choices))
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def test_only_tokens_of_the_grammar_are_allowed(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(lark='start: "yes" | "no"'))
    mask = compiler.allowed([None, matcher])
    assert mask.shape == (2, VOCABULARY)
    assert mask[0].all(), "without a matcher, everything"
    assert mask.dtype == torch.bool
    assert allowed(compiler, matcher, tokenizer) == {"y", "n"}
    assert not matcher.finished


def test_forced_tokens_come_at_once_and_can_end_the_text(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(lark='start: "yes" | "no"'))
    (y,) = tokenizer("y").input_ids
    assert tokenizer.decode(matcher.advance(y)) == "yes"
    assert matcher.finished


def test_forcing_stops_where_there_is_a_choice_again(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(lark='start: ("red" | "blue") " " ("car" | "bus")'))
    (b,) = tokenizer("b").input_ids
    assert tokenizer.decode(matcher.advance(b)) == "blue "
    assert allowed(compiler, matcher, tokenizer) == {"c", "b"}


def test_a_text_that_may_end_or_go_on_offers_both(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(lark="start: /a+/"))
    (a,) = tokenizer("a").input_ids
    assert matcher.advance(a) == [a]
    assert allowed(compiler, matcher, tokenizer) == {"a", "<|end|>"}
    assert matcher.advance(tokenizer.eos_token_id) == [tokenizer.eos_token_id]
    assert matcher.finished


def test_every_text_of_a_schema_is_plain_json_of_that_schema(compiler: GrammarCompiler, tokenizer: Any) -> None:
    import json

    texts = [write(compiler, compiler.matcher(Grammar(schema=OFFER)), tokenizer, seed) for seed in range(20)]
    for text in texts:
        offer = json.loads(text)
        assert list(offer) == ["price", "action"], "in this order"
        assert 100 <= offer["price"] <= 300
        assert offer["action"] in ("offer", "accept")
        assert text == json.dumps(offer), "no more white space than models write"
    assert len(set(texts)) > 10


def test_a_lark_grammar_goes_before_a_schema(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(schema=OFFER, lark='start: "x"'))
    assert allowed(compiler, matcher, tokenizer) == {"x"}


def test_matchers_do_not_share_their_place(compiler: GrammarCompiler, tokenizer: Any) -> None:
    grammar = Grammar(lark='start: "ab" | "ac"')
    first, second = compiler.matcher(grammar), compiler.matcher(grammar)
    first.advance(tokenizer("a").input_ids[0])
    assert allowed(compiler, first, tokenizer) == {"b", "c"}
    assert allowed(compiler, second, tokenizer) == {"a"}


def test_a_token_outside_the_grammar_is_an_error(compiler: GrammarCompiler, tokenizer: Any) -> None:
    matcher = compiler.matcher(Grammar(lark='start: "yes"'))
    with pytest.raises(GenerationFailed, match="a token outside the grammar was chosen"):
        matcher.advance(tokenizer("n").input_ids[0])


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (Grammar(), "neither a schema nor a Lark text"),
        (Grammar(lark="start: ("), "the grammar is not usable: .*Expected token"),
        (Grammar(schema={"type": "nonsense"}), "the grammar is not usable: .*nonsense"),
    ],
)
def test_a_grammar_that_is_not_usable_says_why(compiler: GrammarCompiler, grammar: Grammar, message: str) -> None:
    with pytest.raises(GenerationFailed, match=message):
        compiler.matcher(grammar)
