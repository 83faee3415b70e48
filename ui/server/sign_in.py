"""Middleware that takes the token of a sign-in from Gradio's cookie into the vault, and ends accounts with their visit.

Gradio's sign-in would leave the token in the visitor's cookie, readable and for two weeks, and would accept a token in
the body of any call as well. Here the cookie keeps the visitor's public name only, and no handler takes a token.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manager.errors import CredentialRejected
from ui.server.accounts import Accounts
from ui.server.session_sweeper import AWAY_SECONDS, HEARTBEAT
from ui.server.visitor import name_in

CALLBACK, LOGOUT = "/login/callback", "/logout"
_INFO = "oauth_info"
_PUBLIC = ("name", "preferred_username", "profile", "picture")


class TokenKeeper:
    """Middleware inside Gradio's session: no token is left in the session when a response begins.

    A session whose token is gone, because it expired or the server was restarted, is signed out.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session: MutableMapping[str, Any] | None = scope.get("session")
        if scope["type"] != "http" or session is None:
            await self._app(scope, receive, send)
            return
        visitor = name_in(HTTPConnection(scope).cookies)
        if scope["path"] == LOGOUT:
            self._accounts.sign_out(visitor)
        if _INFO in session and (_token(session) is not None or self._accounts.of(visitor) is None):
            session.pop(_INFO)

        async def send_without_token(message: Message) -> None:
            if message["type"] == "http.response.start" and _token(session) is not None:
                self._keep(session, visitor if scope["path"] == CALLBACK else None)
            await send(message)

        await self._app(scope, receive, send_without_token)

    def _keep(self, session: MutableMapping[str, Any], visitor: str | None) -> None:
        """Move the token into the vault; without a visitor it is dropped."""
        info = session.pop(_INFO)
        token = str(info["access_token"])
        about, until = info.get("userinfo"), info.get("expires_at")
        if visitor is None or not isinstance(about, Mapping) or not isinstance(until, int | float):
            return
        with suppress(CredentialRejected):
            self._accounts.sign_in(visitor, token, name=str(about.get("preferred_username", "")), expires_at=until)
            public = {key: str(about.get(key, "")) for key in _PUBLIC}
            session[_INFO] = {"userinfo": public, "expires_at": until}


class VisitEnds:
    """Middleware that forgets a visitor's key once their last page has been closed for a while.

    Args:
        away: Seconds without an open page after which the visit has ended.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts, away: float = AWAY_SECONDS) -> None:
        self._app = app
        self._accounts = accounts
        self._away = away
        self._open: Counter[str] = Counter()  # heartbeats of open pages
        self._ends: dict[str, asyncio.TimerHandle] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = name_in(HTTPConnection(scope).cookies) if scope["type"] == "http" else None
        if visitor is None:
            await self._app(scope, receive, send)
            return
        beats = scope["path"].startswith(HEARTBEAT)
        self._open[visitor] += beats
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[visitor] -= beats
            if self._open[visitor] <= 0:
                del self._open[visitor]
            self._reckon(visitor)

    def _reckon(self, visitor: str) -> None:
        """Begin to wait for the end of a visit anew."""
        if (waiting := self._ends.pop(visitor, None)) is not None:
            waiting.cancel()
        if visitor not in self._open and self._accounts.knows(visitor):
            self._ends[visitor] = asyncio.get_running_loop().call_later(self._away, self._end, visitor)

    def _end(self, visitor: str) -> None:
        del self._ends[visitor]
        if visitor not in self._open:
            self._accounts.sign_out(visitor)


def _token(session: Mapping[str, Any]) -> object:
    info = session.get(_INFO)
    return info.get("access_token") if isinstance(info, Mapping) else None
