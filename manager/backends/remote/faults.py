"""Turn a remote server's errors into Parley's. Its messages are shortened and cleaned, and API keys are removed."""

from __future__ import annotations

import email.utils
import html
import json
import math
import re
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from manager.config.model_spec import ModelSpec
from manager.errors import (
    AccessDenied,
    ContextTooLong,
    CredentialRejected,
    OutOfCredit,
    ParleyError,
    RateLimited,
    ServerFailed,
    TooSlow,
    Unreachable,
    WeightsNotFound,
)

MAX_FAULT = 64_000
"""Bytes that are read of an error response."""
MAX_TEXT = 300
_FULL = ("context_length", "context length", "maximum context", "context size", "too many tokens", "max_seq_len")
"""Signs of a prompt that is too long, in codes and messages of servers."""
ABOUT_ROLES = re.compile(
    r"system[ _-]?(role|message|prompt)s? (is |are )?not|roles must alternate|roles are supported, got system",
    re.IGNORECASE,
)
"""Signs that the model's chat template refuses the roles of a conversation."""
ABOUT_FORM = re.compile(r"response_format|json_schema|json_object|schema|grammar|structured|guided", re.IGNORECASE)
_WRONG_MODEL_OR_KEY = re.compile(
    r"model[ _]not[ _]found|(invalid|unknown) model|model\b.{0,100}\b(not found|does not exist|not available)"
    r"|(incorrect|invalid|no|missing|wrong|virtual)[ _](api[ _-]?)?key|key (is )?(not valid|expired)"
    r"|authentication[ _]?error|unauthori[sz]ed",
    re.IGNORECASE,
)
"""Signs of a wrong model or key, in messages of proxies that answer with HTTP 400."""
_REPORTED = {
    402: re.compile(
        r"insufficient[ _](quota|credits?|balance|funds)|exceeded your .{0,40}\bcredits|payment[ _]required",
        re.IGNORECASE,
    ),
    401: re.compile(r"authentication[ _]?error|invalid[ _](api[ _]?)?(key|token)\b|unauthori[sz]ed", re.IGNORECASE),
    403: re.compile(r"permission[ _](denied|error)|\bforbidden\b", re.IGNORECASE),
    429: re.compile(r"rate[ _]?limit|too many requests", re.IGNORECASE),
}
"""Signs, in codes and messages of errors within an answer, of the status that the server would have answered with."""
_FILTERED = re.compile(r"content_filter|content[ _](management[ _])?policy|ResponsibleAI", re.IGNORECASE)
_LOADING = re.compile(r"\bloading\b|starting up|warming up", re.IGNORECASE)
_KEY_LIKE = re.compile(r"\b(sk|hf|gsk|pk|key|Bearer)[-_ ][\w*.-]{4,}")
_REJECTED = (
    "The server of '{model}' does not accept your sign-in or key for it (HTTP {status}); sign in again or enter "
    "another key, and continue."
)
_EMPTY = (
    "Your account at the server of '{model}' has no credit left (HTTP {status}); add credit there, or choose another "
    "model, and continue."
)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class RequestFacts:
    """What a request asked for, as far as errors depend on it."""

    model: str
    base_url: str = ""
    key: str | None = field(default=None, repr=False)
    formatted: bool = False  # whether it asked for structured output
    own_key: bool = False  # whether the key is the visitor's


class Transient(Exception):
    """A failure that may be retried, `after` seconds if the server says so. `failure` is raised if all retries fail.

    `loading` if the server is still loading the model.
    """

    def __init__(self, failure: ParleyError, after: float | None = None, *, loading: bool = False) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.after = after
        self.loading = loading


class NotTaken(Exception):
    """The server refuses the request as it is, but may accept it without some parameters."""

    def __init__(self, failure: ParleyError, said: str) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.said = said


async def check(response: httpx.Response, asked: RequestFacts) -> None:
    """Raise the error of a response without text."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ServerFailed(f"{asked.base_url} answers in an encoding that was not requested")
    if response.status_code != 200:
        read = bytearray()
        async for chunk in response.aiter_raw():
            read += chunk
            if len(read) > MAX_FAULT:
                break
        raise fault(response.status_code, response.headers, bytes(read[:MAX_FAULT]), asked)
    if "text/html" in response.headers.get("content-type", ""):
        raise web_page(asked)


def fault(status: int, headers: Mapping[str, str], body: bytes, asked: RequestFacts) -> Exception:
    """Return the error for a response with a status other than 200."""
    return _classified(status, headers, *_said(body), asked)


def reported(error: Any, asked: RequestFacts) -> Exception:
    """Return the error that a server reports within its answer, despite the status 200."""
    said, code = _parsed(error)
    if re.fullmatch(r"[45]\d\d", code):
        return _classified(int(code), {}, said, code, asked)
    if any(sign in f"{code} {said}".lower() for sign in _FULL):
        return ContextTooLong(f"the prompt leaves no room in the context of '{asked.model}': {fit(said, asked.key)}")
    for status, signs in _REPORTED.items():
        if signs.search(f"{code} {said}"):
            return _classified(status, {}, said, code, asked)
    if ABOUT_ROLES.search(said):
        return NotTaken(
            ServerFailed(f"the server of '{asked.model}' refuses the request: {fit(said, asked.key)}"), said
        )
    return Transient(ServerFailed(f"the server of '{asked.model}' failed while writing: {fit(said, asked.key)}"))


def web_page(asked: RequestFacts) -> Unreachable:
    """Return the error for an answer that is a web page."""
    return Unreachable(f"{asked.base_url} answers with a web page; {_path_hint(asked)}")


def unreachable(base_url: str, error: Exception) -> Unreachable:
    """Return the error for a request that no server answered."""
    what = "no answer in time" if isinstance(error, TimeoutError | httpx.TimeoutException) else type(error).__name__
    if isinstance(error, httpx.ConnectError):
        what = " ".join(str(error).split())[:200] or "no connection"
    return Unreachable(
        f"{base_url} does not respond ({what}); check that the server is running and 'base_url' is right"
    )


def still_loading(spec: ModelSpec) -> TooSlow:
    """Return the error of a server that takes too long to load the model."""
    seconds = spec.timeouts.first_token
    return TooSlow(
        f"the server of '{spec.model_name}' is still loading the model after {seconds:g} s (key 'timeouts.first_token')"
    )


def too_slow(spec: ModelSpec, begun: bool) -> TooSlow:
    """Return the error of a server that was silent for too long: before its answer, or within it (`begun`)."""
    if begun:
        text = f"wrote nothing more for {spec.timeouts.between_tokens:g} s (key 'timeouts.between_tokens')"
    else:
        text = f"wrote nothing within {spec.timeouts.first_token:g} s (key 'timeouts.first_token')"
    return TooSlow(f"the server of '{spec.model_name}' {text}")


def _classified(status: int, headers: Mapping[str, str], said: str, code: str, asked: RequestFacts) -> Exception:
    model = asked.model
    words = f": {fit(said, asked.key)}" if said else ""
    if asked.own_key and (status == 402 or (status == 429 and code == "insufficient_quota")):
        return OutOfCredit(_EMPTY.format(model=model, status=status))
    if asked.own_key and status in (401, 403):
        return CredentialRejected(_REJECTED.format(model=model, status=status))
    if status in (401, 402, 403):  # without its message, which may contain parts of the key
        return AccessDenied(f"the server refuses access to '{model}' (HTTP {status}); check the key 'api_key'")
    if status < 300:
        return ServerFailed(f"the server of '{model}' answers without a reply (HTTP {status}){words}")
    if 300 <= status < 400:
        return Unreachable(f"the server redirects (HTTP {status}), which is not followed; correct the key 'base_url'")
    if status in (404, 405):
        hint = "check 'model_name' and 'base_url'" if asked.base_url.rstrip("/").endswith("/v1") else _path_hint(asked)
        return WeightsNotFound(f"the server has no model '{model}', or no such path (HTTP {status}); {hint}{words}")
    if status == 413 or (status in (400, 422) and any(sign in f"{code} {said}".lower() for sign in _FULL)):
        return ContextTooLong(f"the prompt leaves no room in the context of '{model}'{words}")
    if status == 429:
        if code == "insufficient_quota":
            return AccessDenied(f"the quota of the account at the server of '{model}' is used up (HTTP 429)")
        return Transient(
            RateLimited(f"the server of '{model}' accepts no more requests for now (HTTP 429){words}"), _after(headers)
        )
    if _FILTERED.search(f"{code} {said}"):
        return ServerFailed(f"the content filter of the server of '{model}' refuses the prompt (HTTP {status}){words}")
    if (asked.formatted and "response_format" in said) or ABOUT_ROLES.search(said):
        # some servers take these for errors of their own, with a status of 500
        return NotTaken(ServerFailed(f"the server of '{model}' refuses the request (HTTP {status}){words}"), said)
    if status >= 500 or status in (408, 409, 425):
        failed = ServerFailed(f"the server of '{model}' failed (HTTP {status}){words}")
        return Transient(failed, _after(headers), loading=status == 503 and _LOADING.search(said) is not None)
    if _WRONG_MODEL_OR_KEY.search(f"{code} {said}") and not ABOUT_FORM.search(said):
        if asked.own_key:
            return CredentialRejected(_REJECTED.format(model=model, status=status))
        text = f"the server refuses model or key (HTTP {status}); check 'model_name' and 'api_key'"
        return AccessDenied(text + _KEY_LIKE.sub("[key]", words))
    return NotTaken(ServerFailed(f"the server of '{model}' refuses the request (HTTP {status}){words}"), said)


def _path_hint(asked: RequestFacts) -> str:
    path = urlsplit(asked.base_url).path.rstrip("/")
    return "is base_url right?" if path.endswith("/v1") else "does base_url end in /v1?"


def fit(text: str, key: str | None) -> str:
    """Make a server's message fit to be shown and stored: one short line without control characters or the key."""
    if key:
        text = text.replace(key, "[key]")
        text = _KEY_LIKE.sub("[key]", text)
    line = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in text[: 4 * MAX_TEXT]).split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"


def _said(body: bytes) -> tuple[str, str]:
    """Return the message and code of an error response in one of the common forms, or else its text."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):  # a web page, such as a proxy's
        title = _TITLE.search(text)
        return html.unescape(title[1]) if title else "", ""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    if isinstance(data, dict):
        return _parsed(next((data[name] for name in ("error", "detail", "message") if data.get(name)), data))
    return text, ""


def _parsed(error: Any) -> tuple[str, str]:
    if isinstance(error, dict) and isinstance(error.get("error"), dict):
        return _parsed(error["error"])
    if isinstance(error, dict):
        code = str(error.get("code") or error.get("type") or "")
        message = error.get("message") or error.get("error") or error.get("detail")
        if not isinstance(message, str):
            return json.dumps(error), code
        param = error.get("param")  # what a vague message is about
        return (f"{message} ({param})" if isinstance(param, str) and param not in message else message), code
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
