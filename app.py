"""Parley's entry point, also what Hugging Face Spaces runs: settings -> manager -> page -> launch."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import types
from importlib import import_module
from importlib.util import find_spec

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "0")
# Whose X-Forwarded-For is believed (read by uvicorn): on Spaces its proxies', elsewhere nobody's, as it can be forged.
SPACES_PROXIES = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
os.environ.setdefault("FORWARDED_ALLOW_IPS", SPACES_PROXIES if os.environ.get("SPACE_ID") else "")

try:
    from negotiation.app.machine_profile import is_zero_gpu

    # ZeroGPU's package changes torch, so it must come first; elsewhere it is neither needed nor asked for.
    spaces = import_module("spaces") if is_zero_gpu(os.environ) else None

    from starlette.middleware import Middleware

    from manager.errors import ConfigError, ParleyError
    from manager.machine.process import keep_memory_low, leave
    from negotiation.app.logs import one_log, set_up_logging
    from negotiation.app.parley import Parley
    from negotiation.app.settings import Settings, read_settings
    from ui.kit.theme import STYLES, THEME
    from ui.page import build_page
    from ui.server.health import health_routes
    from ui.server.request_guard import Doors
    from ui.server.session_sweeper import MOST_SESSIONS, Sessions
    from ui.server.visitor import VisitorCookie
except ImportError as error:
    sys.exit(f"Parley cannot start: {error}; run: pip install -r requirements.txt (or `make run`, which sets up all)")

logger = logging.getLogger("parley")

FAREWELL_SECONDS = 0.5
"""How long open pages have to show how their negotiations ended."""


def main() -> int:
    """Serve the page until the process is told to end; the exit status is 1 after an error in the set-up."""
    keep_memory_low()
    try:
        set_up_logging(os.environ)
        settings = read_settings()
        if settings.profile.processors < (os.cpu_count() or 1):
            # A container's processors are a quota of those that torch sees, and more threads than that only wait.
            os.environ.setdefault("OMP_NUM_THREADS", str(settings.profile.processors))
        _check_port(settings)
        logger.info("this is a %s", settings.profile.about)
        parley = Parley.open(settings, spaces.GPU if spaces is not None else None)
    except ParleyError as error:
        logger.error("%s", error)  # noqa: TRY400 (the message says it all)
        return 1
    try:
        _serve(parley, settings)
    finally:
        parley.close()
    return 0


def _serve(parley: Parley, settings: Settings) -> None:
    page = build_page(parley)
    page.queue(default_concurrency_limit=None, api_open=False)
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
            "middleware": [Middleware(Doors), Middleware(VisitorCookie), Middleware(Sessions, page=page)],
            "routes": health_routes(parley),
        },
        state_session_capacity=MOST_SESSIONS,
        prevent_thread_lock=True,
        ssr_mode=False,  # Spaces asks for it; the page's own scripts are tested without
        mcp_server=find_spec("mcp") is not None,
    )
    one_log()
    logger.info("Parley is at http://%s:%s", settings.host, settings.port)
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    stopped = threading.Event()

    def stop(*_: int | types.FrameType | None) -> None:
        if stopped.is_set():  # told twice: at once; what ran is found interrupted by the next program
            os._exit(1)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reload_models, args=(parley,)).start())
    stopped.wait()
    grace = settings.app.shutdown_grace_seconds
    logger.info("shutting down: nothing begins any more, and what runs has %g s to end", grace)
    parley.drain(grace)
    time.sleep(FAREWELL_SECONDS)
    page.close(verbose=False)
    logger.info("shut down")


def reload_models(parley: Parley) -> None:
    """Take over an edited models.yaml, or say what is wrong with it and go on as before."""
    try:
        changes = parley.reload_models()
    except ParleyError as error:
        logger.error("models.yaml was not taken over: %s", error)  # noqa: TRY400 (the message says it all)
        return
    words = [f"{what}: {', '.join(ids)}" for what, ids in changes._asdict().items() if ids]
    logger.info("models.yaml was taken over (%s)", "; ".join(words) or "no changes")


def _warm_up() -> None:
    """Import what the first model needs while the visitor still reads the page."""
    import manager.backends.huggingface  # noqa: F401

    one_log()


def _check_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"cannot serve at {settings.host}, port {settings.port} ({error.strerror}); "
                "set PORT or HOST to something that is free"
            ) from None


if __name__ == "__main__":
    leave(main())
