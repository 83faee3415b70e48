"""Where weights are, how far work on them is, and why a request waits for them. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where weights are.

    `draining` grants no new lease and leaves its device at zero leases. `parked` is a copy in host memory, from which
    weights come back (`waking`) without being read again.
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
    """How far work on weights is. `stage` is "fetching" (download), "loading" or "waking"."""

    stage: str
    done: int
    total: int
    seconds: float

    @property
    def fraction(self) -> float:
        """Between 0 and 1; 0 while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class WaitStatus:
    """Why a request waits: its place in the queue, and what its weights are doing."""

    state: State
    position: int
    ahead: int  # leases on the weights that must end first, where that is what it waits for
    progress: LoadProgress | None
    expected_seconds: float | None
