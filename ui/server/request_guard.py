"""Middleware that closes the addresses of Gradio's server that the page does not need, and refuses unsafe requests.

Requests made by other sites' pages lose their cookies: Gradio lets any site call it with cookies, so a page elsewhere
could otherwise act as the visitor, or the operator, who has it open. The server accepts and fetches no files, so
requests that would make Gradio do so are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2_000_000
"""The largest request, in bytes."""
CLOSED = re.compile(
    r"/(gradio_api/)?(monitoring|login|logout|deep_link|dev/|vibe-|undo-vibe|profiling/|process_recording|proxy="
    r"|component_server|stream/|reset|runs|run-history|login_check|token|user|custom_component/|upload|file=|file/)"
)
"""Addresses that the page does not need: they would store files, run code, fetch pages or reveal its use."""
SIGN_IN = frozenset({"/login/huggingface", "/login/callback", "/logout"})
"""Addresses that are open where visitors sign in with Hugging Face."""
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
"""Headers of every response. Anyone with a run's address may look at it, so other sites must not see the address."""
TOO_LARGE = f"A request may have at most {MOST_BYTES:,} bytes, and this one is larger."
NO_FILES = "This server accepts no files; send text instead."


class RequestGuard:
    """Middleware around the whole server.

    Args:
        sign_in: Whether visitors sign in with Hugging Face.
    """

    def __init__(self, app: ASGIApp, sign_in: bool = False) -> None:
        self._app = app
        self._opened = SIGN_IN if sign_in else frozenset[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        if CLOSED.match(scope["path"]) and scope["path"] not in self._opened:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await _read_body(headers, receive)
            if body is None:
                await PlainTextResponse(TOO_LARGE, 413, {"connection": "close"})(scope, receive, send)
                return
            if names_file(body):
                await PlainTextResponse(NO_FILES, 400)(scope, receive, send)
                return
            receive = _replayed(body, receive)
        if _from_another_site(scope["method"], headers, signs_out=scope["path"] == "/logout"):
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"cookie"]}
            scope |= {"session": {}} if "session" in scope else {}
        await self._app(scope, receive, send)


def names_file(body: bytes) -> bool:
    """Return whether JSON holds what Gradio takes for a file, which it would copy from a path or fetch from a URL."""
    if not any(
        sign in body for sign in (b'"meta"', b"\\u", b"\0")
    ):  # "meta" may be written as \\u006deta, or in UTF-16
        return False
    try:
        parts: list[Any] = [json.loads(body)]
    except (ValueError, RecursionError):
        return False  # no other reader can parse it either
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "path" in part and "meta" in part:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False


def _from_another_site(method: str, headers: Headers, *, signs_out: bool = False) -> bool:
    """Return whether another site's page makes a request. Following a link to this page does not count.

    Args:
        signs_out: Whether the request would sign the visitor out, which a link elsewhere must not do either.
    """
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    return signs_out or method not in ("GET", "HEAD") or headers.get("sec-fetch-mode") != "navigate"


async def _read_body(headers: Headers, receive: Receive) -> bytes | None:
    """Return a request's body, or None if it is too large, whatever its header says."""
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > MOST_BYTES):
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then goes on."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
