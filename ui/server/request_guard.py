"""Doors: which of the addresses that Gradio's server brings are open here, and whose word a request counts as.

Knows HTTP and nothing of the page. A request that another site's page makes carries nobody's name: Gradio lets every
site call it with cookies, and else a page somewhere could act as the visitor, or the operator, who looks at it. The
server takes no files and fetches none, so what tells Gradio to is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2_000_000
"""So large may a request be."""
CLOSED = re.compile(
    r"/(gradio_api/)?(monitoring|login|logout|deep_link|dev/|vibe-|undo-vibe|profiling/|process_recording|proxy="
    r"|component_server|stream/|reset|runs|run-history|login_check|token|user|custom_component/|upload|file=|file/)"
)
"""Addresses that this page does not need: they would keep files, run code, fetch pages or tell how it is used."""
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
"""What is sent with everything. Whoever has a run's address may look at it, so no other site is told of it."""
TOO_LARGE = f"A request may have {MOST_BYTES:,} bytes; this one has more."
NO_FILES = "No files are taken here; send texts."


class Doors:
    """Middleware around the whole program."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        if CLOSED.match(scope["path"]):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await _whole(headers, receive)
            if body is None:
                await PlainTextResponse(TOO_LARGE, 413, {"connection": "close"})(scope, receive, send)
                return
            if names_file(body):
                await PlainTextResponse(NO_FILES, 400)(scope, receive, send)
                return
            receive = _once_more(body, receive)
        if _foreign(scope["method"], headers):
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"cookie"]}
        await self._app(scope, receive, send)


def names_file(body: bytes) -> bool:
    """Whether JSON holds what Gradio takes for a file, which it would copy from its path or fetch from its address."""
    if not any(sign in body for sign in (b'"meta"', b"\\u", b"\0")):  # it may be written as \\u006deta, or in UTF-16
        return False
    try:
        parts: list[Any] = [json.loads(body)]
    except (ValueError, RecursionError):
        return False  # and nobody else reads it either
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "path" in part and "meta" in part:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False


def _foreign(method: str, headers: Headers) -> bool:
    """Whether another site's page makes a request; following a link to here is none of that."""
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    return method not in ("GET", "HEAD") or headers.get("sec-fetch-mode") != "navigate"


async def _whole(headers: Headers, receive: Receive) -> bytes | None:
    """A request's body; None if it is larger than it may be, whatever it says before."""
    told = headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > MOST_BYTES):
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _once_more(body: bytes, receive: Receive) -> Receive:
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
