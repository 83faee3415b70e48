"""Monitoring: the health of the server (`/healthz`) and its metrics (`/metrics`).

Metrics are visible to the operator, to anyone with `METRICS_TOKEN`, and, if no token is set, to this machine.
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
from ui.server import text
from ui.server.operator import operators_of
from ui.server.visitor import name_in

STORE_SECONDS = 5.0
"""A database that takes longer than this to answer counts as failing."""
FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that a proxy adds to the requests it forwards."""


def health_routes(parley: Parley) -> list[BaseRoute]:
    """Return the routes, to be served beside the page."""
    started = time.monotonic()
    query: asyncio.Future[bool] | None = None

    async def database_answers() -> bool:
        """Return whether the database answers in time. All requests at a time share one query."""
        nonlocal query
        if query is None or query.done():
            query = asyncio.ensure_future(asyncio.to_thread(_answers, parley))
        done, _ = await asyncio.wait([query], timeout=STORE_SECONDS)
        return any(answer.result() for answer in done)

    async def healthz(_: Request) -> Response:
        store = await database_answers()
        status = "draining" if parley.lanes.closed else "ok" if store else "failing"
        about = {
            "status": status,
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - started, 1),
            "database": "ok" if store else "failing",
        }
        return JSONResponse(about, 200 if status == "ok" else 503)

    async def metrics(request: Request) -> Response:
        if not may_see_metrics(parley, request):
            return PlainTextResponse(text.METRICS_REFUSED, 403)
        return Response(await asyncio.to_thread(parley.metrics.text), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/metrics", metrics)]


def may_see_metrics(parley: Parley, request: Request) -> bool:
    """Return whether a request is the operator's, has the token, or, if none is set, comes from this machine."""
    if operators_of(parley).knows(name_in(request.cookies)):
        return True
    if (token := parley.settings.metrics_token) is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(
            given.strip().encode("latin-1"), os.fsencode(token)
        )  # the bytes that were sent, and those that were set
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
