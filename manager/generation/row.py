"""One request being written: its tokens, their text, and when it is complete."""

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
    """A request as it arrived."""

    request: GenerationRequest
    stream: TokenStream
    since: float  # time.monotonic()


class Row:
    """A request that is being written, or soon will be."""

    def __init__(
        self,
        arrival: Arrival,
        *,
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
        self.tokens = list(prompt)  # what the model must have read before the next token
        self.written: list[int] = []
        self.memo: Memo | None = None
        self.reading = True  # until the model has read all tokens from when it began or resumed
        self.matcher = matcher
        self.sampler = Sampler(config, arrival.request.seed)
        self.completion: Completion | None = None
        self.longest = len(prompt) + min(config.max_new_tokens, room)
        self._since = arrival.since
        self._prompt_tokens = len(prompt)
        self._end_tokens = end_tokens
        self._transcript = template.plain
        self._decoder = TextDecoder(tokenizer)
        self._stops = StopTexts((*config.stop, *template.stops) if matcher is None else ())
        self._text = ""
        self._forced = 0
        self._first_token = 0.0
        if matcher is not None:
            self._take(matcher.forced(), chosen=0)

    @property
    def pending(self) -> int:
        """The number of tokens that the model has not read yet."""
        return len(self.tokens) - (len(self.memo.tokens) if self.memo else 0)

    def about_to_read(self, tokens: Sequence[int]) -> bool:
        """Return whether it is reading a prefix of `tokens`, which can be copied from it soon."""
        if not self.reading or self.reproducible or self.memo is None:
            return False
        return common(self.tokens, tokens) >= len(self.memo.tokens) + SHARED

    def take(self, token: int) -> None:
        """Append a token and those that the grammar forces after it. Sets `completion` at the end."""
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
            text=self._text,
            finish_reason=reason,
            prompt_tokens=self._prompt_tokens,
            tokens=len(self.written),
            forced_tokens=self._forced,
            first_token_seconds=self._first_token,
            seconds=time.monotonic() - self._since,
            held="grammar" if self.matcher is not None else "",
            transcript=self._transcript,
        )

    def _push(self, piece: str) -> None:
        self._text += piece
        self.stream.push(piece)
