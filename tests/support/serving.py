"""Stand-ins for servers, while a block runs."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Stand = TypeVar("Stand", bound=http.server.ThreadingHTTPServer)


@contextmanager
def serving(server: Stand) -> Iterator[Stand]:
    """Answers on a thread of its own; at the end the thread and the socket are gone."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
