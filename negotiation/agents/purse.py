"""Who pays for a run, and what it may still cost. In memory only, with the run that spends it; never stored.

A limit is kept by setting aside what a request can cost at most before it is sent: all tokens of the prompt, and a
reply of the greatest length. A request for which too little is left is not sent. What a server wrote in vain, before it
broke off and was asked again, counts afterwards.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from manager.cancel import CancelToken
from manager.config.model_spec import Price
from manager.credentials import Handle
from manager.errors import (
    CredentialExpired,
    CredentialMissing,
    CredentialRejected,
    OutOfCredit,
    ParleyError,
)
from manager.generation.request import Completion, Message, Usage
from manager.generation.stream import TokenStream
from negotiation.errors import SpendingLimit

LIMIT = 0.25
"""US dollars that a negotiation may cost, unless whoever pays says otherwise."""
BYTES_PER_TOKEN = 4
"""A rule of thumb for what a text costs."""
LEAST_BYTES_PER_TOKEN = 3
"""For what it costs at most."""
TOKENS_PER_MESSAGE = 8
"""What a chat template adds."""
POLL_SECONDS = 0.25
WALLET_ERRORS = (CredentialMissing, CredentialExpired, CredentialRejected, OutOfCredit, SpendingLimit)
"""Errors after which nothing more can be paid for, until the visitor does something about it."""


@dataclass(frozen=True)
class Payer:
    """Who pays for a run, as its visitor said when it started or continued.

    Args:
        credential: The handle of the visitor's own keys.
        limit: US dollars that the run may cost in all, as far as its models have a price; None for no limit.
    """

    credential: Handle | None = None
    limit: float | None = None


class Purse:
    """What a run, or all negotiations of a comparison together, may still cost. Thread-safe.

    Args:
        payer: Who pays, and up to which limit.
        spent: US dollars that were spent before, by a run that is continued.
    """

    def __init__(self, payer: Payer | None = None, spent: float = 0.0) -> None:
        self._payer = payer or Payer()
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._spent = spent
        self._aside = 0.0
        self.trouble: ParleyError | None = None
        """Why nothing more can be paid for, once that is so."""

    @property
    def credential(self) -> Handle | None:
        """The handle of the visitor's own keys."""
        return self._payer.credential

    @property
    def spent(self) -> float:
        """US dollars spent so far."""
        with self._lock:
            return self._spent

    @contextmanager
    def paying(
        self, price: Price | None, messages: Sequence[Message], most_tokens: int, cancel: CancelToken
    ) -> Iterator[Bill]:
        """Set aside what a request can cost at most, and pay what it did cost after the block.

        If only what others have set aside is in the way, wait until they have paid.

        Args:
            price: The price of the model's tokens; None if nobody knows it.
            messages: The prompt.
            most_tokens: The most tokens of the reply.
            cancel: Ends the wait.

        Raises:
            SpendingLimit: It could cost more than is left of the limit.
            Cancelled: `cancel` was cancelled.
        """
        bill = Bill(price, messages)
        most = price.of(prompt_tokens(messages, LEAST_BYTES_PER_TOKEN), most_tokens) if price is not None else 0.0
        with self._lock:
            while most and self._left() < most:
                if self._left() + self._aside < most:
                    raise SpendingLimit(self._stopped())
                self._settled.wait(POLL_SECONDS)
                cancel.check()
            self._aside += most
        try:
            yield bill
        finally:
            with self._lock:
                self._aside = max(0.0, self._aside - most)
                self._spent += bill.cost
                self._settled.notify_all()

    def _left(self) -> float:
        """Return what is neither spent nor set aside; infinity without a limit. Called with the lock held."""
        limit = self._payer.limit
        return math.inf if limit is None else limit - self._spent - self._aside

    def _stopped(self) -> str:
        limit, spent = self._payer.limit or 0.0, self._spent
        return f"stopped at your limit of {dollars(limit)}; it has cost {dollars(spent)} so far"

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Remember an error after which nothing more can be paid for."""
        try:
            yield
        except WALLET_ERRORS as error:
            self.trouble = error
            raise


class Bill:
    """What one request costs: as the server counted it, or estimated from what was written before it broke off."""

    def __init__(self, price: Price | None, messages: Sequence[Message]) -> None:
        self._price = price
        self._messages = messages
        self._written = 0
        self._done: Completion | None = None
        self._stream: TokenStream | None = None

    def add(self, piece: str) -> None:
        """Count a piece of the reply."""
        self._written += len(piece.encode("utf-8", "replace"))

    def finish(self, done: Completion) -> None:
        """Count the reply as the server did."""
        self._done = done

    def follow(self, stream: TokenStream) -> None:
        """Count what a stream does not pass on, too: attempts that were repeated, and thinking."""
        self._stream = stream

    @property
    def estimated(self) -> bool:
        """Whether a part of it was not counted by the server."""
        counted = self._done is not None and not self._done.estimated and self._lost == Usage()
        return not counted and self._used() != Usage()

    @property
    def cost(self) -> float:
        """US dollars; 0 without a price or a reply."""
        used = self._used()
        return self._price.of(used.prompt, used.reply) if self._price is not None else 0.0

    def _used(self) -> Usage:
        if self._done is not None:
            return self._lost + Usage(self._done.prompt_tokens, self._done.tokens)
        used = self._stream.used if self._stream is not None else Usage()
        if used.prompt or not self._written:
            return used
        return Usage(prompt_tokens(self._messages), math.ceil(self._written / BYTES_PER_TOKEN))

    @property
    def _lost(self) -> Usage:
        return self._stream.lost if self._stream is not None else Usage()


def prompt_tokens(messages: Sequence[Message], bytes_per_token: int = BYTES_PER_TOKEN) -> int:
    """Return the estimated tokens of a conversation."""
    sizes = [len(message["content"].encode("utf-8", "replace")) for message in messages]
    return sum(math.ceil(size / bytes_per_token) + TOKENS_PER_MESSAGE for size in sizes)


def dollars(amount: float) -> str:
    """Return an amount for people: with cents, and smaller parts where they matter.

    >>> dollars(0.1), dollars(2.5), dollars(0.005), dollars(0.09873)
    ('$0.10', '$2.50', '$0.0050', '$0.0987')
    """
    return f"${amount:.2f}" if round(amount, 4) == round(amount, 2) else f"${amount:.4f}"
