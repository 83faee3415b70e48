"""Monitoring: the health of the server, and who may read its metrics."""

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
from negotiation.runs.owners import digest
from ui.server import health
from ui.server.health import health_routes
from ui.server.operator import operators_of
from ui.server.visitor import COOKIE

IN_COOKIE = "visitor-with-a-long-name"
VISITOR = digest(IN_COOKIE)


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


def asked(parley: Parley, host: str = "127.0.0.1", trusted: str = "") -> TestClient:
    """Return a client at an address; X-Forwarded-For is handled as uvicorn handles it, from trusted hosts only."""
    app = ProxyHeadersMiddleware(Starlette(routes=health_routes(parley)), trusted)  # type: ignore[arg-type]
    return TestClient(app, client=(host, 1234))  # type: ignore[arg-type]


def test_health_is_ok_until_the_server_drains(opened: Callable[..., Parley]) -> None:
    parley = opened()
    client = asked(parley)
    answer = client.get("/healthz")
    health = answer.json()
    assert (answer.status_code, health["status"], health["database"]) == (200, "ok", "ok")
    assert health["uptime_seconds"] >= 0
    assert health["version"]
    parley.lanes.close()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


def test_health_fails_without_the_database(opened: Callable[..., Parley], monkeypatch: pytest.MonkeyPatch) -> None:
    parley = opened()

    def refuse() -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(parley.store, "check", refuse)
    answer = asked(parley).get("/healthz")
    assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (503, "failing", "failing")
    assert "disk full" not in answer.text


def test_metrics_are_in_prometheus_format_and_for_this_machine(opened: Callable[..., Parley]) -> None:
    parley = opened()
    answer = asked(parley).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"parley_loads", "parley_wait_seconds", "parley_tokens", "parley_errors", "parley_visitors"} <= names
    assert asked(parley, "192.0.2.1").get("/metrics").status_code == 403


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_request_through_a_proxy_does_not_count_as_this_machine(opened: Callable[..., Parley], name: str) -> None:
    parley = opened()
    for host in ("127.0.0.1", "192.0.2.1"):
        for trusted in ("", "127.0.0.1"):
            client = asked(parley, host, trusted)
            assert client.get("/metrics", headers={name: "127.0.0.1"}).status_code == 403


def test_only_the_token_opens_the_metrics_once_it_is_set(opened: Callable[..., Parley]) -> None:
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


def test_a_database_that_hangs_is_queried_once(opened: Callable[..., Parley], monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_operator_sees_the_metrics(opened: Callable[..., Parley]) -> None:
    parley = opened(PARLEY_OPERATOR_PASSWORD="a password for metrics")
    client = asked(parley, "192.0.2.1")
    client.cookies.set(COOKIE, IN_COOKIE)
    assert client.get("/metrics").status_code == 403
    assert operators_of(parley).sign_in(VISITOR, "192.0.2.1", "a password for metrics") is None
    assert client.get("/metrics").status_code == 200
    operators_of(parley).sign_out(VISITOR)
