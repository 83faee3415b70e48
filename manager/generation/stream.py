"""Streams of text: one producer, one consumer, and a guaranteed end.

The producer never waits for the consumer. Unread text is stored in one string, so that a slow or absent consumer costs
no more than the text itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from manager.cancel import CancelToken
from manager.errors import Cancelled, Failure, GenerationFailed
from manager.generation.request import Completion, Usage

LET_GO_SECONDS = 10.0
"""How long a consumer waits for a cancelled producer, as a pass of a large model takes its time."""


class TokenStream:
    """Iterate over it for pieces of text; afterwards `completion` is the finished reply.

    Iteration ends when the text is complete, and raises when writing failed or was cancelled. Closing the stream, or
    leaving a `with` block around it, cancels the writing. If the producer hangs, the consumer waits LET_GO_SECONDS, and
    what the stream `keeps` stays alive until the producer ends.

    Args:
        cancel: A token of the caller's, which cancels the writing.
        keeps: An object to keep alive while the text is being written.
    """

    def __init__(self, cancel: CancelToken | None = None, keeps: object = None) -> None:
        self.cancel_token = CancelToken()
        self.stage = ""
        """What the producer waits for before the first text: "loading" while a remote server loads its model."""
        self.lost = Usage()
        """The tokens of earlier attempts, which came to nothing and cost something all the same."""
        self._attempt: Callable[[], Usage] = Usage
        self._keeps = keeps
        self._changed = threading.Condition()
        self._unread = ""
        self._completion: Completion | None = None
        self._failure: Failure | None = None
        self._ended = False
        self._overdue_at = math.inf
        self.cancel_token.on_cancel(self._cancelled)
        self._forget = cancel.on_cancel(self.cancel_token.cancel) if cancel else lambda: None

    # -- for the producer --------------------------------------------------------------------------------------

    def push(self, piece: str) -> None:
        """Add a piece of text."""
        if piece:
            with self._changed:
                self._unread += piece
                self._changed.notify_all()

    def attempt(self, used: Callable[[], Usage]) -> None:
        """Begin to write, or begin anew.

        Args:
            used: Returns the tokens that this attempt has used so far, on any thread.
        """
        self.lost += self._attempt()
        self._attempt = used

    def finish(self, completion: Completion) -> None:
        """End the stream with a complete text."""
        self._end(completion, None)

    def fail(self, error: BaseException) -> None:
        """End the stream with an error, of which only the type and message are stored."""
        self._end(None, Failure.of(error, GenerationFailed))

    @contextmanager
    def producing(self) -> Iterator[None]:
        """Guarantee that the stream ends, around everything that a producer does.

        The consumer gets any error, including panics of Rust extensions (which are not Exceptions).
        """
        try:
            yield
        except BaseException as error:  # noqa: BLE001 (the consumer waits for the end)
            self.fail(error)
        finally:
            self.fail(GenerationFailed("the writing stopped without an end"))

    def _end(self, completion: Completion | None, failure: Failure | None) -> None:
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self._keeps = None
            self._completion, self._failure = completion, failure
            self._changed.notify_all()
        self._forget()

    # -- for the consumer --------------------------------------------------------------------------------------

    def read(self, timeout: float | None = None) -> str | None:
        """Wait for new text and return all of it; None at the end, "" after `timeout` seconds without any.

        Raises the producer's error once all text before it was read.
        """
        with self._changed:
            self._wait(lambda: bool(self._unread) or self._ended, timeout)
            piece, self._unread = self._unread, ""
            if not piece and not self._ended and time.monotonic() >= self._overdue_at:
                raise cancelled()
            if piece or not self._ended:
                return piece
            if self._failure is not None:
                raise self._failure.error()
            return None

    def __iter__(self) -> Iterator[str]:
        try:
            while (piece := self.read()) is not None:
                yield piece
        finally:
            self.close()

    @property
    def used(self) -> Usage:
        """The tokens so far, those of earlier attempts included; none if the producer does not count them."""
        return self.lost + self._attempt()

    @property
    def ended(self) -> bool:
        """Whether the producer has ended: complete, failed or cancelled."""
        return self._ended

    @property
    def completion(self) -> Completion:
        """The finished reply. Raises the failure if there was one, and GenerationFailed while it is being written."""
        with self._changed:
            if self._failure is not None:
                raise self._failure.error()
            if self._completion is None:
                raise GenerationFailed("the text is not complete yet; read the stream to its end first")
            return self._completion

    def close(self) -> None:
        """Cancel unfinished writing, and wait until the producer ends or seems to hang; see `ended`."""
        if not self._ended:
            self.cancel_token.cancel()
        with self._changed:
            self._wait(lambda: self._ended)

    def _cancelled(self) -> None:
        with self._changed:
            self._overdue_at = time.monotonic() + LET_GO_SECONDS
            self._changed.notify_all()

    def _wait(self, done: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until `done`, up to `timeout` seconds, or until a cancelled producer is overdue."""
        ends = math.inf if timeout is None else time.monotonic() + timeout
        while not done() and (left := min(ends, self._overdue_at) - time.monotonic()) > 0:
            self._changed.wait(min(left, threading.TIMEOUT_MAX))

    def __enter__(self) -> TokenStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cancelled() -> Cancelled:
    """Return the error with which a cancelled producer ends its stream."""
    return Cancelled("stopped while writing")
