"""Which scripts and styles the page needs, so that browsers ask for all of them at once.

Gradio's page asks for its scripts one generation after another, each when the one before has run, and a slow line is
idle in between. Their names change with every version of Gradio, so they are learned from the first visit that has none
of them in its cache.
"""

from __future__ import annotations

import re
import threading

PAGE, RUNS = "/", "/gradio_api/queue/join"
"""Addresses that a visit begins with, and that only a page asks for that runs."""
KINDS = {".js": 'rel="modulepreload"', ".css": 'rel="preload" as="style"'}
ASSET = re.compile(r"/assets/[\w.-]+(\.js|\.css)")
BASE = re.compile(rb"<base [^>]*>")
"""What the addresses in the page are relative to."""
LEAST, MOST = 20, 150
"""A visit that asked for fewer had the others in its cache; nothing asks for more but a program."""


class Preloads:
    """The files that the page asks browsers to load; none until a visit has shown which ones."""

    def __init__(self) -> None:
        self._links = b""
        self._asked: dict[str, None] = {}
        self._lock = threading.Lock()

    def note(self, path: str) -> None:
        """Learn from the path of a request that was answered with what it asked for."""
        if self._links:
            return
        with self._lock:
            if path == PAGE:
                self._asked.clear()
            elif (asset := ASSET.fullmatch(path)) is not None:
                self._asked[f'<link {KINDS[asset[1]]} href=".{path}">'] = None
            elif path == RUNS and LEAST <= len(self._asked) <= MOST:
                self._links = "".join(self._asked).encode()

    def added_to(self, page: bytes) -> bytes:
        """Return the page with a link to each file, right where browsers first look for them."""
        return BASE.sub(lambda base: base[0] + self._links, page, count=1) if self._links else page
