"""Limits on what visitors may ask of the server: how much at once, how much over time, and how large. Values only.

Exceeding any of them raises LimitReached; lanes.py, rate_limits.py and size_limits.py check them.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from manager.errors import ParleyError

Count = Annotated[int, Strict(), Field(ge=1)]


class LimitReached(ParleyError):
    """A limit was exceeded; the message names the limit and what to do."""


@dataclasses.dataclass(frozen=True)
class Caller:
    """The sender of a request: a visitor and, if known, their network address. The operator has no limits."""

    visitor: str
    address: str = ""
    operator: bool = False


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Limits:
    """The limits. The defaults suit a server whose visitors are known; `PUBLIC` is for the open internet.

    At once:
    - `lanes`, `lanes_per_visitor`: running negotiations; others wait for a lane (lanes.py).
    - `queue`, `queue_per_visitor`: waiting negotiations; more are refused.
    - `open_per_address`: negotiations that run, wait, or wait for a person, per network address.
    - `comparisons`: comparisons running in the background.

    Over time (`null`, as for `open_per_address`: unlimited):
    - `starts_per_minute`: negotiations started, per visitor or network address.
    - `tokens_per_hour`: tokens written, per visitor or network address.

    Sizes:
    - `pairs`, `games`: pairs of a comparison, and negotiations of a tournament.
    - `rounds`, `outcomes`: of a scenario; `scenario_characters`: of a scenario that a visitor writes or uploads.
    - `text_characters`: of a message, a persona or a plan in words.
    - `reply_tokens`: of a model's reply, including its thinking.
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
    rounds: Count = 1000
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
"""Limits for a server on the open internet."""

NAMED = {"private": Limits(), "public": PUBLIC}
"""Sets of limits for `PARLEY_LIMITS`; `limits:` in app.yaml overrides single ones."""
