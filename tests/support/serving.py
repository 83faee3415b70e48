"""Runs stand-in servers for the duration of a block."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Stand = TypeVar("Stand", bound=http.server.ThreadingHTTPServer)


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
