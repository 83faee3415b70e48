"""Parse server-sent events, with limits on their size so that no server can exhaust the memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from manager.errors import ServerFailed

MAX_EVENT = 4_000_000
"""Bytes of one event."""


async def events(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the data of each event, ignoring comments and other fields (WHATWG HTML, 9.2).

    Raises ServerFailed for an event larger than MAX_EVENT.
    """
    data: list[bytes] = []
    size = 0
    async for line in _lines(body):
        if not line:
            if data:
                yield b"\n".join(data).decode("utf-8", "replace")
            data, size = [], 0
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
            size += len(line)
            if size > MAX_EVENT:
                raise too_large()
    if data:  # some servers do not end their last event
        yield b"\n".join(data).decode("utf-8", "replace")


async def whole(body: AsyncIterator[bytes], most: int = MAX_EVENT) -> bytes:
    """Return the whole body of a response that is not a stream. Raises ServerFailed beyond `most` bytes."""
    read = bytearray()
    async for chunk in body:
        read += chunk
        if len(read) > most:
            raise too_large()
    return bytes(read)


def too_large() -> ServerFailed:
    """Return the error for a server that sends too much."""
    return ServerFailed(f"the server sent more than {MAX_EVENT:,} bytes at once, and was cut off")


async def _lines(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines without their ends: LF or CR LF. No server uses the standard's lone CR."""
    rest = bytearray()
    async for chunk in body:
        start = len(rest)
        rest += chunk
        if b"\n" not in chunk and len(rest) > MAX_EVENT:
            raise too_large()
        if rest.find(b"\n", start) < 0:
            continue
        *lines, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield bytes(rest).removesuffix(b"\r")
