"""What visitors may ask of the server: how much at a time, how much in all, and how large. Values only.

Knows nothing of pages. What waits for a lane is kept in `lanes.py`, what counts over time in `rates.py`; whoever asks
for too much is told so as one error, `LimitReached`.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from manager.errors import ParleyError

Count = Annotated[int, Strict(), Field(ge=1)]


class LimitReached(ParleyError):
    """More was asked for than is allowed here; the message says what, how much there may be, and what to do."""


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who wants something: a visitor, their network address where it is known; the operator is not limited."""

    visitor: str
    address: str = ""
    operator: bool = False


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Limits:
    """How much there may be. The defaults suit a machine whose visitors are known; `PUBLIC` is for the open internet.

    At a time:
    - `lanes`, `lanes_per_visitor`: negotiations that run; others wait for their turn (`lanes.py`).
    - `queue`, `queue_per_visitor`: negotiations that wait; more are refused.
    - `open_per_address`: negotiations that run, wait, or are waiting for a person, of one network address.
    - `comparisons`: paired comparisons that run in the background.

    Over time (`null`: without a limit, like `open_per_address`):
    - `starts_per_minute`: negotiations begun, by a visitor or from an address.
    - `tokens_per_hour`: tokens written for a visitor or an address.

    In size:
    - `pairs`, `games`: pairs of a comparison, and negotiations of a tournament.
    - `rounds`, `outcomes`: of a scenario; `scenario_characters`: of one that a visitor writes or uploads.
    - `text_characters`: of a message, a manner or a plan in words.
    - `reply_tokens`: of a model's reply, its thinking included.
    """

    lanes: Count = 256
    lanes_per_visitor: Count = 128
    queue: Count = 1000
    queue_per_visitor: Count = 200
    open_per_address: Count | None = None
    comparisons: Count = 64
    starts_per_minute: Count | None = None
    tokens_per_hour: Count | None = None
    pairs: Count = 200
    games: Count = 20_000
    rounds: Count = 100
    outcomes: Count = 2_000_000
    scenario_characters: Count = 100_000
    text_characters: Count = 2000
    reply_tokens: Annotated[int, Strict(), Field(ge=1200)] = 41_200


PUBLIC = Limits(
    lanes=8,
    lanes_per_visitor=2,
    queue=64,
    queue_per_visitor=6,
    open_per_address=16,
    comparisons=4,
    starts_per_minute=20,
    tokens_per_hour=100_000,
    pairs=10,
    games=500,
    rounds=20,
    outcomes=100_000,
    scenario_characters=20_000,
    text_characters=1000,
    reply_tokens=2400,
)
"""Limits for a server that strangers may visit."""

NAMED = {"private": Limits(), "public": PUBLIC}
"""The sets of limits by name, for `PARLEY_LIMITS`; `limits:` in app.yaml changes single ones."""
