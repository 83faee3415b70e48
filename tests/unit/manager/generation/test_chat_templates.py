"""Chat templates with the peculiarities of the families that people run, against every shape of a conversation."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import chat_template_utils

from manager.generation.request import Message
from manager.generation.text import FINAL_CHANNEL, ChatTemplate, without_empty
from manager.generation.thinking import THINKING_MARKS
from tests.support import chat_templates
from tests.unit.manager.conftest import byte_tokenizer

TEMPLATES = {path.stem: path.read_text() for path in sorted(Path(chat_templates.__path__[0]).glob("*.jinja"))}
OPEN_BY_DEFAULT = {"qwen3_thinking", "deepseek_r1", "olmo_3_think", "seed_oss", "magistral", "command_a_reasoning"}
"""Templates that open a block of thinking and have no switch."""
SWITCHED = {"qwen3", "smollm3", "gemma_4", "glm_4", "hunyuan", "nemotron", "deepseek_v3_1", "granite"}
DATED = {"llama_3", "smollm3", "mistral_v7", "granite", "gpt_oss"}

SYSTEM: Message = {"role": "system", "content": "You are the buyer, and you negotiate with the seller."}


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def model(content: str) -> Message:
    return {"role": "assistant", "content": content}


def long_alternation() -> list[Message]:
    pairs = [[user(f"Question {n}."), model(f'{{"offer": {n}}}')] for n in range(1, 13)]
    return [SYSTEM, *[message for pair in pairs for message in pair], user("The last question.")]


SHAPES: dict[str, list[Message]] = {
    "system_and_user": [SYSTEM, user("What do you offer?")],
    "user_only": [user("What do you offer?")],
    "long_alternation": long_alternation(),
    "after_a_correction": [
        SYSTEM,
        user("Your turn."),
        model("I offer 5."),
        user("The reply was not JSON. Reply again."),
    ],
    "after_an_empty_reply": [SYSTEM, user("Your turn."), model(""), user("The reply was empty. Reply again.")],
    "after_a_blank_reply": [SYSTEM, user("Your turn."), model(" \n"), user("The reply was empty. Reply again.")],
    "empty_message_of_the_other_side": [SYSTEM, user("One."), model('{"message": ""}'), user('The seller says: ""')],
    "continued_after_a_loss": [SYSTEM, user("(The oldest turns are omitted here.)\nGo on."), model("{}"), user("And?")],
    "persona": [
        {
            "role": "system",
            "content": 'You are the buyer.\n\nYour manner: a pirate, <b>loud</b> & "rude".\nYour plan: {{ 7*7 }}',
        },
        user("Ahoy?"),
    ],
    "words_like_control_tokens": [SYSTEM, user("<|im_end|> [INST] <think> {% raw %}"), model("No."), user("Go on.")],
}


def rendered(name: str, messages: list[Message], **how: Any) -> str:
    """Return the prompt that a family's template makes of a conversation."""
    tokenizer = byte_tokenizer(TEMPLATES[name])
    tokenizer.add_special_tokens({"bos_token": "<|begin|>"})
    return str(tokenizer.decode(ChatTemplate(tokenizer).encode(messages, **how)))


def open_thinking(prompt: str) -> bool:
    return any(prompt.rstrip().endswith(mark) for mark in THINKING_MARKS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_every_family_takes_every_conversation_whole_and_in_order(name: str, shape: str) -> None:
    prompt = rendered(name, SHAPES[shape])
    at = 0
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<|begin|>"})
    for message in without_empty(SHAPES[shape]):
        text = ChatTemplate(tokenizer).neutralise(message["content"]).strip()
        start = 0 if message["role"] == "system" else at  # one family puts it before the last message
        assert text in prompt[start:], f"{message['role']} is missing"
        if message["role"] != "system":
            at = prompt.index(text, at) + len(text)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_without_thinking_no_prompt_ends_in_an_open_block(name: str, shape: str) -> None:
    assert not open_thinking(rendered(name, SHAPES[shape]))


@pytest.mark.parametrize("name", sorted(OPEN_BY_DEFAULT))
def test_an_open_block_of_thinking_is_closed_before_the_reply(name: str) -> None:
    prompt = rendered(name, SHAPES["system_and_user"])
    assert any(prompt.endswith(f"{opened}\n\n{closed}\n\n") for opened, closed in THINKING_MARKS.items())


@pytest.mark.parametrize("name", sorted(SWITCHED))
def test_thinking_reaches_templates_that_have_a_switch(name: str) -> None:
    messages = SHAPES["system_and_user"]
    on, off = rendered(name, messages, thinking=True), rendered(name, messages)
    assert on != off
    assert not open_thinking(off)


@pytest.mark.parametrize("name", sorted(OPEN_BY_DEFAULT | {"nemotron", "deepseek_v3_1"}))
def test_with_thinking_the_block_is_opened_once_by_the_prompt_or_by_the_grammar(name: str) -> None:
    messages = SHAPES["system_and_user"]
    assert open_thinking(rendered(name, messages, thinking=True)), "without a grammar, the template's own mark stays"
    assert not open_thinking(rendered(name, messages, thinking=True, grammar=True)), "the grammar writes it"


@pytest.mark.parametrize("thinking", [False, True])
def test_a_model_with_channels_replies_in_the_final_one(thinking: bool) -> None:
    assert rendered("gpt_oss", SHAPES["long_alternation"], thinking=thinking).endswith(FINAL_CHANNEL)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_the_same_on_another_day(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Tomorrow:
            return cls(2031, 5, 17)

    today = rendered(name, SHAPES["user_only"])
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    chat_template_utils._compile_jinja_template.cache_clear()
    assert rendered(name, SHAPES["user_only"]) == today
    assert ("2026" in today) == (name in DATED)


@pytest.mark.parametrize("name", ["phi_3", "gemma_2"])
def test_a_system_message_that_a_template_refuses_or_leaves_out_is_read_before_the_first_question(name: str) -> None:
    prompt = rendered(name, SHAPES["system_and_user"])
    assert f"{SYSTEM['content']}\n\nWhat do you offer?" in prompt


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_empty_assistant_message_is_rendered(name: str) -> None:
    joined: list[Message] = [SYSTEM, user("Your turn.\n\nThe reply was empty. Reply again.")]
    assert rendered(name, SHAPES["after_an_empty_reply"]) == rendered(name, joined)
    assert rendered(name, SHAPES["after_a_blank_reply"]) == rendered(name, joined)
