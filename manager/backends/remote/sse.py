"""Split the body of an answer into events, with limits on their size so that no server can exhaust the memory.

Server-sent events are read as the standard says (WHATWG HTML, 9.2), and beyond it what servers send instead: events
ended by a single line feed, errors in a field of their own, and plain JSON without any field.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

from manager.errors import ServerFailed

MAX_EVENT = 4_000_000
"""Bytes of one event."""
DONE = "[DONE]"
_FIELD = re.compile(rb"(event|id|retry)?:|(event|id|retry)$")
"""Comments, and the fields of events that are not data."""
_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
"""A CR at the very end may be the first half of a CR LF, so it counts once more has arrived."""


async def events(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the data of each event, ignoring comments and other fields; of a web page, yield its first line.

    A body without any event is an error as text; its first line is yielded as such.

    Raises ServerFailed for an event larger than MAX_EVENT.
    """
    pending: list[bytes] = []
    size, plain = 0, False  # whether JSON without a field is pending
    empty, stray = True, b""
    async for line in _lines(body):
        data = line if plain else _data(line)
        empty = empty and data is None
        if data is None:
            stray = stray or (line if empty and not _FIELD.match(line) else b"")
            if not line and pending:
                yield _text(pending)
                pending, size = [], 0
            continue
        plain = plain or (not pending and data is line)
        pending.append(data)
        size += len(data)
        if size > MAX_EVENT:
            raise too_large()
        if line.startswith(b"<") or _is_whole(pending):
            yield _text(pending)
            pending, size, plain = [], 0, False
    if pending:  # some servers do not end their last event
        yield _text(pending)
    if empty and stray.strip():
        yield f"error: {_text([stray])}"


def is_done(event: str) -> bool:
    """Return whether an event says that there are no more."""
    return event.strip().upper() == DONE


def too_large() -> ServerFailed:
    """Return the error for a server that sends too much."""
    return ServerFailed(f"the server sent more than {MAX_EVENT:,} bytes at once, and was cut off")


def _data(line: bytes) -> bytes | None:
    """Return the data in a line, or None if it has none."""
    if line.startswith(b"data:"):
        return line[5:].removeprefix(b" ")
    if line.startswith(b"error:"):  # llama.cpp until September 2025
        return b'{"error": %s}' % line[6:]
    return line if line.startswith((b"{", b"[", b"<")) else None


def _text(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("utf-8", "replace")


def _is_whole(lines: list[bytes]) -> bool:
    """Return whether these lines are a whole event, even without an empty line after them."""
    if not lines[-1].rstrip().endswith((b"}", b"]", b"null")):
        return False
    text = _text(lines)
    try:
        if not is_done(text):
            json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


async def _lines(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines without their ends (LF, CR LF or CR) and without a byte order mark at the beginning."""
    rest, began = bytearray(), False
    async for chunk in body:
        start = max(0, len(rest) - 1)  # where a CR may wait for its LF
        rest += chunk
        if not began and len(rest) >= len(_MARK):
            began = True
            if rest.startswith(_MARK):
                del rest[: len(_MARK)]
        if not _LINE_END.search(rest, start):
            if len(rest) > MAX_EVENT:
                raise too_large()
            continue
        *lines, last = _LINE_END.split(bytes(rest))
        rest = bytearray(last)
        for line in lines:
            yield line
    if rest:
        yield bytes(rest).removesuffix(b"\r")
