"""Convert between text and tokens: chat templates, control tokens in untrusted text, decoding, and stop texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from manager.errors import GenerationFailed
from manager.generation.request import Message
from manager.generation.thinking import THINKING_MARKS

PLAIN_STOPS = ("\nUser:", "\nSystem:", "\nAssistant:")
"""Stop texts for a model without a chat template, so that it does not write the next speaker's lines."""
INDENT = "\n  "
RENDERED_DATE = datetime(2026, 1, 1, 12)  # noqa: DTZ001 (templates print it without a time zone)
"""The moment that chat templates render as now, so that the same seed gives the same text on any day."""
_PINNED_NOW = "{%- macro strftime_now(format) %}{{- format"
_PINNED_NOW += "".join(f"|replace('%{code}', '{RENDERED_DATE:%{code}}')" for code in "YmdBbAaHMSypIjZ")
_PINNED_NOW += "}}{% endmacro %}"
"""Replaces the function that gives templates the date of today; only plain data can be passed to them."""
_OPEN_THINKING = re.compile(rf"({'|'.join(map(re.escape, THINKING_MARKS))})(\s*)\Z")
_BEFORE_CHANNEL, FINAL_CHANNEL = "<|start|>assistant", "<|channel|>final<|message|>"
"""Models with channels choose one before they write; a reply belongs into the final one."""


class ChatTemplate:
    """Renders a conversation as the tokens of one tokenizer.

    Message content is data: control tokens in it are broken up by a space, so that they are read as text. A model
    without a chat template gets a plain transcript, in which all but the first line of a message are indented, so that
    none looks like another speaker's. A system message that the template refuses or leaves out is put before the first
    user message. Empty assistant messages, which some templates refuse, are never rendered. Templates of models that
    also read images get typed parts where they leave out plain text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.plain = not getattr(tokenizer, "chat_template", None)
        self._control = _control_pattern(tokenizer)
        self._system_role = True
        self._as_parts = False  # whether the template reads content only as a list of typed parts

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end a reply, besides the model's own end token."""
        return PLAIN_STOPS if self.plain else ()

    def neutralise(self, text: str) -> str:
        """Break up all control tokens in `text`, including those that only the tokenizer's normaliser produces."""
        if self._control is None:
            return text
        normalizer = getattr(getattr(self._tokenizer, "backend_tokenizer", None), "normalizer", None)
        if normalizer is not None and self._control.search(normalized := normalizer.normalize_str(text)):
            text = normalized
        while self._control.search(text):
            text = self._control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text

    def encode(self, messages: Sequence[Message], *, thinking: bool = False, grammar: bool = False) -> list[int]:
        """Return the tokens of a conversation, up to where the assistant begins to write.

        Args:
            thinking: Whether the model may think. If not, the template is asked for a prompt without thinking, and a
                block of thinking that it opens nevertheless is closed.
            grammar: Whether a grammar writes the mark that opens the thinking, so that the prompt must not.
        """
        safe: list[Message] = [{"role": m["role"], "content": self.neutralise(m["content"])} for m in messages]
        safe = without_empty(safe)
        if self.plain:
            lines = [f"{m['role'].capitalize()}: {INDENT.join(m['content'].splitlines())}\n" for m in safe]
            return list(self._tokenizer("".join(lines) + "Assistant:").input_ids)
        rendered = self._render(safe, thinking)
        if rendered.endswith(_BEFORE_CHANNEL):
            rendered += FINAL_CHANNEL
        if not thinking:
            rendered = _OPEN_THINKING.sub(_closed, rendered)
        elif grammar:
            rendered = _OPEN_THINKING.sub("", rendered)
        return list(self._tokenizer(rendered, add_special_tokens=False).input_ids)

    def _render(self, messages: list[Message], thinking: bool) -> str:
        merged = without_system(messages)
        try:
            if self._system_role:
                try:
                    rendered = self._whole(messages, thinking)
                except Exception:
                    if merged is messages:
                        raise
                else:
                    if merged is messages or messages[0]["content"].strip() in rendered:
                        return rendered
            rendered = self._whole(merged, thinking)
        except Exception as error:  # noqa: BLE001 (templates raise jinja2's own errors)
            raise GenerationFailed(f"the model's chat template refuses the conversation: {error}") from None
        self._system_role = False
        return rendered

    def _whole(self, messages: list[Message], thinking: bool) -> str:
        """Render a conversation, with its content as typed parts where the template drops text."""
        if self._as_parts:
            return self._apply(messages, thinking, as_parts=True)
        rendered, last = self._apply(messages, thinking), messages[-1]["content"].strip()
        if last not in rendered:
            with suppress(Exception):  # a template's own errors
                typed = self._apply(messages, thinking, as_parts=True)
                if last in typed:
                    self._as_parts = True
                    return typed
        return rendered

    def _apply(self, messages: list[Message], thinking: bool, *, as_parts: bool = False) -> str:
        template = self._tokenizer.get_chat_template()
        parts = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        return str(
            self._tokenizer.apply_chat_template(
                parts if as_parts else messages,
                chat_template=_PINNED_NOW + template if "strftime_now" in template else template,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=thinking,  # the names that templates use; others ignore them
                thinking=thinking,
            )
        )


