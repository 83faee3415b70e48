"""How one visitor stands at one server: the pace of their requests, and a pause after their key was refused.

What a server refuses to one visitor says nothing about the others: a key may be wrong, an account empty, a rate used
up. Only failures of the server itself are everybody's, and of those the others learn no words that were meant for one.
Used on the event loop only.
"""

from __future__ import annotations

import math
import weakref

from manager.backends.base import Health
from manager.backends.remote.pacing import Endpoint
from manager.credentials import Handle
from manager.errors import (
    CoolingDown,
    CredentialExpired,
    CredentialMissing,
    Failure,
    OutOfCredit,
    ParleyError,
    ServerFailed,
    TooSlow,
    Unreachable,
)

PAUSES = (5.0, 300.0)
"""First and longest pause after a refusal, in seconds. It doubles with each one in a row."""
_UNSENT = (CredentialMissing, CredentialExpired, CoolingDown)
_standings: weakref.WeakKeyDictionary[Handle, dict[str, VisitorStanding]] = weakref.WeakKeyDictionary()
"""By handle and server. What is known of a handle ends with it."""


class VisitorStanding:
    """One visitor at one server."""

    def __init__(self) -> None:
        self.pace = Endpoint()
        self._failure: Failure | None = None
        self._failures = 0
        self._until = 0.0
        self._refused: int | None = None  # Python's salted hash of the key, which cannot be turned back

    @classmethod
    def of(cls, handle: Handle, base_url: str) -> VisitorStanding:
        """Return the standing of a visitor, given by their handle, at a server."""
        servers = _standings.setdefault(handle, {})
        return servers.setdefault(base_url.rstrip("/"), cls())

    def check(self, key: str | None, now: float) -> None:
        """Raise the last refusal again, without a request, during the pause after it.

        Another key ends the pause that the refusal of a key began.
        """
        if self._failure is not None and now < self._until and self._refused in (None, hash(key)):
            wait = math.ceil(self._until - now)
            raise CoolingDown(f"{self._failure.message} (try again in {wait} s)")

    def refused(self, error: ParleyError, key: str | None, now: float, after: float = 0.0) -> None:
        """Begin a pause of `after` seconds or longer, as the server refused this visitor or this key of theirs.

        An empty account begins none: whoever adds credit goes on at once.
        """
        if isinstance(error, OutOfCredit):
            return
        if self._failure is not None and now < self._until and self._refused in (None, hash(key)):
            return  # told already
        first, longest = PAUSES
        self._until = now + max(after, min(first * 2**self._failures, longest))
        self._failure, self._refused = Failure.of(error, type(error)), None if key is None else hash(key)
        self._failures += 1

    def answered(self) -> None:
        """End the pause: the server has answered."""
        self._failure, self._failures = None, 0


def shared_health(error: ParleyError, model: str, after: float | None, before: Health | None) -> Health | None:
    """Return the health of a server, as everybody may know it, after a visitor's request failed.

    Args:
        error: How it failed.
        model: The model's name there.
        after: The shortest cool-down if the server itself failed, else None.
        before: The health before; it stays if nothing was sent.
    """
    if isinstance(error, _UNSENT):
        return before
    if isinstance(error, Unreachable | TooSlow):  # in words of ours alone
        return Health(Failure.of(error, type(error)), after or 0.0)
    if isinstance(error, ServerFailed) and after is not None:
        return Health(Failure(ServerFailed, f"the server of '{model}' failed"), after)
    return Health()  # it does answer
