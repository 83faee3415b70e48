"""The program that serves the page: settings, manager, page, launch, and an orderly end.

Start it with `ui.serve`, which prepares the process before this module imports Gradio and torch can be imported.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.middleware import Middleware

from manager.errors import ConfigError, ParleyError
from manager.machine.process import keep_memory_low
from negotiation.app.logs import one_log, set_up_logging
from negotiation.app.parley import Parley
from negotiation.app.settings import Settings, read_settings
from negotiation.app.signals import Signals
from ui.kit.theme import STYLES, THEME
from ui.page import build_page, status_routes
from ui.server.accounts import accounts_of
from ui.server.delivery import Delivery
from ui.server.health import health_routes
from ui.server.request_guard import RequestGuard
from ui.server.scopes import NeededScopes
from ui.server.session_sweeper import MOST_SESSIONS, SessionSweeper
from ui.server.sign_in import TokenKeeper, VisitEnds
from ui.server.visitor import VisitorCookie
from ui.sharing.link_preview import LinkPreview
from ui.sharing.routes import sharing_routes

logger = logging.getLogger("parley")

QUEUE_SECONDS = 0.02
"""How often Gradio looks for new events. Its own thousand times a second take 5 % of a core, from models too."""
FAREWELL_SECONDS = 0.5
"""Time for open pages to show how their negotiations ended."""


def run(gpu: Callable[..., Any] | None = None) -> int:
    """Serve the page until the process receives SIGINT or SIGTERM.

    Args:
        gpu: ZeroGPU's decorator, on a ZeroGPU Space.

    Returns:
        The exit status: 1 after a configuration error, which is logged.
    """
    keep_memory_low()
    signals = Signals()
    signals.listen()  # before anything is opened: a signal during the start must not interrupt it halfway
    try:
        set_up_logging(os.environ)
        settings = read_settings()
        if settings.profile.processors < (os.cpu_count() or 1):
            # torch sees all processors of the host, but threads beyond a container's quota only wait.
            os.environ.setdefault("OMP_NUM_THREADS", str(settings.profile.processors))
        _check_port(settings)
        logger.info("running on a %s", settings.profile.about)
        parley = Parley.open(settings, gpu)
    except ParleyError as error:
        logger.error("%s", error)  # noqa: TRY400 (the message is complete)
        return 1
    try:
        _serve(parley, settings, signals)
    finally:
        parley.close()
    return 0


def _serve(parley: Parley, settings: Settings, signals: Signals) -> None:
    accounts = accounts_of(parley)
    if settings.sign_in == "hub" and accounts.how == "none" and settings.providers:
        logger.warning("visitors cannot sign in with Hugging Face: install gradio[oauth]")
    page = build_page(parley)
    page.queue(default_concurrency_limit=None, api_open=False)
    page._queue.sleep_when_free = QUEUE_SECONDS
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        theme=THEME,
        css_paths=STYLES,
        footer_links=[],
        run_history=False,
        max_file_size="1mb",
        enable_monitoring=False,
        show_error=True,
        quiet=True,
        app_kwargs={
            "middleware": [
                Middleware(Delivery),
                Middleware(RequestGuard, sign_in=accounts.how == "hub"),
                Middleware(VisitorCookie),
                Middleware(SessionSweeper, page=page),
                Middleware(VisitEnds, accounts=accounts),
                Middleware(TokenKeeper, accounts=accounts),
                Middleware(NeededScopes),
                Middleware(LinkPreview, parley=parley),
            ],
            "routes": [*health_routes(parley), *sharing_routes(parley), *status_routes(parley)],
        },
        state_session_capacity=MOST_SESSIONS,
        prevent_thread_lock=True,
        ssr_mode=False,  # Spaces turns it on, but the page's scripts are tested without it
        mcp_server=has_mcp(),
        _frontend=False,  # it would end the program if the page took more than three seconds, as on a busy machine
    )
    one_log()
    logger.info("Parley is at http://%s:%s", settings.host, settings.port)
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    signals.wait(reload=partial(reload_models, parley))
    grace = settings.app.shutdown_grace_seconds
    logger.info("shutting down: nothing new can start, and running negotiations have %g s to end", grace)
    parley.drain(grace)
    time.sleep(FAREWELL_SECONDS)
    page.close(verbose=False)
    logger.info("shut down")


def reload_models(parley: Parley) -> None:
    """Apply an edited models.yaml, or log what is wrong with it and keep the current models."""
    try:
        changes = parley.reload_models()
    except ParleyError as error:
        logger.error("models.yaml was not reloaded: %s", error)  # noqa: TRY400 (the message is complete)
        return
    words = [f"{what}: {', '.join(ids)}" for what, ids in changes._asdict().items() if ids]
    logger.info("models.yaml was reloaded (%s)", "; ".join(words) or "no changes")


def _warm_up() -> None:
    """Import what the first model needs while the first visitor is still reading the page."""
    import manager.backends.huggingface  # noqa: F401

    one_log()


def has_mcp() -> bool:
    """Return whether `mcp` is installed in a version that Gradio can use. The extra `verifiers` brings a later one."""
    try:
        installed = version("mcp")
    except PackageNotFoundError:
        return False
    usable = installed.startswith("1.")
    if not usable:
        logger.info("no MCP tools: they need version 1 of the package mcp, and version %s is installed", installed)
    return usable


def _check_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"cannot serve at {settings.host}, port {settings.port} ({error.strerror}); "
                "set PORT or HOST to a free address"
            ) from None
