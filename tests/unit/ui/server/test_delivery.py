"""Answers are compressed, streams without delay, and files that never change are cached."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import brotli
import pytest

from ui.server.delivery import FOREVER, Delivery

PAGE = b"<p>A long page.</p>" * 100
Headers = Mapping[str, str]


def answered(
    pieces: Sequence[bytes],
    accepted: str = "gzip, br",
    *,
    path: str = "/",
    query: str = "",
    method: str = "GET",
    status: int = 200,
    head: Headers | None = None,
) -> tuple[dict[str, str], list[bytes]]:
    """Return the headers and the pieces that reach the client of an answer in pieces."""
    headers = {"content-type": "text/html; charset=utf-8", **(head or {})}
    return asked(Delivery(app_of(pieces, status, headers)), accepted, path=path, query=query, method=method)


def app_of(pieces: Sequence[bytes], status: int, headers: Headers, asked: list[str] | None = None) -> Any:
    """Return a program that answers everything in the same pieces, and notes which addresses it was asked for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if asked is not None:
            asked.append(scope["path"])
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for place, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": place < len(pieces)})

    return app


def asked(
    delivery: Delivery, accepted: str = "gzip, br", *, path: str = "/", query: str = "", method: str = "GET"
) -> tuple[dict[str, str], list[bytes]]:
    """Return the headers and the pieces that reach a client."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"accept-encoding", accepted.encode())],
    }
    with ThreadPoolExecutor(1) as thread:  # `asyncio.run` would remove this thread's event loop, which Gradio needs
        thread.submit(lambda: asyncio.run(delivery(scope, receive, send))).result()
    start, *bodies = sent
    return {name.decode(): value.decode() for name, value in start["headers"]}, [body["body"] for body in bodies]


@pytest.mark.parametrize(
    ("accepted", "encoding", "read"),
    [
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip", "gzip", gzip.decompress),
        ("br;q=0, gzip", "gzip", gzip.decompress),
        ("identity", None, bytes),
        ("", None, bytes),
    ],
)
def test_a_page_is_compressed_as_its_client_accepts_it(accepted: str, encoding: str | None, read: Any) -> None:
    headers, [body] = answered([PAGE], accepted, head={"content-length": str(len(PAGE)), "etag": '"1"'})
    assert headers.get("content-encoding") == encoding
    assert read(body) == PAGE
    assert headers["content-length"] == str(len(body))
    assert headers["vary"] == "Accept-Encoding"
    assert headers["etag"] == ('"1"' if encoding is None else 'W/"1"')
    assert encoding is None or len(body) < len(PAGE) / 5


def test_every_event_of_a_stream_arrives_at_once() -> None:
    events = [f"data: {number} {'x' * 50}\n\n".encode() for number in range(5)]
    headers, pieces = answered([*events, b""], head={"content-type": "text/event-stream"})
    assert headers["content-encoding"] == "gzip"
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    assert [reader.decompress(piece) for piece in pieces] == [*events, b""]
    assert reader.eof


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/gradio_api/heartbeat/x", "head": {"content-type": "text/event-stream"}, "pieces": [b"ALIVE", b""]},
        {"head": {"content-type": "image/png"}},
        {"head": {"content-encoding": "br"}},
        {"method": "HEAD"},
        {"status": 304, "pieces": [b""]},
        {"pieces": [b"short"]},
    ],
)
def test_what_would_gain_nothing_goes_as_it_is(changed: dict[str, Any]) -> None:
    given = {"pieces": [PAGE], **changed}
    headers, pieces = answered(**given)
    assert pieces == given["pieces"]
    assert headers.get("content-encoding") == changed.get("head", {}).get("content-encoding")


def test_files_whose_address_has_a_digest_are_cached_for_ever_and_nothing_else() -> None:
    assert answered([PAGE], path="/assets/index-1a2b.js")[0]["cache-control"] == FOREVER
    assert answered([PAGE], path="/theme.css", query="v=abc")[0]["cache-control"] == FOREVER
    assert "cache-control" not in answered([PAGE], path="/assets/gone.js", status=404)[0]
    for path in ("/", "/config", "/theme.css"):
        assert "cache-control" not in answered([PAGE], path=path)[0]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("", PAGE), ("gzip", gzip.compress(PAGE)), ("br", brotli.compress(PAGE, quality=1))],
    ids=["plain", "gzip", "br"],
)
def test_a_file_that_never_changes_is_compressed_best_for_later_visitors(encoding: str, body: bytes) -> None:
    head = {"content-type": "text/javascript", **({"content-encoding": encoding} if encoding else {})}
    asked_for: list[str] = []
    delivery = Delivery(app_of([body[:50], body[50:], b""], 200, head, asked_for))
    path = "/assets/index-1a2b.js"
    asked(delivery, path=path, method="HEAD")
    asked(delivery, path=path)
    delivery.assets.wait()
    headers, [small] = asked(delivery, path=path)
    assert len(asked_for) == 2, "the third answer is the kept file"
    assert small == brotli.compress(PAGE, brotli.MODE_TEXT, 11)
    assert headers["content-encoding"] == "br"
    assert headers["content-length"] == str(len(small))
    assert (headers["content-type"], headers["cache-control"]) == ("text/javascript", FOREVER)
    asked(delivery, "gzip", path=path)
    asked(delivery, path=path, query="other")
    assert len(asked_for) == 4, "those who cannot read it, and other addresses, are answered by the program"


def test_what_may_change_or_failed_is_not_kept() -> None:
    for path, status, encoding in (("/", 200, ""), ("/assets/a.js", 404, ""), ("/assets/a.js", 200, "zstd")):
        asked_for: list[str] = []
        head = {"content-type": "text/javascript", "content-encoding": encoding}
        delivery = Delivery(app_of([PAGE], status, head, asked_for))
        for _ in range(2):
            asked(delivery, path=path)
            delivery.assets.wait()
        assert len(asked_for) == 2


def test_the_page_names_the_files_that_were_answered_before_it_ran() -> None:
    page = b'<base href="./" />' + PAGE
    delivery = Delivery(app_of([page], 200, {"content-type": "text/html", "content-length": str(len(page))}))
    missing = Delivery(app_of([page], 404, {"content-type": "text/html"}))
    for each in (delivery, missing):
        for number in range(30):
            asked(each, path=f"/assets/part-{number}.js")
        asked(each, path="/gradio_api/queue/join", method="POST")
    for accepted, read in (("br", brotli.decompress), ("", bytes)):
        headers, [body] = asked(delivery, accepted)
        assert read(body).count(b'<link rel="modulepreload"') == 30
        assert headers["content-length"] == str(len(body))
    assert b"<link" not in asked(missing, "")[1][0]
    assert b"<link" not in asked(delivery, "", path="/other")[1][0]
