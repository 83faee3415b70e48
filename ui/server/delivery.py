"""How answers travel: text and streams are compressed, and files that never change stay in the browser's cache.

Gradio compresses its scripts and styles, but not the page, the answers of events and their streams.
"""

from __future__ import annotations

import gzip
import re
import zlib

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.assets import Asset, Assets
from ui.server.preloading import PAGE, Preloads

LEAST_BYTES = 500
"""Shorter answers fit into one packet anyway."""
FOREVER = "public, max-age=31536000, immutable"
UNCHANGING = re.compile(r"/assets/|/theme\.css\?v=")
"""Addresses that contain a digest of their content."""
TEXT = re.compile(r"text/|application/(json|javascript)|image/svg")
PLAIN = re.compile(r"/gradio_api/heartbeat/")
"""A few bytes a minute for as long as a page is open: a compressor would only take memory."""
QUALITY = 5
"""Of brotli: a tenth smaller than gzip's best, as fast as gzip."""


class Delivery:
    """Middleware around the whole server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.assets = Assets()
        self._preloads = Preloads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._preloads.asked(scope["path"])
            answer = _Answer(scope, send, self.assets, self._preloads)
            if asset := answer.kept():
                self._preloads.answered(scope["path"])
                await answer.send_asset(asset)
                return
            send = answer.send
        await self._app(scope, receive, send)


class _Answer:
    """One answer on its way. Its head waits for the first piece, which shows whether more will follow."""

    def __init__(self, scope: Scope, send: Send, assets: Assets, preloads: Preloads) -> None:
        self._send = send
        self._assets = assets
        self._preloads = preloads
        accepted = Headers(scope=scope).get("accept-encoding", "").split(",")
        self._accepted = {name.strip() for name in accepted}  # whoever refuses one writes q=0 behind its name
        self._method, self._path = scope["method"], scope["path"]
        self._plain = self._method == "HEAD" or PLAIN.match(scope["path"]) is not None
        self._address = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        self._unchanging = UNCHANGING.match(self._address) is not None
        self._pieces: list[bytes] = []
        self._head: Message | None = None
        self._sent = Headers()
        self._keeps = False
        self._stream: zlib._Compress | None = None

    def kept(self) -> Asset | None:
        """Return the answer if it is a file that was compressed before."""
        usable = self._unchanging and self._method == "GET" and "br" in self._accepted
        return self._assets.get(self._address) if usable else None

    async def send_asset(self, asset: Asset) -> None:
        """Send a file that was compressed before."""
        headers = {**asset.headers, "cache-control": FOREVER, "content-length": str(len(asset.body))}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self._send({"type": "http.response.body", "body": asset.body})

    async def send(self, message: Message) -> None:
        """Send a message of the program on to the client."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        if message["type"] == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            if self._head is not None:
                body = self._begun(self._head, body, more=more)
                await self._send(self._head)
                self._keeps = self._unchanging and self._method == "GET" and self._head["status"] == 200
                self._sent = Headers(scope=self._head)
                self._head = None
            if self._stream is not None:
                body = self._stream.compress(body) + self._stream.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
            message = {**message, "body": body}
            if self._keeps:
                self._pieces.append(body)
            if self._keeps and not more and TEXT.match(kind := self._sent.get("content-type", "")):
                encoding = self._sent.get("content-encoding", "")
                self._assets.keep(self._address, kind, encoding, b"".join(self._pieces))
        await self._send(message)

    def _begun(self, head: Message, body: bytes, *, more: bool) -> bytes:
        """Complete the head of an answer that begins with `body`, and return what to send of it."""
        headers = MutableHeaders(scope=head)
        if self._unchanging and head["status"] == 200:
            headers["cache-control"] = FOREVER
        if head["status"] == 200 and self._method != "HEAD":
            self._preloads.answered(self._path)
        elif head["status"] >= 400:
            self._preloads.refused(self._path)
        if "content-encoding" in headers or not TEXT.match(headers.get("content-type", "")):
            return body
        if self._path == PAGE and head["status"] == 200 and not more and self._method == "GET":
            body = self._preloads.added_to(body)
            headers["content-length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        # A compressor stays in memory while a stream lasts, and gzip's is a seventh of brotli's.
        kind = next((name for name in (("gzip",) if more else ("br", "gzip")) if name in self._accepted), None)
        if self._plain or kind is None or head["status"] in (204, 206, 304) or (len(body) < LEAST_BYTES and not more):
            return body
        headers["content-encoding"] = kind
        if "etag" in headers:  # it names other bytes
            headers["etag"] = f"W/{headers['etag'].removeprefix('W/')}"
        if more:
            del headers["content-length"]
            self._stream = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
            return body
        body = brotli.compress(body, brotli.MODE_TEXT, QUALITY) if kind == "br" else gzip.compress(body, 6)
        headers["content-length"] = str(len(body))
        return body
