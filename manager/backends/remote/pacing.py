"""How many requests go to one endpoint at a time, and when: concurrency, rate, and pauses that it asked for.

An endpoint is a base URL with a key; all models there share its limits. Used on the event loop only.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST_PAUSE = 0.5
"""Seconds before the first retry, at most; it doubles with each."""
LONGEST_PAUSE = 20.0
PATIENCE = 60.0
"""A server that asks for a longer pause than this is not waited for: the model cools down instead."""

_endpoints: weakref.WeakValueDictionary[tuple[str, str | None], Endpoint] = weakref.WeakValueDictionary()


class Endpoint:
    """What is known of one endpoint by all who use it."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._turns: list[asyncio.Future[None]] = []
        self._next = 0.0  # when the next request may begin, by the rate
        self._held = 0.0  # until when the server wants none

    @classmethod
    def of(cls, base_url: str, api_key: str | None) -> Endpoint:
        """The endpoint with this address and this key's name."""
        return _endpoints.setdefault((base_url.rstrip("/"), api_key), cls())

    @asynccontextmanager
    async def place(self, concurrency: int | None, per_minute: float | None) -> AsyncIterator[None]:
        """Wait for a turn and hold it for a block: fewer than `concurrency` others, and evenly `per_minute`."""
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
        """When a request that asks now may begin."""
        starts = max(now, self._next, self._held)
        if per_minute is not None:
            self._next = starts + 60 / per_minute
        return starts

    def hold(self, until: float) -> None:
        """The server wants no request before this time (of the event loop's clock)."""
        self._held = max(self._held, until)


def pause(tries: int, after: float | None, chance: random.Random) -> float:
    """Seconds to wait before the next try: what the server asked for and a little, or longer each time, by chance.

    ("Full jitter", so that those who failed together do not come back together: Brooker, AWS Architecture Blog 2015.)
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries)
    if after is None:
        return chance.uniform(0, longest)
    return after + chance.uniform(0, min(1.0, 0.1 * after))
