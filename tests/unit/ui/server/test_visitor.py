"""Every browser gets its own name with the page, and keeps it."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui.server.visitor import COOKIE, VisitorCookie


def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


@pytest.fixture
def client() -> TestClient:
    app = Starlette(routes=[Route("/", answer), Route("/other", answer)], middleware=[Middleware(VisitorCookie)])
    return TestClient(app, base_url="http://parley.test")


def test_the_page_sets_a_long_random_cookie_once(client: TestClient) -> None:
    first = client.get("/")
    assert len(first.cookies[COOKIE]) >= 22
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "set-cookie" not in client.get("/").headers


def test_two_browsers_get_different_names(client: TestClient) -> None:
    names = {TestClient(client.app).get("/").cookies[COOKIE] for _ in range(2)}
    assert len(names) == 2


def test_only_the_page_sets_it(client: TestClient) -> None:
    assert "set-cookie" not in client.get("/other").headers


def test_behind_https_it_is_secure(client: TestClient) -> None:
    header = client.get("/", headers={"x-forwarded-proto": "https"}).headers["set-cookie"]
    assert "Secure" in header
    assert "SameSite=None" in header
    assert "Secure" not in TestClient(client.app).get("/").headers["set-cookie"]


@pytest.mark.parametrize("others", ['prefs={"a": 1}; ', "a=b=c; =; ", 'x="unfinished; '])
def test_other_cookies_do_not_hide_the_visitors_name(client: TestClient, others: str) -> None:
    """Programs on other ports of the same host share their cookies with this one."""
    name = client.get("/").cookies[COOKIE]
    again = TestClient(client.app).get("/", headers={"cookie": f"{others}{COOKIE}={name}"})
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("name", ["", "x", "y" * 65])
def test_an_invalid_name_is_replaced(client: TestClient, name: str) -> None:
    again = TestClient(client.app).get("/", headers={"cookie": f"{COOKIE}={name}"})
    assert len(again.cookies[COOKIE]) >= 22
