"""Which models are fetched at the same time. Knows no files and no network: who may begin, and who was given up."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from manager.errors import Cancelled

DOWNLOADS = 4
"""So many models are fetched at the same time; what is on this machine already is prepared beside them."""


@dataclass(eq=False)
class Preparation:
    """One model that is looked for, sized, and fetched if need be."""

    unwanted: bool = False


class Downloads:
    """The downloads in flight: at most DOWNLOADS; one that is given up makes room although its thread may hang on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[Preparation] = set()

    def begin(self, work: Preparation) -> None:
        """Wait for a place; raises Cancelled when the work is given up first."""
        with self._changed:
            self._changed.wait_for(lambda: work.unwanted or len(self._running) < DOWNLOADS)
            if work.unwanted:
                raise Cancelled("nobody waits for it any more")
            self._running.add(work)

    def end(self, work: Preparation) -> None:
        """It ended, however."""
        with self._changed:
            self._running.discard(work)
            self._changed.notify_all()

    def give_up(self, work: Preparation) -> None:
        """Nobody wants it any more."""
        work.unwanted = True
        self.end(work)
