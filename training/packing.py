"""Conversations as tokens, and lessons as packs of them: whatever they begin with in common is there only once.

A conversation's tokens are those that the program's own engine reads, and all replies in it are learned at once: an
agent's conversation only grows at its end, so that the prompt of every turn is a prefix of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from manager.generation.request import Message
from manager.generation.text import ChatTemplate

IGNORED = -100
"""The label of a token that is not learned."""
DECIDES = 1.0
"""The weight of a token of a thought, an action or an offer; those of messages weigh less, those of verdicts more."""
MESSAGE = '"message": "'
"""Begins the part of a reply that holds the words."""
VERDICT, VERDICT_TOKENS = re.compile(r'(?<=:) (?=[^":]*", "action")'), 2
"""Where a thought says whether an offer is good enough, after its last colon, and in how many tokens: " too low"."""


@dataclass(frozen=True)
class Encoded:
    """A conversation as tokens.

    Attributes:
        tokens: All tokens.
        weights: How much each token counts in the loss; 0 where it is not learned.
        first: The place of the first reply's first token.
    """

    tokens: list[int]
    weights: list[float]
    first: int


@dataclass(frozen=True)
class Piece:
    """A stretch of a pack, in which each token reads those before it, and those of a prefix (from 0 to `prefix`)."""

    start: int
    end: int
    prefix: int = 0


@dataclass(frozen=True)
class Pack:
    """Conversations with a common beginning, in one row. Shapes: [tokens].

    Attributes:
        tokens: The tokens.
        positions: The position of each token in its own conversation.
        labels: The token that follows each token, or IGNORED.
        weights: How much each label counts.
        pieces: The common beginning, and what follows it in each conversation.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    pieces: tuple[Piece, ...]


def encoded(
    template: ChatTemplate,
    end: int,
    messages: Sequence[Message],
    learned: Sequence[bool],
    *,
    message_weight: float,
    verdict_weight: float,
) -> Encoded:
    """Return a conversation that ends with a reply as tokens.

    Args:
        template: Renders conversations as the engine does.
        end: The token that ends a message.
        messages: The conversation.
        learned: For each reply, whether it is learned.
        message_weight: What a token of a message counts, beside `DECIDES` for most others of a reply.
        verdict_weight: What a token of a thought's verdict counts.

    Raises:
        ValueError: A turn's prompt is not a prefix of what follows it, so the engine would read other tokens.
    """
    tokens: list[int] = []
    weights: list[float] = []
    first = 0
    places = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    for place, is_learned in zip(places, learned, strict=True):
        prompt = template.encode(messages[:place])
        if prompt[: len(tokens)] != tokens:
            raise ValueError("a prompt does not continue the conversation before it")
        first = first or len(prompt)
        weights += [0.0] * (len(prompt) - len(weights))
        text = messages[place]["content"]
        whole = _after(template, end, messages[: place + 1], prompt)
        tokens = prompt + whole
        size_of = partial(_size, template, end, messages[:place], prompt)
        decides = size_of(text[: text.index(MESSAGE)])
        each = [DECIDES] * decides + [message_weight] * (len(whole) - decides)
        if verdict := VERDICT.search(text):
            at = size_of(text[: verdict.start()])
            each[at : at + VERDICT_TOKENS] = [verdict_weight] * VERDICT_TOKENS
        weights += each if is_learned else [0.0] * len(whole)
    return Encoded(tokens, weights, first)


def _after(template: ChatTemplate, end: int, messages: Sequence[Message], prompt: list[int]) -> list[int]:
    """Return the tokens of the last message, with the mark of its end."""
    whole = template.encode([*messages, {"role": "user", "content": "."}])
    if whole[: len(prompt)] != prompt:
        raise ValueError("a reply does not continue its prompt")
    return whole[len(prompt) : whole.index(end, len(prompt)) + 1]


def _size(template: ChatTemplate, end: int, earlier: Sequence[Message], prompt: list[int], begun: str) -> int:
    """Return the number of tokens in the beginning of a reply."""
    return len(_after(template, end, [*earlier, {"role": "assistant", "content": begun}], prompt)) - 1


def pack(conversations: Sequence[Encoded], most_tokens: int) -> Pack:
    """Return conversations with a common beginning as a pack.

    Those that exceed `most_tokens` are left out; if all do, the shortest is learned.
    """
    fitting = [one for one in conversations if len(one.tokens) <= most_tokens]
    conversations = fitting or [min(conversations, key=lambda one: len(one.tokens))]
    shared = common(conversations)
    tokens = list(conversations[0].tokens[:shared])
    positions, labels, weights = list(range(shared)), [IGNORED] * shared, [0.0] * shared
    pieces = [Piece(0, shared)] if shared else []
    for one in conversations:
        own = one.tokens[shared:]
        if len(pieces) > 1 and len(tokens) + len(own) > most_tokens:
            continue
        pieces.append(Piece(len(tokens), len(tokens) + len(own), shared))
        tokens += own
        positions += range(shared, len(one.tokens))
        following = [*one.weights[shared + 1 :], 0.0]
        weights += following
        labels += [token if weight else IGNORED for token, weight in zip([*own[1:], IGNORED], following, strict=True)]
    return Pack(
        torch.tensor(tokens), torch.tensor(positions), torch.tensor(labels), torch.tensor(weights), tuple(pieces)
    )


def common(conversations: Sequence[Encoded]) -> int:
    """Return how many tokens all conversations begin with, before the token that predicts the first reply."""
    most = min(one.first for one in conversations) - 1
    first = conversations[0].tokens
    same = (next((at for at in range(most) if one.tokens[at] != first[at]), most) for one in conversations)
    return min(same) if len(conversations) > 1 else 0
