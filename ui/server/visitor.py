"""Identifies visitors by a random secret in a cookie, which only their browser knows.

This is no account; it only lets visitors find and stop their own runs. Everything else here knows a visitor by a digest
of the secret, so that whoever reads the database, a journal or a log cannot pass for them. Visitors without cookies are
still known by their network address. That is the connection's address; uvicorn takes it from X-Forwarded-For only if
the operator trusts the proxy (`FORWARDED_ALLOW_IPS`).
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from negotiation.runs.owners import digest

COOKIE = "parley_visitor"
OPENING = ("/", "/login/huggingface")
YEAR = 365 * 24 * 3600


class VisitorCookie:
    """Middleware that sets the cookie when a browser without one opens the page, or begins to sign in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in OPENING or _known(scope):
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", _cookie(scope))
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def visitor_of(request: gr.Request) -> str | None:
    """Return the visitor's name, or None for a program or a browser without cookies."""
    return name_in(request.cookies or {})


def owner_of(request: gr.Request) -> str | None:
    """Return the owner of runs that a request starts: the visitor, or the open page in a browser without cookies."""
    page = request.session_hash
    return visitor_of(request) or (digest(page) if page else None)


def address_of(request: gr.Request) -> str:
    """Return the network address of a request, or "". IPv6 addresses are cut to /64, which is one visitor's network."""
    client = getattr(request, "client", None)
    host = client.host if client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def name_in(cookies: Mapping[str, str]) -> str | None:
    """Return the name of the visitor whom cookies belong to, if there is a valid one."""
    secret = cookies.get(COOKIE, "")
    return digest(secret) if 16 <= len(secret) <= 64 and secret.isascii() and secret.isprintable() else None


def _known(scope: Scope) -> bool:
    return name_in(HTTPConnection(scope).cookies) is not None


def _cookie(scope: Scope) -> str:
    # Spaces shows the page in a frame of another site, where a cookie must be secure and partitioned.
    forwarded = next((value for name, value in scope["headers"] if name == b"x-forwarded-proto"), b"")
    secure = scope.get("scheme") == "https" or forwarded.startswith(b"https")
    site = "; SameSite=None; Secure; Partitioned" if secure else "; SameSite=Lax"
    return f"{COOKIE}={secrets.token_urlsafe(16)}; Path=/; HttpOnly; Max-Age={YEAR}{site}"
