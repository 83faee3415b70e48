"""How many models are downloaded at a time, and which downloads were aborted."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from manager.errors import Cancelled

DOWNLOADS = 4
"""How many models are downloaded at a time. Models whose files are on this machine do not count."""


@dataclass(eq=False)
class Preparation:
    """One model that is being located, sized, and fetched if necessary."""

    aborted: bool = False


class Downloads:
    """The downloads in flight. An aborted one gives up its place even if its thread hangs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[Preparation] = set()

    def begin(self, work: Preparation) -> None:
        """Wait for a place. Raises Cancelled if the work is aborted first."""
        with self._changed:
            self._changed.wait_for(lambda: work.aborted or len(self._running) < DOWNLOADS)
            if work.aborted:
                raise Cancelled("no request is waiting for it")
            self._running.add(work)

    def end(self, work: Preparation) -> None:
        """Give up the place of work that ended, in whatever way."""
        with self._changed:
            self._running.discard(work)
            self._changed.notify_all()

    def abort(self, work: Preparation) -> None:
        """Mark work as aborted and give up its place."""
        work.aborted = True
        self.end(work)
