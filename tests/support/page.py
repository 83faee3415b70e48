"""The served page inside the test's process, open to any request that a program can send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import httpx2
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from ui.page import build_page, status_routes
from ui.server.delivery import Delivery
from ui.server.health import health_routes
from ui.server.request_guard import RequestGuard
from ui.server.visitor import COOKIE, VisitorCookie
from ui.sharing.link_preview import LinkPreview
from ui.sharing.routes import sharing_routes

PASSWORD = "open sesame"
NAME = "a-visitor-with-a-long-name"


class Served:
    """A running page. Its endpoints also answer direct requests, which the real server sends through its queue."""

    def __init__(self, parley: Parley, client: TestClient) -> None:
        self.parley = parley
        self.client = client
        config = client.get("/config").json()
        self.endpoints: list[dict[str, Any]] = config["dependencies"]
        self.components: dict[int, dict[str, Any]] = {part["id"]: part for part in config["components"]}

    def of(self, name: str) -> dict[str, Any]:
        """Return the first endpoint with this name."""
        return next(one for one in self.endpoints if one["api_name"] == name)

    def clicked(self, elem_id: str) -> dict[str, Any]:
        """Return the first endpoint that a click on a component calls."""
        return next(
            one
            for one in self.endpoints
            for part, event in one["targets"]
            if event == "click" and self.components[part]["props"].get("elem_id") == elem_id
        )

    def post(
        self,
        endpoint: Mapping[str, Any] | str,
        data: list[Any],
        *,
        visitor: str | None = NAME,
        session: str = "page",
        event: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Call an endpoint directly, as a visitor or, with None, without a cookie."""
        found = self.of(endpoint) if isinstance(endpoint, str) else endpoint
        body = json.dumps({"data": data, "fn_index": found["id"], "session_hash": session, "event_data": event})
        cookie = {} if visitor is None else {"cookie": f"{COOKIE}={visitor}"}
        url = f"/gradio_api/run/{found['api_name'] or 'predict'}"
        sent = {"content-type": "application/json", **cookie, **(headers or {})}
        return self.client.post(url, content=body, headers=sent, params=dict(query or {}))


@contextmanager
def served(folder: Path, models: str = "m: {type: fake}\n") -> Iterator[Served]:
    """Serve a page with its own home folder and the operator password `PASSWORD`."""
    configs = folder / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(models)
    environment = {
        "PARLEY_HOME": str(folder),
        "PARLEY_CONFIG": str(configs),
        "PARLEY_OPERATOR_PASSWORD": PASSWORD,
        "PARLEY_PACE": "instant",
    }
    parley = Parley.open(read_settings(environment))
    try:
        with ThreadPoolExecutor(1) as thread:
            app = thread.submit(lambda: asyncio.run(_built(parley))).result()
        with TestClient(app, base_url="http://parley.test") as client:
            yield Served(parley, client)
    finally:
        parley.close()


async def _built(parley: Parley) -> FastAPI:
    """Build the page inside an event loop, because Gradio otherwise creates loops and never closes them."""
    page = build_page(parley)
    page.queue(default_concurrency_limit=None)
    middleware = [
        Middleware(Delivery),
        Middleware(RequestGuard),
        Middleware(VisitorCookie),
        Middleware(LinkPreview, parley=parley),
    ]
    routes = [*health_routes(parley), *sharing_routes(parley), *status_routes(parley)]
    app = FastAPI(middleware=middleware, routes=routes)
    gr.mount_gradio_app(app, page, path="", show_error=True, max_file_size="1mb", enable_monitoring=False)
    return app
