"""What Gradio keeps for each open page, given up some time after the page was closed.

Gradio keeps the settings of every component for each page that was ever opened (half a megabyte with ours), and for
each call of a program, until there are ten thousand.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

KEPT_SECONDS = 120.0
"""For so long a page may be away, because its network is or its computer sleeps, and goes on as if nothing had been."""
MOST_SESSIONS = 2000
SWEEP_SECONDS = 30.0
_HEARTBEAT = "/gradio_api/heartbeat/"


class Sessions:
    """Middleware that knows which pages are open by their heartbeats, and sweeps up after the others now and then."""

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
        if scope["type"] != "http" or not path.startswith(_HEARTBEAT):
            await self._app(scope, receive, send)
            return
        session = path.removeprefix(_HEARTBEAT)
        self._open[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    def sweep(self) -> None:
        """Forget pages that are not open and asked for nothing since KEPT_SECONDS."""
        holder = self._page.state_holder
        limit = datetime.now() - timedelta(seconds=KEPT_SECONDS)  # noqa: DTZ005 (as Gradio notes it)
        with holder.lock:
            for session, used in list(holder.time_last_used.items()):
                if used < limit and session not in self._open:
                    holder.time_last_used.pop(session, None)
                    holder.session_data.pop(session, None)
