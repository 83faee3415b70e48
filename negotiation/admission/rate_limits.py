"""How often visitors begin something and how much is written for them: by visitor and by network address.

Knows no lanes and no clock. Not safe between threads by itself.
"""

from __future__ import annotations

from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.admission.sliding_window import Window

VISITORS_OF_AN_ADDRESS = 4
"""An address may begin and write so many times as much as a visitor: several may share it."""
MINUTE, HOUR = 60.0, 3600.0


class Rates:
    """What counts of the last minute and hour, for everybody. Times are seconds of any clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._starts = Window(MINUTE)
        self._tokens = Window(HOUR)

    def begun(self, caller: Caller, now: float) -> None:
        """A negotiation was begun for somebody."""
        for key in _keys(caller):
            self._starts.add(key, now)

    def written(self, caller: Caller, tokens: int, now: float) -> None:
        """Tokens were written for somebody."""
        for key in _keys(caller):
            self._tokens.add(key, now, tokens)

    def check(self, caller: Caller, count: int, now: float) -> None:
        """Raises LimitReached if a visitor or their address may not begin so many now, or had too much written."""
        limits = self._limits
        checks = (
            (self._starts, limits.starts_per_minute, count, "negotiations in a minute"),
            (self._tokens, limits.tokens_per_hour, 1, "tokens in an hour"),
        )
        for window, limit, more, what in checks:
            if limit is None:
                continue
            for key, times in zip(_keys(caller), (1, VISITORS_OF_AN_ADDRESS), strict=False):
                room = limit * times - more + 1
                if window.of(key, now) >= room:
                    whose = "a visitor" if times == 1 else "a network address"
                    about = again(window.wait(key, room, now))
                    raise LimitReached(f"{limit * times:,} {what} are the limit for {whose} here; try again{about}")


def _keys(caller: Caller) -> tuple[str, ...]:
    """What is counted for a caller: the visitor, and the address where it is known."""
    return (f"visitor {caller.visitor}", *([f"address {caller.address}"] if caller.address else []))


def again(seconds: float | None) -> str:
    """When to try again, in words."""
    if seconds is None:
        return " later"
    return f" in about {max(1.0, seconds):.0f} s" if seconds < 90 else f" in about {seconds / 60:.0f} min"
