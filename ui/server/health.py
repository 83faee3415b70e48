"""For whoever keeps the server running: whether it is well (`/healthz`) and its figures (`/metrics`).

Figures are shown to the operator, to who knows `METRICS_TOKEN`, and without a token to this machine itself.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import time

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from manager.errors import ParleyError
from negotiation import __version__
from negotiation.app.parley import Parley
from ui.kit import text
from ui.server.operator import operators_of
from ui.server.visitor import name_in

STORE_SECONDS = 5.0
"""A database that has not answered by then is not well."""
FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""What a proxy adds to requests that come from elsewhere."""


def health_routes(parley: Parley) -> list[BaseRoute]:
    """The routes, to be served beside the page."""
    begun = time.monotonic()
    asking: asyncio.Future[bool] | None = None

    async def store_is_well() -> bool:
        """Whether the database answers in time; however many want to know, it is asked by one."""
        nonlocal asking
        if asking is None or asking.done():
            asking = asyncio.ensure_future(asyncio.to_thread(_answers, parley))
        done, _ = await asyncio.wait([asking], timeout=STORE_SECONDS)
        return any(asked.result() for asked in done)

    async def healthz(_: Request) -> Response:
        store = await store_is_well()
        status = "draining" if parley.lanes.closed else "ok" if store else "failing"
        about = {
            "status": status,
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - begun, 1),
            "database": "ok" if store else "failing",
        }
        return JSONResponse(about, 200 if status == "ok" else 503)

    async def metrics(request: Request) -> Response:
        if not may_see_metrics(parley, request):
            return PlainTextResponse(text.METRICS_REFUSED, 403)
        return Response(await asyncio.to_thread(parley.metrics.text), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/metrics", metrics)]


def may_see_metrics(parley: Parley, request: Request) -> bool:
    """Whether a request is the operator's, has the token, or, without one, comes from this machine."""
    if operators_of(parley).knows(name_in(request.cookies)):
        return True
    if (token := parley.settings.metrics_token) is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1"), os.fsencode(token))  # as they are sent and set
        return same and scheme.lower() == "bearer"
    if any(name in request.headers for name in FORWARDING) or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _answers(parley: Parley) -> bool:
    try:
        parley.store.check()
    except ParleyError:
        return False
    return True
