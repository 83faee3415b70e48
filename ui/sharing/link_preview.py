"""Middleware that tells chat services and search engines what a link shows (Open Graph and Twitter tags).

Gradio writes its own such tags into the page ("Click to try out the app!"), and no option of it depends on the address.
So the head of the page is changed on its way out. What compresses responses must come before this middleware.
"""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from ui.kit import text as shared
from ui.kit.templates import render
from ui.sharing import text
from ui.sharing.address import page_address
from ui.sharing.card import HEIGHT, WIDTH
from ui.sharing.subject import BLIND, find_subject

KEYS = ("run", "replay")
"""The keys of an address that names a run."""
_GRADIOS_OWN = re.compile(rb'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>')


class LinkPreview:
    """Middleware around the page."""

    def __init__(self, app: ASGIApp, parley: Parley) -> None:
        self._app = app
        self._parley = parley

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        tags = await asyncio.to_thread(preview_html, self._parley, HTTPConnection(scope))
        begun: Message | None = None
        page = bytearray()

        async def send_with_tags(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_page(Headers(raw=message["headers"])):
                begun = message
            elif begun is not None and message["type"] == "http.response.body":
                page.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    body = with_tags(bytes(page), tags.encode("utf-8", "replace"))
                    MutableHeaders(scope=begun)["content-length"] = str(len(body))
                    await send(begun)
                    await send({"type": "http.response.body", "body": body})
            else:
                await send(message)

        await self._app(scope, receive, send_with_tags)


def preview_html(parley: Parley, connection: HTTPConnection) -> str:
    """Return the tags for the address of a request: those of a run if it names one that exists, else the page's."""
    query = connection.query_params
    run_id = next((query[key] for key in KEYS if key in query), "")
    page = page_address(connection)
    facts = {"title": shared.TITLE, "about": shared.TAGLINE, "link": page, "card": f"{page}card.png", "listed": True}
    if run_id:
        try:
            subject = find_subject(parley, run_id, hidden=BLIND in query)
        except UnknownRun:
            facts |= {"title": text.UNKNOWN, "about": text.UNKNOWN_ABOUT, "listed": False}
        except ParleyError:  # runs cannot be read now: the page itself says so
            pass
        else:
            blind = f"?{BLIND}=1" if subject.hidden else ""
            facts |= {
                "title": f"{subject.title}: {subject.headline}",
                "about": subject.about,
                "link": page + subject.link,
                "card": f"{page}card/{subject.lanes[0].run.run_id}.png{blind}",
                "listed": subject.listed,
            }
    size = {"width": WIDTH, "height": HEIGHT, "alt": text.CARD_ALT}
    return str(render("sharing/preview", **facts, **size))


def with_tags(page: bytes, tags: bytes) -> bytes:
    """Return a page with tags in its head in place of Gradio's."""
    head, script, rest = page.partition(b"<script")
    return _GRADIOS_OWN.sub(b"", head) + tags + script + rest


def _is_page(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers
