"""The scheduler's messages: inputs go in and effects come out, all as plain frozen values.

They have no behaviour: `scheduler.py` decides, and `manager/core.py` carries out.
"""

from __future__ import annotations

from dataclasses import dataclass

from manager.config.model_spec import WeightsKey
from manager.errors import Failure
from manager.state import State

# -- inputs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Register:
    """These weights may be requested. Registering them again updates their settings."""

    weights: WeightsKey
    pinned: bool = False
    idle_seconds: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Request:
    """An owner wants a lease, and will want `next_weights` after it.

    `payer` stands for whoever pays, for remote weights that everybody pays for themselves: their places count apart.
    """

    ticket: int
    weights: WeightsKey
    owner: str | None = None
    next_weights: WeightsKey | None = None
    deadline: float | None = None
    payer: str | None = None


@dataclass(frozen=True)
class Cancel:
    """The caller of a waiting request gave up."""

    ticket: int


@dataclass(frozen=True)
class Release:
    """A lease was released."""

    ticket: int


@dataclass(frozen=True)
class Announce:
    """An owner will want these weights at some time. Its next request, or Forget, ends the announcement."""

    owner: str
    weights: WeightsKey


@dataclass(frozen=True)
class Forget:
    """An owner is done: drop its announcement."""

    owner: str


@dataclass(frozen=True)
class Prepared:
    """The files are on this machine, and their device and the bytes they need there are known."""

    weights: WeightsKey
    need: int
    device: str
    remote: bool = False  # held by another program: takes no slot and no memory here
    load_seconds: float | None = None  # an estimate
    allowance: int = 0  # bytes of conversations worth caching, if there is room
    capacity: int | None = None  # bytes available on the device: its budget unless one is configured
    parking: int | None = None  # bytes of host memory available for parking; None if these weights cannot be parked


@dataclass(frozen=True)
class PrepareFailed:
    """These weights cannot be loaded. Nothing was evicted to find out."""

    weights: WeightsKey
    failure: Failure


@dataclass(frozen=True)
class Loaded:
    """A load or wake succeeded and takes `used` bytes, as measured."""

    weights: WeightsKey
    used: int


@dataclass(frozen=True)
class LoadRolledBack:
    """A load or wake failed and was rolled back.

    It may have left `leaked` bytes on the device. `host` bytes of a copy in host memory can still be woken.
    """

    weights: WeightsKey
    failure: Failure
    leaked: int = 0
    host: int = 0


@dataclass(frozen=True)
class Unloaded:
    """Weights left their device and host memory, perhaps because parking failed; `leaked` bytes were not freed."""

    weights: WeightsKey
    leaked: int = 0


@dataclass(frozen=True)
class Parked:
    """Weights left their device and take `host` bytes of host memory; `leaked` bytes were not freed."""

    weights: WeightsKey
    host: int
    leaked: int = 0


@dataclass(frozen=True)
class Dropped:
    """The host-memory copy of weights was dropped; with a `failure`, it still takes memory but cannot be woken."""

    weights: WeightsKey
    failure: Failure | None = None


@dataclass(frozen=True)
class Trimmed:
    """Weights cache at most `kept` bytes of conversations from now on."""

    weights: WeightsKey
    kept: int


@dataclass(frozen=True)
class Recovered:
    """`amount` leaked bytes were freed after all."""

    weights: WeightsKey
    device: str
    amount: int


@dataclass(frozen=True)
class HealthReported:
    """The outcome of the last request to a remote server; `failure` is None if it succeeded.

    `cool` is the shortest cool-down in seconds if the whole server failed, and None if only that request did.
    """

    weights: WeightsKey
    failure: Failure | None = None
    cool: float | None = None


@dataclass(frozen=True)
class Unload:
    """Unload these weights, now or when their last lease ends."""

    weights: WeightsKey


@dataclass(frozen=True)
class Retire:
    """No model uses these weights: unload and forget them once no owner holds them or waits for them."""

    weights: WeightsKey


@dataclass(frozen=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True)
class Close:
    """Refuse everything from now on."""


LoaderAnswer = Prepared | PrepareFailed | Loaded | LoadRolledBack | Unloaded | Parked | Dropped | Trimmed | Recovered

Input = (
    Register
    | Request
    | Cancel
    | Release
    | Announce
    | Forget
    | LoaderAnswer
    | HealthReported
    | Unload
    | Retire
    | Tick
    | Close
)

# -- effects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """The ticket gets its lease."""

    ticket: int
    weights: WeightsKey


@dataclass(frozen=True)
class Refuse:
    """The ticket ends without a lease."""

    ticket: int
    failure: Failure


@dataclass(frozen=True)
class Prepare:
    """Check that these weights are available, fetch their files and size them, off the loader thread."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartLoad:
    """Load these weights. Their bytes are reserved, and `cache` bytes for cached conversations."""

    weights: WeightsKey
    cache: int = 0


@dataclass(frozen=True)
class StartWake:
    """Copy these weights back from host memory; otherwise like StartLoad."""

    weights: WeightsKey
    cache: int = 0


@dataclass(frozen=True)
class StartUnload:
    """Remove these weights, and their copy in host memory."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartPark:
    """Move these weights to host memory. The copy exists already, or its bytes are reserved."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartDrop:
    """Drop the copy of these weights in host memory."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartTrim:
    """Limit the conversations cached for these weights to `to_bytes`."""

    weights: WeightsKey
    to_bytes: int


@dataclass(frozen=True)
class Abort:
    """Work in flight is no longer needed.

    A preparation ends with this, whether or not it answers, and may be started again; a load still gets an answer.
    """

    weights: WeightsKey


@dataclass(frozen=True)
class Changed:
    """The state of weights changed, for a reason to be shown to people."""

    weights: WeightsKey
    state: State
    reason: str


Job = StartLoad | StartWake | StartUnload | StartPark | StartDrop | StartTrim
"""The loader's jobs; it does one at a time."""


@dataclass(frozen=True)
class Retired:
    """These weights are forgotten, and must be registered again before they are requested."""

    weights: WeightsKey


Effect = Grant | Refuse | Prepare | Job | Abort | Changed | Retired
