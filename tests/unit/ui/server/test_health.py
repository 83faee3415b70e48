"""What whoever keeps the server running may ask: is it well, and its figures."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.errors import StoreError
from ui.server import health
from ui.server.health import health_routes
from ui.server.operator import operators_of
from ui.server.visitor import COOKIE

VISITOR = "visitor-with-a-long-name"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Parley]]:
    found: list[Parley] = []

    def make(**environment: str) -> Parley:
        (tmp_path / "models.yaml").write_text("small: {type: fake}")
        settings = read_settings({"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(tmp_path), **environment})
        found.append(Parley.open(settings))
        return found[-1]

    yield make
    for parley in found:
        parley.close()


def asked(parley: Parley, host: str = "127.0.0.1", believed: str = "") -> TestClient:
    """A client at an address, behind whose X-Forwarded-For stands what uvicorn does with it."""
    app = ProxyHeadersMiddleware(Starlette(routes=health_routes(parley)), believed)  # type: ignore[arg-type]
    return TestClient(app, client=(host, 1234))  # type: ignore[arg-type]


def test_it_is_well_until_it_drains(opened: Callable[..., Parley]) -> None:
    parley = opened()
    client = asked(parley)
    answer = client.get("/healthz")
    told = answer.json()
    assert (answer.status_code, told["status"], told["database"]) == (200, "ok", "ok")
    assert told["uptime_seconds"] >= 0
    assert told["version"]
    parley.lanes.close()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


def test_without_its_database_it_is_not_well(opened: Callable[..., Parley], monkeypatch: pytest.MonkeyPatch) -> None:
    parley = opened()

    def refuse() -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(parley.store, "check", refuse)
    answer = asked(parley).get("/healthz")
    assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (503, "failing", "failing")
    assert "disk full" not in answer.text


def test_the_figures_are_prometheus_and_for_this_machine(opened: Callable[..., Parley]) -> None:
    parley = opened()
    answer = asked(parley).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"parley_loads", "parley_wait_seconds", "parley_tokens", "parley_errors", "parley_visitors"} <= names
    assert asked(parley, "192.0.2.1").get("/metrics").status_code == 403


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_who_comes_through_a_proxy_is_not_this_machine(opened: Callable[..., Parley], name: str) -> None:
    parley = opened()
    for host in ("127.0.0.1", "192.0.2.1"):
        for believed in ("", "127.0.0.1"):
            client = asked(parley, host, believed)
            assert client.get("/metrics", headers={name: "127.0.0.1"}).status_code == 403


def test_a_token_opens_the_figures_from_anywhere_and_nothing_else_does(opened: Callable[..., Parley]) -> None:
    parley = opened(METRICS_TOKEN="swordfish")
    for host in ("127.0.0.1", "192.0.2.1"):
        client = asked(parley, host)
        assert client.get("/metrics").status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer swordfisk"}).status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer swordfish"}).status_code == 200
    assert "swordfish" not in repr(parley.settings)


@pytest.mark.parametrize("token", ["schlüssel-é", " spaces around\n"])
def test_a_token_may_be_any_text(opened: Callable[..., Parley], token: str) -> None:
    client = asked(opened(METRICS_TOKEN=token))
    sent = os.fsencode(token.strip())
    for scheme in (b"Bearer ", b"bearer  "):
        assert client.get("/metrics", headers={b"Authorization": scheme + sent}).status_code == 200
    for wrong in (sent, b"Basic " + sent, b"Bearer " + sent + b"x", b"Bearer", b"Bearer \xff", b""):
        assert client.get("/metrics", headers={b"Authorization": wrong}).status_code == 403


def test_a_database_that_hangs_is_asked_by_one(opened: Callable[..., Parley], monkeypatch: pytest.MonkeyPatch) -> None:
    parley, asked_for, hangs = opened(), list[None](), threading.Event()

    def hang() -> None:
        asked_for.append(None)
        hangs.wait(20)

    monkeypatch.setattr(parley.store, "check", hang)
    monkeypatch.setattr(health, "STORE_SECONDS", 0.05)
    with asked(parley) as client:
        assert [client.get("/healthz").status_code for _ in range(10)] == [503] * 10
        assert len(asked_for) == 1
        hangs.set()
        while client.get("/healthz").status_code != 200:
            pass


def test_the_operator_sees_the_figures(opened: Callable[..., Parley]) -> None:
    parley = opened(PARLEY_OPERATOR_PASSWORD="a password for figures")
    client = asked(parley, "192.0.2.1")
    client.cookies.set(COOKIE, VISITOR)
    assert client.get("/metrics").status_code == 403
    assert operators_of(parley).sign_in(VISITOR, "192.0.2.1", "a password for figures") is None
    assert client.get("/metrics").status_code == 200
    operators_of(parley).sign_out(VISITOR)
