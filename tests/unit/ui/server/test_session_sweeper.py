"""What Gradio stores for a page is freed some time after the page was closed, never while it is open."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from gradio.state_holder import StateHolder

from ui.server import session_sweeper as sessions
from ui.server.session_sweeper import SessionSweeper


class Page:
    """The part of a page that the sweeper uses, with Gradio's own store."""

    def __init__(self) -> None:
        self.state_holder = StateHolder()

    def seen(self, session: str, seconds_ago: float) -> None:
        """Record the last request of a session."""
        self.state_holder.session_data[session] = object()
        self.state_holder.time_last_used[session] = datetime.now() - timedelta(seconds=seconds_ago)  # noqa: DTZ005


def ask(middleware: SessionSweeper, path: str) -> None:
    """Serve a request by hand, because in a full test run a browser's event loop already runs in this thread."""
    with pytest.raises(StopIteration):
        middleware({"type": "http", "path": path}, None, None).send(None)  # type: ignore[arg-type]


def test_closed_pages_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page()
    stored: list[list[str]] = []

    async def app(scope: Any, *_: Any) -> None:
        middleware.sweep()
        stored.append(sorted(page.state_holder.session_data))

    middleware = SessionSweeper(app, page)
    for session, ago in (("open", 5000), ("away", 60), ("gone", 121)):
        page.seen(session, ago)
    ask(middleware, "/gradio_api/heartbeat/open")
    assert stored == [["away", "open"]]
    page.seen("gone", 5000)
    monkeypatch.setattr(sessions, "SWEEP_SECONDS", 0.0)
    ask(middleware, "/anything")
    assert stored[1] == ["away"], "a page whose heartbeat has ended is no longer open"
    assert sorted(page.state_holder.time_last_used) == ["away"]
