"""Middleware that takes the token of a sign-in from Gradio's cookie into the vault, and ends accounts with their visit.

Gradio's sign-in would leave the token in the visitor's cookie, readable and for two weeks, and would accept a token in
the body of any call as well. Here the cookie keeps the visitor's public name only, and no handler takes a token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext, suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manager.errors import CredentialRejected
from negotiation.runs.hub.contributions import SCOPE
from ui.server.accounts import Accounts
from ui.server.scopes import LOGIN, TARGET, asks_to_contribute
from ui.server.session_sweeper import AWAY_SECONDS, HEARTBEAT, Connected
from ui.server.visitor import name_in

logger = logging.getLogger(__name__)

CALLBACK, LOGOUT = "/login/callback", "/logout"
FAILED = "sign_in_failed"
"""In the address of the page that somebody comes back to without having signed in."""
_INFO = "oauth_info"
_PUBLIC = ("name", "preferred_username", "profile", "picture")


class TokenKeeper:
    """Middleware inside Gradio's session: no token is left in the session when a response begins.

    A session whose token is gone, because it expired or the server was restarted, is signed out. Whoever comes
    back from the Hub without a token, because they cancelled or the Hub failed, is sent where they came from.
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
                query = HTTPConnection(scope).query_params
                self._keep(session, visitor if scope["path"] == CALLBACK else None, asked=asks_to_contribute(query))
            await send(message)

        if scope["path"] not in (LOGIN, CALLBACK):
            await self._app(scope, receive, send_without_token)
            return
        query = HTTPConnection(scope).query_params
        if scope["path"] == CALLBACK and "error" in query:
            session.pop(f"_state_huggingface_{query.get('state', '')}", None)
            await _back(query)(scope, receive, send_without_token)
            return
        try:
            await self._app(scope, receive, send_without_token)
        except Exception as error:  # noqa: BLE001 (the Hub, the network and the client fail in many ways)
            logger.warning("a sign-in with the Hub failed: %s", type(error).__name__)
            session.pop(_INFO, None)  # it may have failed after the token had come
            await _back(query)(scope, receive, send_without_token)

    def _keep(self, session: MutableMapping[str, Any], visitor: str | None, *, asked: bool) -> None:
        """Move the token into the vault; without a visitor it is dropped.

        Args:
            asked: Whether the visitor was asked to allow contributing, in case that the Hub does not say what they did.
        """
        info = session.pop(_INFO)
        token = str(info["access_token"])
        about, until = info.get("userinfo"), info.get("expires_at")
        if visitor is None or not isinstance(about, Mapping):
            return
        until = until if isinstance(until, int | float) else None  # then it ends with the visit, if not before
        with suppress(CredentialRejected):
            name, scopes = str(about.get("preferred_username", "")), info.get("scope")
            contributes = SCOPE in str(scopes).split() if scopes else asked
            self._accounts.sign_in(visitor, token, name=name, expires_at=until, contributes=contributes)
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
        self._open = Connected()  # whoever has a page open
        self._ends: dict[str, asyncio.TimerHandle] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = name_in(HTTPConnection(scope).cookies) if scope["type"] == "http" else None
        if visitor is None:
            await self._app(scope, receive, send)
            return
        beats = scope["path"].startswith(HEARTBEAT)
        try:
            with self._open.while_in(visitor) if beats else nullcontext():
                await self._app(scope, receive, send)
        finally:
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


def _back(query: Mapping[str, str]) -> RedirectResponse:
    """Return the way back to the page that a sign-in began on, which says that it did not work."""
    asked = [(key, value) for key, value in parse_qsl(query.get(TARGET, "").partition("?")[2]) if key != FAILED]
    return RedirectResponse(f"/?{urlencode([*asked, (FAILED, 'yes')])}")


def _token(session: Mapping[str, Any]) -> object:
    info = session.get(_INFO)
    return info.get("access_token") if isinstance(info, Mapping) else None