def _closed(opened: re.Match[str]) -> str:
    """Return an open block of thinking as an empty one, in the form that models were trained on."""
    return f"{opened[1]}\n\n{THINKING_MARKS[opened[1]]}\n\n"


def without_empty(messages: Iterable[Message]) -> list[Message]:
    """Return a conversation without empty assistant messages, in which successive user messages are one.

    Chat templates and servers refuse empty messages, and many want roles to alternate.

    >>> asked, empty = {"role": "user", "content": "A"}, {"role": "assistant", "content": ""}
    >>> without_empty([asked, empty, asked])
    [{'role': 'user', 'content': 'A\\n\\nA'}]
    """
    joined: list[Message] = []
    for message in messages:
        if message["role"] == "assistant" and not message["content"].strip():
            continue
        if joined and message["role"] == joined[-1]["role"] == "user":
            joined[-1] = {"role": "user", "content": f"{joined[-1]['content']}\n\n{message['content']}"}
        else:
            joined.append(message)
    return joined


def without_system(messages: list[Message]) -> list[Message]:
    """Return the conversation with its system message moved into the first user message."""
    if not messages or messages[0]["role"] != "system":
        return messages
    system, *rest = messages
    if rest and rest[0]["role"] == "user":
        merged: Message = {"role": "user", "content": f"{system['content']}\n\n{rest[0]['content']}"}
        return [merged, *rest[1:]]
    return [{"role": "user", "content": system["content"]}, *rest]


def _control_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Return a pattern for control tokens: all special tokens, and the added tokens that are not words.

    Added tokens of white space or ordinary words, which some vocabularies have, are harmless in text. Special tokens
    that look like words are matched case-sensitively, the others in any case.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = {str(token) for token in added if token.special} | set(getattr(tokenizer, "all_special_tokens", []))
    words = re.compile(r"[\w\s']+")
    control = {token.strip() for token in special | {str(token) for token in added if not words.fullmatch(str(token))}}
    patterns = [
        f"(?-i:{re.escape(token)})" if words.fullmatch(token) else re.escape(token)
        for token in sorted(control, key=len, reverse=True)
        if len(token) > 1
    ]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


class TextDecoder:
    """Decodes tokens as they arrive, holding back incomplete characters.

    Args:
        shown: Special tokens that are not left out.
    """

    def __init__(self, tokenizer: Any, shown: Collection[str] = ()) -> None:
        added = getattr(tokenizer, "added_tokens_decoder", {}).items() if shown else ()
        self._hidden = {number for number, token in added if token.special and str(token) not in shown}
        self._shows_special = bool(shown)
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = 0  # where decoding restarts, as a token's text may depend on the one before it
        self._done = 0

    def push(self, tokens: Iterable[int]) -> str:
        """Add tokens, and return the text that became certain."""
        self._tokens += tokens
        before = self._decode(self._tokens[self._start : self._done])
        now = self._decode(self._tokens[self._start :])
        if now.endswith("�") or len(now) <= len(before):
            return ""
        self._start, self._done = self._done, len(self._tokens)
        return now[len(before) :]

    def flush(self) -> str:
        """Return the text held back, at the end."""
        before = self._decode(self._tokens[self._start : self._done])
        now = self._decode(self._tokens[self._start :])
        self._done = len(self._tokens)
        return now[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        if self._shows_special:
            tokens = [token for token in tokens if token not in self._hidden]
        skip = not self._shows_special
        return str(self._tokenizer.decode(tokens, skip_special_tokens=skip, clean_up_tokenization_spaces=False))


class StopTexts:
    """Finds the first complete stop text in a growing text, holding back what may be the beginning of one."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def push(self, piece: str) -> tuple[str, bool]:
        """Add text. Return what is certain, and whether a stop text ended it, wherever the pieces were split."""
        text = self._held + piece
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)[1]], True
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """Return the text held back, at the end."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest suffix of `text` that is a prefix of `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-n:])), 0)
