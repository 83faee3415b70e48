"""Cancellation tokens: the caller cancels, and the callee checks or listens."""

from __future__ import annotations

import threading
from collections.abc import Callable

from manager.errors import Cancelled


class CancelToken:
    """A flag that can be set once. Its callbacks run at once, in the cancelling thread.

    >>> from manager import CancelToken
    >>> token = CancelToken()
    >>> remove = token.on_cancel(lambda: None)
    >>> token.cancelled
    False
    >>> token.cancel()
    >>> token.cancelled
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Set the flag and run the callbacks. Does nothing the second time."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on cancellation, or at once if it has happened. Return a function that removes it."""
        with self._lock:
            if not self._event.is_set():
                number = self._next = self._next + 1
                self._callbacks[number] = callback
                return lambda: self._remove(number)
        callback()
        return lambda: None

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`, waking early on cancellation. Return whether it was cancelled."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise Cancelled if `cancel` was called."""
        if self.cancelled:
            raise Cancelled("cancelled")

    def _remove(self, number: int) -> None:
        with self._lock:
            self._callbacks.pop(number, None)
