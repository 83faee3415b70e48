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
        self._asked: dict[str, bool] = {}  # whether it was answered, by link, in the order of the requests
        self._first = True  # until it is known that the visit's browser has files in its cache
        self._runs = False
        self._lock = threading.Lock()

    def asked(self, path: str) -> None:
        """Learn from the path of a request."""
        if not self._links and (link := _link(path)):
            with self._lock:
                if self._first and len(self._asked) <= MOST:
                    self._asked.setdefault(link, False)

    def answered(self, path: str) -> None:
        """Learn from the path of a request that was answered with what it asked for.

        A page may run before its last files were answered, so a visit is over once all of them were.
        """
        if self._links:
            return
        with self._lock:
            if path == PAGE:
                self._asked.clear()
                self._first, self._runs = True, False
            elif path == RUNS:
                self._runs = True
                if len(self._asked) < LEAST:  # the rest of the visit would add what is behind the tabs
                    self._asked.clear()
                    self._first = False
            elif (link := _link(path)) in self._asked:
                self._asked[link] = True
            if self._runs and LEAST <= len(self._asked) <= MOST and all(self._asked.values()):
                self._links = "".join(self._asked).encode()

    def refused(self, path: str) -> None:
        """Forget the path of a request that failed: somebody may keep asking for what does not exist."""
        with self._lock:
            if not self._asked.get(link := _link(path), True):
                del self._asked[link]

    def added_to(self, page: bytes) -> bytes:
        """Return the page with a link to each file, right where browsers first look for them."""
        return BASE.sub(lambda base: base[0] + self._links, page, count=1) if self._links else page


def _link(path: str) -> str:
    """Return the link to a file of Gradio; "" if the path is that of anything else."""
    asset = ASSET.fullmatch(path)
    return f'<link {KINDS[asset[1]]} href=".{path}">' if asset else ""
