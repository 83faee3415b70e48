"""One request being written: its tokens, their text, and when it is complete."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from manager.errors import ContextTooLong
from manager.generation.forward.kv import SHARED, Memo, common
from manager.generation.grammar import GrammarMatcher
from manager.generation.reply import ReplyFilter, all_thinking
from manager.generation.request import Completion, GenerationRequest
from manager.generation.sampling import Sampler
from manager.generation.stream import TokenStream
from manager.generation.text import ChatTemplate, StopTexts, TextDecoder
from manager.generation.thinking import SPECIAL_MARKS


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
        request, config = arrival.request, arrival.request.config
        self.stream = arrival.stream
        self.conversation = request.conversation
        self.reproducible = config.reproducible
        self.tokens = list(prompt)  # what the model must have read before the next token
        self.written: list[int] = []
        self.memo: Memo | None = None
        self.reading = True  # until the model has read all tokens from when it began or resumed
        self.matcher = matcher
        self.sampler = Sampler(config, request.seed)
        self.completion: Completion | None = None
        self.longest = len(prompt) + min(config.max_new_tokens, room)
        self._since = arrival.since
        self._prompt_tokens = len(prompt)
        self._end_tokens = end_tokens
        self._transcript = template.plain
        free = request.grammar is not None and matcher is None  # JSON is expected, and nothing enforces it
        self._decoder = TextDecoder(tokenizer, SPECIAL_MARKS if free else ())
        self._reply = ReplyFilter(expects_json=True, thinking=request.thinking > 0) if free else None
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
        elif (self.matcher and self.matcher.finished and not cut) or (self._reply and self._reply.over):
            self._complete("stop")
        elif len(self.tokens) >= self.longest:
            self._complete("length")

    def _complete(self, reason: Literal["stop", "length"], flush: bool = True) -> None:
        if flush:
            piece, stopped = self._stops.push(self._decoder.flush())
            self._push(piece if stopped else piece + self._stops.flush())
        reply = self._reply
        if reply is not None:
            self._show(reply.end() + reply.close())
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
            note=self._note(reply, reason) if reply is not None else "",
        )

    def _note(self, reply: ReplyFilter, reason: Literal["stop", "length"]) -> str:
        """Return what was unusual about the end of a free reply, as a sentence."""
        if reply.only_thinking and reason == "length":
            return all_thinking(f"{len(self.written)}", "switch to a grammar with the option 'guard'")
        return "The model wrote its thinking, but no reply." if reply.only_thinking else reply.cut

    def _push(self, written: str) -> None:
        self._show(self._reply.feed(written) if self._reply is not None else written)

    def _show(self, piece: str) -> None:
        self._text += piece
        self.stream.push(piece)
