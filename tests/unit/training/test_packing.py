"""A pack computes what its conversations would alone, and a conversation's tokens are those that the engine reads."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from manager.generation.request import Message
from manager.generation.text import ChatTemplate
from tests.unit.manager.conftest import byte_tokenizer, tiny_model
from training.network import ATTENTION, BLOCK, precision, token_losses
from training.packing import DECIDES, IGNORED, Encoded, encoded, pack

pytestmark = pytest.mark.weights
TOKENIZER = byte_tokenizer()
TEMPLATE = ChatTemplate(TOKENIZER)
END = TOKENIZER.convert_tokens_to_ids("<|im_end|>")
HALF, TWICE = 0.5, 2.0
WEIGHTS = {"message_weight": HALF, "verdict_weight": TWICE}


def talk(*said: str) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": "You sell a car."}]
    for text in said:
        reply = f'{{"thought": "Hm.", "action": "offer", "message": "{text}"}}'
        messages += [{"role": "user", "content": f"{text}?"}, {"role": "assistant", "content": reply}]
    return messages


def made(*said: str) -> Encoded:
    return encoded(TEMPLATE, END, talk(*said), [True] * len(said), **WEIGHTS)


def test_every_turn_has_the_tokens_that_the_engine_reads() -> None:
    messages, whole = talk("No", "Nine", "Yes"), made("No", "Nine", "Yes").tokens
    for place in (2, 4, 6):
        prompt = TEMPLATE.encode(messages[:place])
        assert whole[: len(prompt)] == prompt
        reply = TOKENIZER(messages[place]["content"], add_special_tokens=False).input_ids
        assert whole[len(prompt) :][: len(reply) + 1] == [*reply, END]


def test_only_replies_are_learned_and_messages_weigh_less() -> None:
    one = encoded(TEMPLATE, END, talk("No", "Yes"), [False, True], **WEIGHTS)
    learned = TOKENIZER.decode([token for token, weight in zip(one.tokens, one.weights, strict=True) if weight])
    assert learned == '{"thought": "Hm.", "action": "offer", "message": "Yes"}<|im_end|>'
    words = TOKENIZER.decode([token for token, weight in zip(one.tokens, one.weights, strict=True) if weight == HALF])
    assert words == '"message": "Yes"}<|im_end|>'
    assert set(one.weights) == {0.0, HALF, DECIDES}


@pytest.mark.parametrize(
    ("thought", "weighty"),
    [
        ("Theirs 0.20, less than no deal, aim 0.50: too low. I hold.", " t"),  # here, each token is a byte
        ("Theirs 0.20, less than no deal, last turn: I leave.", " I"),
        ("No offer yet, aim 1.00. I ask for my best.", ""),
    ],
)
def test_the_verdict_of_a_thought_weighs_more(thought: str, weighty: str) -> None:
    reply = f'{{"thought": "{thought}", "action": "offer", "message": "Mine: two."}}'
    messages: list[Message] = [*talk()[:1], {"role": "user", "content": "Go."}, {"role": "assistant", "content": reply}]
    one = encoded(TEMPLATE, END, messages, [True], **WEIGHTS)
    assert weighty == TOKENIZER.decode([token for token, w in zip(one.tokens, one.weights, strict=True) if w == TWICE])


def test_packed_conversations_do_not_see_each_other() -> None:
    model = tiny_model(context=1024)
    model.set_attn_implementation(ATTENTION)
    conversations = [made("No", "Nine"), made("Yes"), made("Never", "Ever", "Again")]
    with torch.no_grad():
        together, weights = token_losses(model, pack(conversations, 10_000))
        alone = torch.cat([token_losses(model, pack([one], 10_000))[0] for one in conversations])
    assert torch.allclose(together, alone, atol=1e-5)
    assert len(weights) == sum(weight > 0 for one in conversations for weight in one.weights)


def test_a_pack_has_what_conversations_begin_with_only_once() -> None:
    conversations = [made("No", "Nine"), made("Yes")]
    packed = pack(conversations, 10_000)
    shared = packed.pieces[0]
    assert shared.end > len(TEMPLATE.encode(talk()[:1])) // 2
    assert len(packed.tokens) == sum(len(one.tokens) for one in conversations) - shared.end
    assert set(packed.labels[: shared.end].tolist()) == {IGNORED}


def test_a_pack_leaves_out_what_is_too_much() -> None:
    short, long = made("Yes"), made("No", "Nine")
    assert len(pack([long, short], 10_000).pieces) == 3
    assert pack([long, short], len(short.tokens)).tokens.tolist() == short.tokens
    assert pack([long, short], 1).tokens.tolist() == short.tokens, "rather the shortest than none"


def test_a_long_conversation_is_computed_as_transformers_does() -> None:
    model = tiny_model(context=4096)
    long = made(*["A long story. " * 20] * 4)
    assert len(long.tokens) > 2 * BLOCK
    with torch.no_grad():
        logits = model(torch.tensor([long.tokens])).logits[0, :-1]
        expected = functional.cross_entropy(logits, torch.tensor(long.tokens[1:]), reduction="none")
        model.set_attn_implementation(ATTENTION)
        losses, _ = token_losses(model, pack([long], 10_000))
    learned = torch.tensor(long.weights[1:]) > 0
    assert torch.allclose(losses, expected[learned], atol=1e-4 if precision() is torch.float32 else 0.05)
