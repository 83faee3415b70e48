"""The signals of the process, handled without locks in signal handlers.

Python's own C-level handler, which is async-signal-safe, writes the number of each signal to a socket. A thread reads
the socket and acts. The Python-level handlers do nothing, so that a signal that arrives while one runs does no harm.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

_CHUNK = 4096
_SIGHUP = int(getattr(signal, "SIGHUP", 0))  # not on Windows


class Signals:
    """Turns SIGINT and SIGTERM into one request to stop, and SIGHUP into a request to reload.

    Further SIGTERMs change nothing, however many arrive: service managers signal whole process groups, whose members
    pass the signal on. A SIGINT (Ctrl-C) after the request ends the process at once with status 1.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._reload_wanted = threading.Event()
        self._received, self._written = socket.socketpair()

    def listen(self) -> None:
        """Handle the signals from now on; call it once, on the main thread."""
        self._written.setblocking(False)
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        # A forked worker shares the socket: without this, a signal to the worker would stop this process.
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=self._read, name="signals", daemon=True).start()
        for number in filter(None, (signal.SIGINT, signal.SIGTERM, _SIGHUP)):
            signal.signal(number, lambda *_: None)

    def wait(self, reload: Callable[[], None]) -> None:
        """Wait until SIGINT or SIGTERM has arrived; until then, call `reload` on a thread after each SIGHUP."""
        threading.Thread(target=self._reload_repeatedly, args=(reload,), name="reload", daemon=True).start()
        self._stopping.wait()

    def _read(self) -> None:
        while received := self._received.recv(_CHUNK):
            interrupts = received.count(signal.SIGINT)
            if interrupts > 1 or (interrupts and self._stopping.is_set()):
                os._exit(1)  # the next start marks what ran as interrupted
            if interrupts or signal.SIGTERM in received:
                self._stopping.set()
            if _SIGHUP in received:
                self._reload_wanted.set()

    def _reload_repeatedly(self, reload: Callable[[], None]) -> None:
        while self._reload_wanted.wait():
            self._reload_wanted.clear()
            reload()
