"""Threads that do a piece of work each, and that can be waited for. Knows nothing of the work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from manager.errors import Busy

NO_THREAD = "the server has no room for more work now; try again later"


def begin_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """Do some work on a thread of its own, which does not keep the process alive.

    Raises Busy if the system gives no more threads.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise Busy(NO_THREAD) from None
    return thread


class ThreadGroup:
    """Threads that are at work. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Do some work on one more thread; raises Busy if there is none, or after `close`."""

        def working() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        with self._lock:  # so that nobody waits for a thread that has not begun
            if self._closed:
                raise Busy("nothing more is begun")
            self._threads.add(begin_thread(name, working))

    def close(self) -> None:
        """Begin nothing more, and wait until all work is done."""
        with self._lock:
            self._closed = True
        self.join()

    def join(self) -> None:
        """Wait until no work is done any more, what is begun meanwhile included."""
        while threads := self._at_work():
            threads[0].join()

    def _at_work(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._threads)
