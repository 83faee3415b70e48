"""Threads that each do one piece of work and can be joined together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context

from manager.errors import Busy

NO_THREAD = "the server has no room for more work now; try again later"


def begin_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread for some work and return it; raises Busy if the system has no more threads.

    The work runs in the context of the caller: ZeroGPU's client reads from it whose GPU time to use.
    """
    thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise Busy(NO_THREAD) from None
    return thread


class ThreadGroup:
    """The running threads of one purpose. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Do some work on a new thread; raises Busy if there is none, or after `close`."""

        def working() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        with self._lock:  # so that nothing joins a thread that has not started
            if self._closed:
                raise Busy("the program is shutting down")
            self._threads.add(begin_thread(name, working))

    def close(self) -> None:
        """Start nothing more, and wait until all work is done."""
        with self._lock:
            self._closed = True
        self.join()

    def join(self) -> None:
        """Wait until all work is done, including work that starts in the meantime."""
        while threads := self._at_work():
            threads[0].join()

    def _at_work(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._threads)
