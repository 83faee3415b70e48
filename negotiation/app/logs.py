"""Logging: lines for people, or one JSON object per line for programs (`LOG_FORMAT=json`).

Logs say what happened and where, never what people or models wrote: no messages, thoughts, prompts, scenarios or
visitor names. Exceptions are logged by type and traceback, because their texts may quote such things. Output that
libraries would print or log themselves (Gradio prints exceptions with their texts, uvicorn has its own handlers) is
redirected here. A message is one line of printable characters, so that logged text cannot forge records.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from traceback import print_exc
from typing import Any

from manager.config.strict_yaml import shown
from manager.errors import ConfigError
from negotiation.game.events import Ended, Event, Halted, Started

logger = logging.getLogger("parley.negotiations")

FIELDS = ("event", "run", "status", "error", "agents")
"""Fields that a record may have besides its message."""
SAFE = ("manager.loading.loader",)
"""Loggers whose exceptions are logged with their text: they never see visitors' texts."""
QUOTING = ("asyncio",)
"""Loggers whose messages quote exceptions after the first line."""


class LineFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = described(record)
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in logging)
        record.message = message_of(record)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and if present `FIELDS` and the error."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
        }
        entry |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = record.exc_info[0].__name__
            entry["stack"] = described(record)
        return json.dumps(entry, default=str)


FORMATTERS: Mapping[str, type[logging.Formatter]] = {"text": LineFormatter, "json": JsonFormatter}


def set_up_logging(environment: Mapping[str, str]) -> None:
    """Log to standard error in LOG_FORMAT, for the whole process; raises ConfigError for an unknown format."""
    name = environment.get("LOG_FORMAT") or "text"
    if name not in FORMATTERS:
        raise ConfigError(f"LOG_FORMAT: {shown(name, 40)} is not a format; use one of {', '.join(FORMATTERS)}")
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[name]())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    traceback.print_exc = _print_exc
    sys.excepthook = lambda *info: _log_uncaught(info)
    threading.excepthook = lambda given: _log_uncaught((given.exc_type, given.exc_value, given.exc_traceback))


def one_log() -> None:
    """Send records of libraries that installed their own handlers through ours; call it after they have."""
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        if library.handlers:
            library.handlers.clear()
            library.propagate = True


def _print_exc(limit: int | None = None, file: Any = None, chain: bool = True) -> None:
    """Replace `traceback.print_exc`: log the exception, unless it goes to a file."""
    if file is None:
        _log_uncaught(sys.exc_info())
    else:
        print_exc(limit, file, chain)


def _log_uncaught(info: Any) -> None:
    logging.getLogger("parley").error("unexpected error", exc_info=info)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message in one line."""
    message = record.getMessage()
    return _in_one_line(message.partition("\n")[0] if record.name in QUOTING else message)


def _in_one_line(text: str) -> str:
    """Return a text with line breaks and other unprintable characters escaped as in Python.

    >>> _in_one_line("a\\nb")
    'a\\\\nb'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def described(record: logging.LogRecord) -> str:
    """Return an exception's traceback and type; its text only where that cannot quote anyone."""
    kind, error, trace = record.exc_info or (None, None, None)
    if kind is None or error is None:
        return ""
    lines = traceback.format_tb(trace)
    if record.name.startswith(SAFE):
        text = _in_one_line(str(error))
    else:
        text = (error.strerror or "") if isinstance(error, OSError) else ""
    return "".join(lines) + (f"{kind.__name__}: {text}" if text else kind.__name__)


def log_event(run_id: str, event: Event) -> None:
    """Log the start and the end of a negotiation."""
    match event:
        case Started(agents=agents):
            about = {"event": "started", "run": run_id, "agents": dict(agents)}
            logger.info("negotiation %s started", run_id, extra=about)
        case Ended(ending=ending):
            logger.info("negotiation %s ended: %s", run_id, ending, extra={"event": "ended", "run": run_id})
        case Halted(status=status, kind=kind):
            about = {"event": "halted", "run": run_id, "status": status, "error": kind}
            level = logging.WARNING if status == "failed" else logging.INFO
            logger.log(level, "negotiation %s was halted: %s %s", run_id, status, kind, extra=about)
