"""Frees what Gradio stores for a page some time after the page was closed.

Gradio stores the settings of every component for each page that was ever opened (half a megabyte for this one), and for
each call of a program, until there are ten thousand.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

AWAY_SECONDS = 120.0
"""How long a page may be unreachable, with its network down or its computer asleep, and still go on unchanged."""
MOST_SESSIONS = 2000
SWEEP_SECONDS = 30.0
HEARTBEAT = "/gradio_api/heartbeat/"


class SessionSweeper:
    """Middleware that knows the open pages by their heartbeats, and regularly frees what the others left."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app = app
        self._page = page
        self._open: Counter[str] = Counter()
        self._swept = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._swept = time.monotonic()
            self.sweep()
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(HEARTBEAT):
            await self._app(scope, receive, send)
            return
        session = path.removeprefix(HEARTBEAT)
        self._open[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    def sweep(self) -> None:
        """Forget pages that are not open and have sent no request for AWAY_SECONDS."""
        holder = self._page.state_holder
        limit = datetime.now() - timedelta(seconds=AWAY_SECONDS)  # noqa: DTZ005 (naive, like those that Gradio records)
        with holder.lock:
            for session, used in list(holder.time_last_used.items()):
                if used < limit and session not in self._open:
                    holder.time_last_used.pop(session, None)
                    holder.session_data.pop(session, None)
