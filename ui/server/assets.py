"""Scripts and styles that never change, compressed once as well as possible and kept for all later visitors.

Brotli's best quality makes Gradio's scripts an eighth smaller than Gradio's own compression, but takes seconds for
those of a page. So the first visitor gets them as they are, while a thread compresses them.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import brotli

MOST_BYTES = 8_000_000
"""Of all kept files together. The scripts and styles of a page have about 300 kB."""
BEST = 11
DECODERS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    headers: Mapping[str, str]
    body: bytes


class Assets:
    """The compressed files, by address."""

    def __init__(self) -> None:
        self._kept: dict[str, Asset] = {}
        self._begun: set[str] = set()
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="assets")

    def get(self, address: str) -> Asset | None:
        """Return the file of an address, if it has been compressed."""
        return self._kept.get(address)

    def keep(self, address: str, content_type: str, encoding: str, body: bytes) -> None:
        """Compress a file in the background, unless that was begun before.

        Args:
            address: Its path and query, which contain a digest of its content.
            content_type: Its type.
            encoding: How `body` is compressed: "br", "gzip", or empty if it is not. Others are left alone.
            body: All of it.
        """
        with self._lock:
            if address in self._begun or self._bytes >= MOST_BYTES or encoding not in DECODERS:
                return
            self._begun.add(address)
        self._thread.submit(self._compress, address, content_type, encoding, body)

    def wait(self) -> None:
        """Return when everything that was begun is compressed."""
        self._thread.submit(int).result()

    def _compress(self, address: str, content_type: str, encoding: str, body: bytes) -> None:
        small = brotli.compress(DECODERS[encoding](body), brotli.MODE_TEXT, BEST)
        headers = {"content-type": content_type, "content-encoding": "br", "vary": "Accept-Encoding"}
        with self._lock:
            self._kept[address] = Asset(headers, small)
            self._bytes += len(small)
