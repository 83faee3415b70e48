"""Turn a remote server's errors into Parley's. Its messages are shortened and cleaned, and API keys are removed."""

from __future__ import annotations

import email.utils
import json
import math
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from manager.errors import (
    AccessDenied,
    ContextTooLong,
    ParleyError,
    RateLimited,
    ServerFailed,
    Unreachable,
    WeightsNotFound,
)

MAX_TEXT = 300
_FULL = ("context_length", "context length", "maximum context", "context size", "too many tokens", "max_seq_len")
"""Signs of a prompt that is too long, in codes and messages of servers."""


class Transient(Exception):
    """A failure that may be retried, `after` seconds if the server says so. `failure` is raised if all retries fail."""

    def __init__(self, failure: ParleyError, after: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.after = after


class NotTaken(Exception):
    """The server refuses the request as it is, but may accept it without some parameters."""

    def __init__(self, failure: ParleyError, said: str) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.said = said


def fault(status: int, headers: Mapping[str, str], body: bytes, model: str, key: str | None) -> Exception:
    """Return the error for a response with a status other than 200."""
    said, code = _said(body)
    words = f": {fit(said, key)}" if said else ""
    if status in (401, 402, 403):  # without its message, which may contain parts of the key
        return AccessDenied(f"the server refuses access to '{model}' (HTTP {status}); check the key 'api_key'")
    if 300 <= status < 400:
        return Unreachable(f"the server redirects (HTTP {status}), which is not followed; correct the key 'base_url'")
    if status in (404, 405):
        text = f"the server has no model '{model}', or no such path (HTTP {status}); check 'model_name' and 'base_url'"
        return WeightsNotFound(text + words)
    if status == 413 or (status in (400, 422) and any(sign in f"{code} {said}".lower() for sign in _FULL)):
        return ContextTooLong(f"the prompt leaves no room in the context of '{model}'{words}")
    if status == 429:
        if code == "insufficient_quota":
            return AccessDenied(f"the quota of the account at the server of '{model}' is used up (HTTP 429)")
        return Transient(
            RateLimited(f"the server of '{model}' accepts no more requests for now (HTTP 429){words}"), _after(headers)
        )
    if status >= 500 or status in (408, 409, 425):
        return Transient(ServerFailed(f"the server of '{model}' failed (HTTP {status}){words}"), _after(headers))
    return NotTaken(ServerFailed(f"the server of '{model}' refuses the request (HTTP {status}){words}"), said)


def reported(error: Any, model: str, key: str | None) -> Exception:
    """Return the error that a server reports within its answer."""
    said, code = _parsed(error)
    if any(sign in f"{code} {said}".lower() for sign in _FULL):
        return ContextTooLong(f"the prompt leaves no room in the context of '{model}': {fit(said, key)}")
    return Transient(ServerFailed(f"the server of '{model}' failed while writing: {fit(said, key)}"))


def fit(text: str, key: str | None) -> str:
    """Make a server's message fit to be shown and stored: one short line without control characters or the key."""
    if key:
        text = text.replace(key, "[key]")
    line = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in text[: 4 * MAX_TEXT]).split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"


def _said(body: bytes) -> tuple[str, str]:
    """Return the message and code of an error response in one of the common forms, or else its text."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    if isinstance(data, dict):
        return _parsed(next((data[name] for name in ("error", "detail", "message") if data.get(name)), data))
    return text, ""


def _parsed(error: Any) -> tuple[str, str]:
    if isinstance(error, dict):
        code = str(error.get("code") or error.get("type") or "")
        message = error.get("message") or error.get("error")
        return (message, code) if isinstance(message, str) else (json.dumps(error), code)
    return (error if isinstance(error, str) else json.dumps(error)), ""


def _after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in a Retry-After header (RFC 9110, 10.2.3), which may be a number or a date."""
    value = headers.get("retry-after", "").strip()
    with suppress(ValueError, OverflowError):
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None
