"""One thread with an event loop for all requests to remote servers.

Thousands of requests can be in flight without a thread each, and each can be cancelled at any moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def submit(work: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Start `work` on the loop. Cancelling the future cancels the work."""
    return asyncio.run_coroutine_threadsafe(work, _running())


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="remote servers", daemon=True).start()
        return _loop
