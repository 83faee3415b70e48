"""Open pages ask for the status of the models: often while something moves, rarely otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from manager.errors import LoadFailed
from manager.manager import LLMManager
from negotiation.app.parley import Parley
from ui.drawing.model_strip import strip_html
from ui.server.status import LATER, SOON, status_routes


class Page:
    """A manager whose status is served."""

    def __init__(self) -> None:
        models = {"m": {"type": "fake", "size_bytes": 900}, "bad": {"type": "fake", "fail_loads": 1}}
        self.manager = LLMManager(models)
        self.lanes = SimpleNamespace(closed=False)
        draw = lambda snapshot, closing: strip_html(snapshot, {}, closing=closing)  # noqa: E731
        self._client = TestClient(Starlette(routes=status_routes(cast(Parley, self), draw)))

    def ask(self, seen: str = "") -> dict[str, Any]:
        answer = self._client.get("/status", params={"seen": seen})
        assert answer.headers["cache-control"] == "no-store"
        return dict(answer.json())


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.manager.cleanup()


def test_the_strip_is_sent_only_when_it_has_changed(page: Page) -> None:
    first = page.ask()
    assert "2 models load on first use" in first["strip"]
    again = page.ask(first["seen"])
    assert (again["process"], again["strip"]) == (first["process"], None)
    page.manager.load_model("m")
    loaded = page.ask(first["seen"])
    assert "<b>m</b>" in loaded["strip"]
    assert loaded["seen"] != first["seen"]


def test_pages_ask_often_only_while_something_moves(page: Page) -> None:
    assert page.ask()["again"] == LATER
    with page.manager.lease("m"):
        assert page.ask()["again"] == SOON
    assert page.ask()["again"] == LATER
    assert 1 / LATER < 0.5, "an idle page sends less than one request in two seconds"


def test_a_failed_attempt_is_counted_down(page: Page) -> None:
    with pytest.raises(LoadFailed):
        page.manager.load_model("bad")
    failed = page.ask()
    assert "next try in" in failed["strip"]
    assert failed["again"] == SOON


def test_a_server_that_shuts_down_says_so(page: Page) -> None:
    seen = page.ask()["seen"]
    page.lanes.closed = True
    assert "restarting" in page.ask(seen)["strip"]
