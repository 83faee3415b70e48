"""Middleware that asks the Hub for each scope only when it is needed.

Gradio's sign-in asks for all scopes that the Space's app may ever have. Here it asks for contributing only on the way
back to a page that is about to contribute (`?contribute=`), and the Hub then asks the visitor for that, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from negotiation.runs.hub.contributions import SCOPE

LOGIN = "/login/huggingface"
TARGET = "_target_url"
"""Gradio's name for the address to come back to, which goes through the whole sign-in."""
CONTRIBUTE = "contribute"
"""In the address of a page that comes back to contribute: the place of the run there."""


class NeededScopes:
    """Middleware around Gradio's sign-in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != LOGIN:
            await self._app(scope, receive, send)
            return
        contributing = asks_to_contribute(HTTPConnection(scope).query_params)

        async def send_needed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = needed(headers["location"], contributing=contributing)
            await send(message)

        await self._app(scope, receive, send_needed)


def asks_to_contribute(query: Mapping[str, str]) -> bool:
    """Return whether a sign-in comes back to a page that is about to contribute.

    >>> asks_to_contribute({"_target_url": "/?replay=1&contribute=1"}), asks_to_contribute({"_target_url": "/"})
    (True, False)
    """
    return CONTRIBUTE in parse_qs(query.get(TARGET, "").partition("?")[2])


def needed(address: str, *, contributing: bool) -> str:
    """Return the address of the Hub's question with the scopes that are needed now.

    >>> needed("https://hub.example/authorize?scope=openid+contribute-repos&state=1", contributing=False)
    'https://hub.example/authorize?scope=openid&state=1'
    """
    parts = urlsplit(address)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    changed = [(key, _without(value) if key == "scope" and not contributing else value) for key, value in asked]
    return parts._replace(query=urlencode(changed)).geturl()


def _without(scopes: str) -> str:
    return " ".join(scope for scope in scopes.split() if scope != SCOPE)
