"""How much a visitor may ask for over time: negotiations begun in a minute, tokens written in an hour.

Whoever drops their cookies is another visitor, so the same is counted for network addresses, which several visitors
may share. Not safe between threads by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.limits import LimitReached, Limits
from negotiation.window import Window

VISITORS_OF_AN_ADDRESS = 4
"""An address may begin and write so many times as much as a visitor: several may share it."""
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Caller:
    """Who wants something: a visitor, their network address where it is known; the operator is not limited."""

    visitor: str
    address: str = ""
    operator: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """What is counted for them: the visitor, and the address where it is known."""
        return (f"visitor {self.visitor}", *([f"address {self.address}"] if self.address else []))


class Allowance:
    """What everybody began and had written of late."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._starts = Window(MINUTE)
        self._tokens = Window(HOUR)

    def begin(self, caller: Caller, now: float) -> None:
        """A negotiation was begun by somebody."""
        for key in caller.keys:
            self._starts.add(key, now)

    def spend(self, caller: Caller, tokens: int, now: float) -> None:
        """Tokens were written for somebody."""
        for key in caller.keys:
            self._tokens.add(key, now, tokens)

    def check(self, caller: Caller, count: int, now: float) -> None:
        """Raises LimitReached if a visitor may not begin so many negotiations now."""
        checks = (
            (self._starts, self._limits.starts_per_minute, count, "negotiations in a minute"),
            (self._tokens, self._limits.tokens_per_hour, 1, "tokens in an hour"),
        )
        for window, limit, more, what in checks:
            if limit is None:
                continue
            for key, times in zip(caller.keys, (1, VISITORS_OF_AN_ADDRESS), strict=False):
                room = limit * times - more + 1
                if window.of(key, now) >= room:
                    whose = "a visitor" if times == 1 else "a network address"
                    about = again_in(window.wait(key, room, now))
                    raise LimitReached(f"{limit * times:,} {what} are the limit for {whose} here; try again{about}")


def again_in(seconds: float | None) -> str:
    """When to try again, in words."""
    if seconds is None:
        return " later"
    return f" in about {max(1, seconds):.0f} s" if seconds < 90 else f" in about {seconds / 60:.0f} min"
