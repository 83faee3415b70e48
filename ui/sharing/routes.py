"""Addresses for what is shared: the picture of a run (`/card/ID.png`) and its transcript (`/transcript/ID.txt`).

Whoever has the id of a run may look at it, so both answer anyone. Drawing takes a tenth of a second or more. Pictures
are therefore kept, drawn one at a time, and limited for each network address and for all together.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from manager.errors import ParleyError
from negotiation.admission.sliding_window import Window
from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from ui.kit import text as shared
from ui.server.visitor import address_of
from ui.sharing import text
from ui.sharing.address import page_address, readable
from ui.sharing.card import card_png, plain_png
from ui.sharing.subject import BLIND, Subject, find_subject
from ui.sharing.transcript import transcript

KEPT = 64
"""Pictures that are kept, of about 40 kB each."""
DRAWN, DRAWN_OF_ALL, WINDOW_SECONDS = 30, 120, 60.0
"""Pictures drawn within the window: for one network address, and for all together. Kept ones do not count."""
FRESH_SECONDS = 600
"""How long browsers and chat services may keep what no longer changes; its owner may delete the run."""
UNLISTED = {"x-robots-tag": "noindex"}
"""The link of a private run is its only protection, so search engines must not list it."""


class CardsBusy(Exception):
    """More pictures are asked for than may be drawn now."""


class Cards:
    """The pictures that were drawn lately. `draw` takes a subject, and its address as people read it."""

    def __init__(
        self, draw: Callable[[Subject, str], bytes] = card_png, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._draw = draw
        self._clock = clock
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._drawing = asyncio.Lock()
        self._drawn = Window(WINDOW_SECONDS)

    async def png(self, subject: Subject, address: str, asked_by: str) -> bytes:
        """Return the picture of a subject; raises CardsBusy if its requester, or all together, ask for too many."""
        key = (address, *subject.state)
        if key not in self._kept:
            now = self._clock()
            if self._drawn.of(asked_by, now) >= DRAWN or self._drawn.total(now) >= DRAWN_OF_ALL:
                raise CardsBusy
            self._drawn.add(asked_by, now)
            async with self._drawing:
                if key not in self._kept:  # nobody else has drawn it in the meantime
                    self._kept[key] = await asyncio.to_thread(self._draw, subject, address)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


def sharing_routes(parley: Parley) -> list[BaseRoute]:
    """Return the routes, to be served beside the page."""
    cards = Cards()

    async def found(request: Request) -> Subject:
        hidden = BLIND in request.query_params
        return await asyncio.to_thread(find_subject, parley, request.path_params["run_id"], hidden=hidden)

    async def card(request: Request) -> Response:
        try:
            subject = await found(request)
            address = readable(page_address(request) + subject.link)
            drawn = await cards.png(subject, address, address_of(request))
        except UnknownRun:
            return Response(await asyncio.to_thread(_unknown), 404, UNLISTED, "image/png")
        except ParleyError:
            return PlainTextResponse(shared.UNEXPECTED, 503)
        except CardsBusy:
            return PlainTextResponse(text.BUSY, 429, {"retry-after": str(int(WINDOW_SECONDS))})
        return Response(drawn, 200, _headers(subject), "image/png")

    async def page_card(_: Request) -> Response:
        headers = {"cache-control": f"public, max-age={FRESH_SECONDS}"}
        return Response(await asyncio.to_thread(_of_the_page), 200, headers, "image/png")

    async def told(request: Request) -> Response:
        try:
            subject = await found(request)
        except UnknownRun:
            return PlainTextResponse(f"{text.UNKNOWN}. {text.UNKNOWN_ABOUT}\n", 404, UNLISTED)
        except ParleyError:
            return PlainTextResponse(shared.UNEXPECTED, 503)
        return PlainTextResponse(transcript(subject, page_address(request) + subject.link), 200, _headers(subject))

    return [
        Route("/card.png", page_card),
        Route("/card/{run_id}.png", card),
        Route("/transcript/{run_id}.txt", told),
    ]


def _headers(subject: Subject) -> dict[str, str]:
    fresh = f"max-age={FRESH_SECONDS}" if subject.over else "no-cache"
    return {"cache-control": fresh if subject.listed else f"private, {fresh}", **({} if subject.listed else UNLISTED)}


@cache
def _of_the_page() -> bytes:
    return plain_png(shared.TITLE, shared.TAGLINE, "")


@cache
def _unknown() -> bytes:
    return plain_png(text.UNKNOWN, text.UNKNOWN_ABOUT, "")
