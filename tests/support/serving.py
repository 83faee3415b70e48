"""Runs stand-in servers for the duration of a block."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar


class StandIn(http.server.ThreadingHTTPServer):
    """A loopback server on a free port, for clients that all connect at once.

    With the usual backlog of five, the kernel resets connections if a busy machine accepts them too slowly.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)


Stand = TypeVar("Stand", bound=StandIn)


@contextmanager
def serving(server: Stand) -> Iterator[Stand]:
    """Serve on a separate thread, and end the thread and close the socket afterwards."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
