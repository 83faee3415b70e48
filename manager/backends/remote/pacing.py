"""The pace of requests to an endpoint: concurrency, rate, and the pauses that it requests.

An endpoint is a base URL with a key, and all its models share its limits. Used on the event loop only.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST_PAUSE = 0.5
"""The longest pause before the first retry, in seconds. It doubles with each retry."""
LONGEST_PAUSE = 20.0
PATIENCE = 60.0
"""If a server requests a longer pause, the model cools down instead of waiting."""

_endpoints: weakref.WeakValueDictionary[tuple[str, str | None], Endpoint] = weakref.WeakValueDictionary()


class Endpoint:
    """The pace of one endpoint, shared by all who use it."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._turns: list[asyncio.Future[None]] = []
        self._next = 0.0  # when the rate allows the next request
        self._held = 0.0  # until when the server wants no request

    @classmethod
    def of(cls, base_url: str, api_key: str | None) -> Endpoint:
        """Return the endpoint with this URL and name of a key."""
        return _endpoints.setdefault((base_url.rstrip("/"), api_key), cls())

    @asynccontextmanager
    async def place(self, concurrency: int | None, per_minute: float | None) -> AsyncIterator[None]:
        """Wait for a place and hold it during a block: at most `concurrency` at a time, and evenly `per_minute`."""
        loop = asyncio.get_running_loop()
        while concurrency is not None and self._in_flight >= concurrency:
            turn = loop.create_future()
            self._turns.append(turn)
            await turn
        self._in_flight += 1
        try:
            starts = self.reserve(loop.time(), per_minute)
            while (wait := max(starts, self._held) - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield
        finally:
            self._in_flight -= 1
            turns, self._turns = self._turns, []
            for turn in turns:
                if not turn.done():
                    turn.set_result(None)

    def reserve(self, now: float, per_minute: float | None) -> float:
        """Return when a request made at `now` may begin, and reserve that time."""
        starts = max(now, self._next, self._held)
        if per_minute is not None:
            self._next = starts + 60 / per_minute
        return starts

    def hold(self, until: float) -> None:
        """Allow no request before this time of the event loop's clock."""
        self._held = max(self._held, until)


def pause(tries: int, after: float | None, chance: random.Random) -> float:
    """Return the seconds until the next retry: a little more than the server requests, else exponential backoff.

    With "full jitter", so that requests that failed together do not return together (Brooker, AWS Architecture Blog,
    2015).
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries)
    if after is None:
        return chance.uniform(0, longest)
    return after + chance.uniform(0, min(1.0, 0.1 * after))
