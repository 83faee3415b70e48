"""What the scheduler is told (happenings) and what it answers (effects), as plain frozen values.

Knows no behaviour: `scheduler.py` decides, `manager.py` carries out.
"""

from __future__ import annotations

from dataclasses import dataclass

from manager.config.registry import WeightsKey
from manager.errors import Failure
from manager.state import State

# -- happenings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Register:
    """These weights may be asked for. Told again, it updates how they are to be treated."""

    weights: WeightsKey
    pinned: bool = False
    idle_seconds: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Request:
    """Somebody wants a lease. `next_weights` is what the same owner will want after it."""

    ticket: int
    weights: WeightsKey
    owner: str | None = None
    next_weights: WeightsKey | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class Cancel:
    """The caller of a waiting request gave up."""

    ticket: int


@dataclass(frozen=True)
class Release:
    """A granted lease was given back."""

    ticket: int


@dataclass(frozen=True)
class Announce:
    """An owner will want these weights, sooner or later, until it asks for something or is forgotten."""

    owner: str
    weights: WeightsKey


@dataclass(frozen=True)
class Forget:
    """An owner is done: what it announced is no longer wanted."""

    owner: str


@dataclass(frozen=True)
class Prepared:
    """The files are here and it is known where they go and how many bytes they need there."""

    weights: WeightsKey
    need: int
    device: str
    elsewhere: bool = False  # served by another program: takes no slot and no memory here
    load_seconds: float | None = None  # a guess
    allowance: int = 0  # bytes of conversations that would better be kept, where there is room
    capacity: int | None = None  # bytes that the device has for us, its budget unless one was set
    parking: int | None = None  # the same of host memory; None if these weights cannot be parked


@dataclass(frozen=True)
class PrepareFailed:
    """These weights cannot be loaded, and nothing was touched to find out."""

    weights: WeightsKey
    failure: Failure


@dataclass(frozen=True)
class Loaded:
    """A load or waking ended well; `used` bytes were measured."""

    weights: WeightsKey
    used: int


@dataclass(frozen=True)
class LoadFailed:
    """A load or waking ended badly and was rolled back.

    It may have left `leaked` bytes on the device; `host` bytes of a copy in host memory can still be woken.
    """

    weights: WeightsKey
    failure: Failure
    leaked: int = 0
    host: int = 0


@dataclass(frozen=True)
class Unloaded:
    """Weights left their device and host memory, also where parking was tried; `leaked` bytes did not come back."""

    weights: WeightsKey
    leaked: int = 0


@dataclass(frozen=True)
class Parked:
    """Weights left their device for `host` bytes of host memory; `leaked` bytes did not come back."""

    weights: WeightsKey
    host: int
    leaked: int = 0


@dataclass(frozen=True)
class Dropped:
    """The copy of weights in host memory is gone; with a `failure`, it is not, and cannot be woken either."""

    weights: WeightsKey
    failure: Failure | None = None


@dataclass(frozen=True)
class Trimmed:
    """Weights keep `kept` bytes of conversations at most."""

    weights: WeightsKey
    kept: int


@dataclass(frozen=True)
class Recovered:
    """`amount` bytes that had leaked came back."""

    weights: WeightsKey
    device: str
    amount: int


@dataclass(frozen=True)
class Felt:
    """How a server elsewhere was when it was last asked: `failure` is what was wrong, None if nothing was.

    With `cool`, it is left alone for at least so many seconds; without, only one request went wrong.
    """

    weights: WeightsKey
    failure: Failure | None = None
    cool: float | None = None


@dataclass(frozen=True)
class Unload:
    """Somebody asks for these weights to leave, now or when their last lease ends."""

    weights: WeightsKey


@dataclass(frozen=True)
class Retire:
    """No model uses these weights any more: they leave once nobody holds or awaits them."""

    weights: WeightsKey


@dataclass(frozen=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True)
class Close:
    """Refuse everything from now on."""


LoaderAnswer = Prepared | PrepareFailed | Loaded | LoadFailed | Unloaded | Parked | Dropped | Trimmed | Recovered

Happening = (
    Register | Request | Cancel | Release | Announce | Forget | LoaderAnswer | Felt | Unload | Retire | Tick | Close
)

# -- effects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """The ticket has its lease."""

    ticket: int
    weights: WeightsKey


@dataclass(frozen=True)
class Refuse:
    """The ticket ended without a lease."""

    ticket: int
    failure: Failure


@dataclass(frozen=True)
class Prepare:
    """Look whether these weights can be had, fetch their files and size them, away from the loader."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartLoad:
    """The loader shall load these weights; their room is reserved, and `cache` bytes for conversations."""

    weights: WeightsKey
    cache: int = 0


@dataclass(frozen=True)
class StartWake:
    """The loader shall copy these weights back from host memory; otherwise as StartLoad."""

    weights: WeightsKey
    cache: int = 0


@dataclass(frozen=True)
class StartUnload:
    """The loader shall remove these weights, and their copy in host memory."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartPark:
    """The loader shall move these weights to host memory; there is room for the copy, or it is there already."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartDrop:
    """The loader shall forget the copy of these weights in host memory."""

    weights: WeightsKey


@dataclass(frozen=True)
class StartTrim:
    """The loader shall have these weights keep at most `to_bytes` of conversations from now on."""

    weights: WeightsKey
    to_bytes: int


@dataclass(frozen=True)
class Abort:
    """Work in flight is of no use to anybody any more.

    Preparing is over with this, answer or not, and may be begun anew; a load is still answered.
    """

    weights: WeightsKey


@dataclass(frozen=True)
class Changed:
    """The state of weights changed, with a reason fit for people."""

    weights: WeightsKey
    state: State
    reason: str


Job = StartLoad | StartWake | StartUnload | StartPark | StartDrop | StartTrim
"""What the loader does, one at a time."""


@dataclass(frozen=True)
class Retired:
    """Nothing is left of these weights; they must be registered anew before they are asked for."""

    weights: WeightsKey


Effect = Grant | Refuse | Prepare | Job | Abort | Changed | Retired
