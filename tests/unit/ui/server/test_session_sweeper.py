"""What is kept for a page goes some time after the page did, and not while it is open."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from gradio.state_holder import StateHolder

from ui.server import session_sweeper as sessions
from ui.server.session_sweeper import Sessions


class Page:
    """A page as far as it is looked at, with what Gradio really keeps."""

    def __init__(self) -> None:
        self.state_holder = StateHolder()

    def seen(self, session: str, seconds_ago: float) -> None:
        """Somebody's page asked for something so long ago."""
        self.state_holder.session_data[session] = object()
        self.state_holder.time_last_used[session] = datetime.now() - timedelta(seconds=seconds_ago)  # noqa: DTZ005


def ask(middleware: Sessions, path: str) -> None:
    """Have a request served by hand: in the whole suite a browser's loop runs in this thread already."""
    with pytest.raises(StopIteration):
        middleware({"type": "http", "path": path}, None, None).send(None)  # type: ignore[arg-type]


def test_pages_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page()
    kept: list[list[str]] = []

    async def app(scope: Any, *_: Any) -> None:
        middleware.sweep()
        kept.append(sorted(page.state_holder.session_data))

    middleware = Sessions(app, page)
    for session, ago in (("open", 5000), ("away", 60), ("gone", 121)):
        page.seen(session, ago)
    ask(middleware, "/gradio_api/heartbeat/open")
    assert kept == [["away", "open"]]
    page.seen("gone", 5000)
    monkeypatch.setattr(sessions, "SWEEP_SECONDS", 0.0)
    ask(middleware, "/anything")
    assert kept[1] == ["away"], "a page whose heartbeat ended is open no more"
    assert sorted(page.state_holder.time_last_used) == ["away"]
