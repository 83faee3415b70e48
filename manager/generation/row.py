"""One request being written: its tokens, what they say, and when it is complete. Knows no model and no batch."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from manager.errors import ContextTooLong
from manager.generation.grammar import GrammarMatcher
from manager.generation.kv import SHARED, Memo, common
from manager.generation.request import Completion, GenerationRequest
from manager.generation.sampling import Sampler
from manager.generation.stream import TokenStream
from manager.generation.text import ChatTemplate, StopTexts, TextDecoder


@dataclass(frozen=True)
class Arrival:
    """A request as it came in."""

    request: GenerationRequest
    stream: TokenStream
    since: float  # time.monotonic()


class Row:
    """A request that is being written, or soon will be."""

    def __init__(
        self,
        arrival: Arrival,
        prompt: list[int],
        room: int,
        matcher: GrammarMatcher | None,
        tokenizer: Any,
        template: ChatTemplate,
        end_tokens: Collection[int],
    ) -> None:
        if room <= 0:
            context = len(prompt) + room
            raise ContextTooLong(f"the prompt has {len(prompt)} tokens, the model's context {context}")
        config = arrival.request.config
        self.stream = arrival.stream
        self.conversation = arrival.request.conversation
        self.reproducible = config.reproducible
        self.tokens = list(prompt)  # all that the model is to have seen before it goes on
        self.written: list[int] = []
        self.memo: Memo | None = None
        self.reading = True  # until the model has seen all that there was when it began or went on
        self.matcher = matcher
        self.sampler = Sampler(config, arrival.request.seed)
        self.completion: Completion | None = None
        self.longest = len(prompt) + min(config.max_new_tokens, room)
        self._since = arrival.since
        self._prompt_tokens = len(prompt)
        self._end_tokens = end_tokens
        self._decoder = TextDecoder(tokenizer)
        self._stops = StopTexts((*config.stop, *template.stops) if matcher is None else ())
        self._text = ""
        self._forced = 0
        self._first_token = 0.0
        if matcher is not None:
            self._take(matcher.forced(), chosen=0)

    @property
    def pending(self) -> int:
        """How many tokens the model has still to see before it goes on."""
        return len(self.tokens) - (len(self.memo.tokens) if self.memo else 0)

    def about_to_read(self, tokens: Sequence[int]) -> bool:
        """Whether what it still reads of its prompt begins `tokens`, too, and can be copied from it soon."""
        if not self.reading or self.reproducible or self.memo is None:
            return False
        return common(self.tokens, tokens) >= len(self.memo.tokens) + SHARED

    def take(self, token: int) -> None:
        """Go on with a token, and with those that the grammar forces after it; sets `completion` at the end."""
        self._first_token = self._first_token or time.monotonic() - self._since
        if self.matcher is None and token in self._end_tokens:
            self._complete("stop")
        else:
            self._take(self.matcher.advance(token) if self.matcher else [token], chosen=1)

    def _take(self, new: list[int], chosen: int) -> None:
        room = self.longest - len(self.tokens)
        cut, new = len(new) > room, new[:room]
        self.tokens += new
        self.written += new
        self._forced += len(new) - chosen
        piece, stopped = self._stops.push(self._decoder.push([t for t in new if t not in self._end_tokens]))
        self._push(piece)
        if stopped:
            self._complete("stop", flush=False)
        elif self.matcher and self.matcher.finished and not cut:
            self._complete("stop")
        elif len(self.tokens) >= self.longest:
            self._complete("length")

    def _complete(self, reason: Literal["stop", "length"], flush: bool = True) -> None:
        if flush:
            piece, stopped = self._stops.push(self._decoder.flush())
            self._push(piece if stopped else piece + self._stops.flush())
        self.completion = Completion(
            self._text,
            reason,
            self._prompt_tokens,
            len(self.written),
            self._forced,
            self._first_token,
            time.monotonic() - self._since,
            "grammar" if self.matcher is not None else "",
        )

    def _push(self, piece: str) -> None:
        self._text += piece
        self.stream.push(piece)
