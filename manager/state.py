"""States of weights, progress of work on them, and why a request waits for them. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANSWERS = "answers"
"""Status text of a healthy remote server."""
FRESH_SECONDS = 60.0
"""A remote server is taken for healthy for this long after an answer; then nobody knows before it is asked again."""
MAKING_ROOM = "making room for"
"""Beginning of the status text of weights that are being evicted."""


class State(StrEnum):
    """Where weights are.

    `draining` weights grant no new lease and leave their device at zero leases. `parked` weights have a copy in host
    memory, from which they return (`waking`) without reading their files again.
    """

    COLD = "cold"
    LOADING = "loading"
    RESIDENT = "resident"
    DRAINING = "draining"
    PARKED = "parked"
    WAKING = "waking"
    FAILED = "failed"


@dataclass(frozen=True)
class LoadProgress:
    """Progress of work on weights, in bytes. `stage` is "fetching" (download), "loading" or "waking"."""

    stage: str
    done: int
    total: int
    seconds: float

    @property
    def fraction(self) -> float:
        """The share that is done, from 0 to 1; 0 while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class WaitStatus:
    """Why a request waits: its place in the queue, and the state of its weights."""

    state: State
    position: int  # from 1
    ahead: int  # leases on its weights
    progress: LoadProgress | None
    expected_seconds: float | None  # None if unknown
