"""The catalogue of provider models: asked for in the background, kept for a while, and used when the router fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from manager.config.provider_catalog import AGAIN_SECONDS, FRESH_SECONDS, MOST_BYTES, ProviderCatalog
from manager.config.provider_models import ShippedModel
from tests.support.remote_server import Behaviour, Call, FaultyServer, refuses

PATIENCE = 60.0
SHIPPED = {"shipped/model": ShippedModel(label="Shipped")}


def lists(*names: str) -> Behaviour:
    data = json.dumps({"data": [{"id": name} for name in names]}).encode()
    return lambda call: call.start(200, "application/json").raw(data)


class Router:
    """A router, a clock that the test moves, and the catalogue between them."""

    def __init__(self, server: FaultyServer) -> None:
        self.server, self.now, self.looks = server, 0.0, 0
        self.behaviour: Behaviour = lists("owner/a")
        server.looked = self._look
        self.catalog = ProviderCatalog(server.base_url, SHIPPED, clock=lambda: self.now)

    def _look(self, call: Call) -> object:
        self.looks += 1
        return self.behaviour(call)

    def names(self) -> list[str]:
        self.catalog.wait(PATIENCE)
        return [model.name for model in self.catalog.models().values()]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FaultyServer()
    yield Router(server)
    server.close()


def test_nobody_waits_for_the_router(router: Router) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow(call: Call) -> object:
        asked.set()
        answer.wait(PATIENCE)
        return lists("owner/a")(call)

    router.behaviour = slow
    assert list(router.catalog.models()) == ["hf/shipped/model"]
    assert asked.wait(PATIENCE)
    assert list(router.catalog.models()) == ["hf/shipped/model"]
    answer.set()
    assert router.names() == ["owner/a"]


def test_a_listing_is_kept_for_a_while(router: Router) -> None:
    assert router.names() == ["owner/a"]
    router.behaviour = lists("owner/b")
    router.now += FRESH_SECONDS - 1
    assert (router.names(), router.looks) == (["owner/a"], 1)
    router.now += 1
    assert (router.names(), router.looks) == (["owner/b"], 2)


@pytest.mark.parametrize(
    "failure",
    [
        refuses(503),
        refuses(302, location="http://127.0.0.1:1/"),
        lambda call: call.start(200, "text/html").raw(b"<html>"),
        lambda call: call.start(200).raw(b'{"data": ' + b"[" * 100_000),
        lambda call: call.start(200).raw(b'{"data": []}'),
        lambda call: call.start(200).raw(b" " * (MOST_BYTES + 1)),
        lambda call: call.start(200, Content_Length="1000").raw(b"{"),
    ],
)
def test_the_last_listing_outlives_a_failure(router: Router, failure: Any) -> None:
    router.names()
    router.behaviour = failure
    router.now += FRESH_SECONDS
    assert (router.names(), router.looks) == (["owner/a"], 2)
    router.behaviour = lists("owner/b")
    assert (router.names(), router.looks) == (["owner/a"], 2)
    router.now += AGAIN_SECONDS
    assert (router.names(), router.looks) == (["owner/b"], 3)


def test_without_any_listing_the_shipped_list_is_used(router: Router) -> None:
    router.behaviour = refuses(500)
    assert router.names() == ["shipped/model"]
    assert not router.catalog.listed


def test_only_listed_models_at_the_router_can_be_had(router: Router) -> None:
    router.names()
    spec = router.catalog.find("hf/owner/a")
    assert spec is not None
    assert (spec.base_url, spec.type, spec.credentials) == (router.server.base_url, "openai", "visitor")
    for wrong in ("hf/owner/b", "owner/a", "hf/http://elsewhere.example/v1", "hf/", ""):
        assert router.catalog.find(wrong) is None


def test_without_an_address_nothing_is_offered() -> None:
    catalog = ProviderCatalog(None, SHIPPED)
    assert not catalog.models()
    assert not catalog.wait(PATIENCE)
