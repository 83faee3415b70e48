"""Who is visiting: a random name in a cookie, which only the visitor's browser and this server know.

It is no account; it only lets a visitor find and stop their own runs. Whoever drops their cookies is still known by
their network address, which is the connection's: uvicorn takes it from X-Forwarded-For only where the operator says
which proxies are to be believed (`FORWARDED_ALLOW_IPS`; ui/serve.py).
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "parley_visitor"
YEAR = 365 * 24 * 3600


class VisitorCookie:
    """Middleware that gives every browser its cookie with the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or _known(scope):
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", _cookie(scope))
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def visitor_of(request: gr.Request) -> str | None:
    """The visitor's name; None for a program or a browser that keeps no cookies."""
    return name_in(request.cookies or {})


def owner_of(request: gr.Request) -> str | None:
    """Who owns the runs that are started here: the visitor, or where the browser keeps no cookies, the open page."""
    return visitor_of(request) or request.session_hash


def address_of(request: gr.Request) -> str:
    """The network address of a request; of IPv6 the half that is a visitor's network, "" where there is none."""
    client = getattr(request, "client", None)
    host = client.host if client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def name_in(cookies: Mapping[str, str]) -> str | None:
    """The visitor's name among cookies."""
    name = cookies.get(COOKIE, "")
    return name if 16 <= len(name) <= 64 and name.isascii() and name.isprintable() else None


def _known(scope: Scope) -> bool:
    return name_in(HTTPConnection(scope).cookies) is not None


def _cookie(scope: Scope) -> str:
    # Spaces shows the page inside another site's frame: there a cookie must be secure, and belongs to that frame.
    forwarded = next((value for name, value in scope["headers"] if name == b"x-forwarded-proto"), b"")
    secure = scope.get("scheme") == "https" or forwarded.startswith(b"https")
    site = "; SameSite=None; Secure; Partitioned" if secure else "; SameSite=Lax"
    return f"{COOKIE}={secrets.token_urlsafe(16)}; Path=/; HttpOnly; Max-Age={YEAR}{site}"
