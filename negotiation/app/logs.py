"""What is logged, and how: lines for people, or one JSON object a line for programs (`LOG_FORMAT=json`).

Logs tell what happened and where, never what anybody wrote: no messages, thoughts, prompts, scenarios or names of
visitors. An exception is told by its type and place, because its text may quote such things. What libraries would
print or log past this (Gradio prints exceptions with their texts, uvicorn has handlers of its own) is taken over. A
record's message is one line of characters that can be shown, so that nobody writes records that nobody made.
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
from types import TracebackType
from typing import Any

from manager.config.strict_yaml import shown
from manager.errors import ConfigError
from negotiation.game.events import Ended, Event, Halted, Started

logger = logging.getLogger("parley.negotiations")

FIELDS = ("event", "run", "status", "error", "agents")
"""What a record may carry beside its message."""
PLAIN_SPOKEN = ("manager.loading.loader",)
"""Loggers whose exceptions are told with their text: they see no texts of visitors."""
QUOTING = ("asyncio",)
"""Loggers whose messages quote exceptions from the second line on."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = told(record)
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in logging)
        record.message = message_of(record)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what of `FIELDS` and of an error there is."""

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
            entry["stack"] = told(record)
        return json.dumps(entry, default=str)


FORMATTERS: Mapping[str, type[logging.Formatter]] = {"text": LineFormatter, "json": JsonFormatter}


def set_up_logging(environment: Mapping[str, str]) -> None:
    """Log to standard error as LOG_FORMAT says, for the whole process; raises ConfigError."""
    name = environment.get("LOG_FORMAT") or "text"
    if name not in FORMATTERS:
        raise ConfigError(f"LOG_FORMAT: {shown(name, 40)} is no format; use one of {', '.join(FORMATTERS)}")
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[name]())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    traceback.print_exc = _print_exc
    sys.excepthook = lambda *info: _broke(info)
    threading.excepthook = lambda given: _broke((given.exc_type, given.exc_value, given.exc_traceback))


def one_log() -> None:
    """Have records of libraries that brought handlers of their own written as all others are; for once they did."""
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        if library.handlers:
            library.handlers.clear()
            library.propagate = True


def _print_exc(limit: int | None = None, file: Any = None, chain: bool = True) -> None:
    """In place of `traceback.print_exc`: log the exception, unless it is to be written somewhere."""
    if file is None:
        _broke(sys.exc_info())
    else:
        print_exc(limit, file, chain)


def _broke(info: Any) -> None:
    logging.getLogger("parley").error("something broke", exc_info=info)


def message_of(record: logging.LogRecord) -> str:
    """A record's message, in one line."""
    message = record.getMessage()
    return _in_one_line(message.partition("\n")[0] if record.name in QUOTING else message)


def _in_one_line(text: str) -> str:
    """A text whose line ends and other characters that cannot be shown are written as in Python.

    >>> _in_one_line("a\\nb")
    'a\\\\nb'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def told(record: logging.LogRecord) -> str:
    """Where an exception came from and what kind it is; its text only where that quotes nobody."""
    kind, error, trace = record.exc_info or (None, None, None)
    if kind is None or error is None:
        return ""
    lines = traceback.format_tb(trace)
    if record.name.startswith(PLAIN_SPOKEN):
        said = _in_one_line(str(error))
    else:
        said = (error.strerror or "") if isinstance(error, OSError) else ""
    return "".join(lines) + (f"{kind.__name__}: {said}" if said else kind.__name__)


def log_event(run_id: str, event: Event) -> None:
    """Log that a negotiation began or came to its end."""
    match event:
        case Started(agents=agents):
            about = {"event": "started", "run": run_id, "agents": dict(agents)}
            logger.info("negotiation %s began", run_id, extra=about)
        case Ended(ending=ending):
            logger.info("negotiation %s ended: %s", run_id, ending, extra={"event": "ended", "run": run_id})
        case Halted(status=status, kind=kind):
            about = {"event": "halted", "run": run_id, "status": status, "error": kind}
            level = logging.WARNING if status == "failed" else logging.INFO
            logger.log(level, "negotiation %s was halted: %s %s", run_id, status, kind, extra=about)
