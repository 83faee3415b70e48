"""A way to give up that can be handed down: whoever works listens, whoever started it may cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable

from manager.errors import Cancelled


class CancelToken:
    """Cancelled once and for good. Callbacks run at once, in the cancelling thread.

    >>> token = CancelToken()
    >>> forget = token.on_cancel(lambda: None)
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
        """Cancel; does nothing the second time."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when cancelled, at once if it already is; returns a function that takes this back."""
        with self._lock:
            if not self._event.is_set():
                number = self._next = self._next + 1
                self._callbacks[number] = callback
                return lambda: self._forget(number)
        callback()
        return lambda: None

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`, waking early when cancelled; whether it was."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise Cancelled if it was."""
        if self.cancelled:
            raise Cancelled("cancelled")

    def _forget(self, number: int) -> None:
        with self._lock:
            self._callbacks.pop(number, None)
