"""Frees what Gradio stores for a page some time after the page was closed.

Gradio stores the settings of every component for each page that was ever opened (half a megabyte for this one), and for
each call of a program, until there are ten thousand.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

AWAY_SECONDS = 120.0
"""How long a page may be unreachable, with its network down or its computer asleep, and still go on unchanged."""
MOST_SESSIONS = 2000
SWEEP_SECONDS = 30.0
HEARTBEAT = "/gradio_api/heartbeat/"


class Connected:
    """Who is connected, by name. Each may be connected several times.

    >>> pages = Connected()
    >>> with pages.while_in("a"), pages.while_in("a"):
    ...     "a" in pages
    True
    >>> "a" in pages
    False
    """

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    @contextmanager
    def while_in(self, name: str) -> Iterator[None]:
        """Count a name for the time of the block."""
        self._times[name] += 1
        try:
            yield
        finally:
            self._times[name] -= 1
            if not self._times[name]:
                del self._times[name]

    def __contains__(self, name: object) -> bool:
        return name in self._times


class SessionSweeper:
    """Middleware that knows the open pages by their heartbeats, and regularly frees what the others left."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app = app
        self._page = page
        self._open = Connected()
        self._swept = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._swept = time.monotonic()
            self.sweep()
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(HEARTBEAT):
            await self._app(scope, receive, send)
            return
        with self._open.while_in(path.removeprefix(HEARTBEAT)):
            await self._app(scope, receive, send)

    def sweep(self) -> None:
        """Forget pages that are not open and have sent no request for AWAY_SECONDS."""
        holder = self._page.state_holder
        limit = datetime.now() - timedelta(seconds=AWAY_SECONDS)  # noqa: DTZ005 (naive, like those that Gradio records)
        with holder.lock:
            for session, used in list(holder.time_last_used.items()):
                if used < limit and session not in self._open:
                    holder.time_last_used.pop(session, None)
                    holder.session_data.pop(session, None)
