"""The address that open pages ask for the status of the models: often while something moves, else rarely."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from manager.status.snapshot import Snapshot
from negotiation.app.parley import Parley

SOON, LATER = 0.5, 2.5
"""Seconds until a page asks again while something moves, and otherwise."""


def status_routes(parley: Parley, draw: Callable[[Snapshot, bool], str]) -> list[BaseRoute]:
    """Return the route, to be served beside the page.

    Args:
        parley: Whose models.
        draw: Returns the HTML for a snapshot; its second argument says whether the server is shutting down.

    Returns:
        A route that answers with the keys `process` (a name that no other one has), `seen` (what the page shows now,
        to be sent with the next request), `strip` (HTML, or null if nothing has changed since the `seen` that was
        sent) and `again` (seconds until the page should ask again).
    """
    process = secrets.token_hex(8)

    async def status(request: Request) -> Response:
        snapshot, closing = parley.manager.snapshot(), parley.lanes.closed
        seen = _shows(snapshot, closing)
        strip = None if request.query_params.get("seen") == seen else draw(snapshot, closing)
        again = SOON if _moves(snapshot) else LATER
        about = {"process": process, "seen": seen, "strip": strip, "again": again}
        return JSONResponse(about, headers={"cache-control": "no-store"})

    return [Route("/status", status)]


def _shows(snapshot: Snapshot, closing: bool) -> str:
    """Name what the strip says. Two times on it grow without an event: to the next try, and since the last answer."""
    retries = sum(math.ceil(row.retry_in or 0) for row in snapshot.weights)
    minutes = sum(int((row.answered or 0) / 60) for row in snapshot.weights)
    return f"{snapshot.version}.{retries}.{minutes}.{int(closing)}"


def _moves(snapshot: Snapshot) -> bool:
    rows = snapshot.weights
    return bool(snapshot.queue) or any(row.leases or row.progress is not None or row.retry_in for row in rows)
