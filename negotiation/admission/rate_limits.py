"""Rate limits on negotiations started and tokens written, by visitor and by network address. Not thread-safe."""

from __future__ import annotations

from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.admission.sliding_window import Window

VISITORS_OF_AN_ADDRESS = 4
"""Limits of a network address, as a multiple of a visitor's: several visitors may share it."""
MINUTE, HOUR = 60.0, 3600.0


class Rates:
    """Counts of the last minute and hour. Times are seconds of any one clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._starts = Window(MINUTE)
        self._tokens = Window(HOUR)

    def begun(self, caller: Caller, now: float) -> None:
        """Count a negotiation that a visitor started."""
        for key in _keys(caller):
            self._starts.add(key, now)

    def written(self, caller: Caller, tokens: int, now: float) -> None:
        """Count tokens that were written for a visitor."""
        for key in _keys(caller):
            self._tokens.add(key, now, tokens)

    def check(self, caller: Caller, count: int, now: float) -> None:
        """Raise LimitReached if a visitor or their address started or had written too much to start `count` now."""
        limits = self._limits
        checks = (
            (self._starts, limits.starts_per_minute, count, "negotiations per minute"),
            (self._tokens, limits.tokens_per_hour, 1, "tokens per hour"),
        )
        for window, limit, more, what in checks:
            if limit is None:
                continue
            for key, times in zip(_keys(caller), (1, VISITORS_OF_AN_ADDRESS), strict=False):
                room = limit * times - more + 1
                if window.of(key, now) >= room:
                    whose = "a visitor" if times == 1 else "a network address"
                    about = again(window.wait(key, room, now))
                    raise LimitReached(f"the limit for {whose} here is {limit * times:,} {what}; try again{about}")


def _keys(caller: Caller) -> tuple[str, ...]:
    """Return the keys that count for a caller: the visitor and, if known, the address."""
    return (f"visitor {caller.visitor}", *([f"address {caller.address}"] if caller.address else []))


def again(seconds: float | None) -> str:
    """Return when to try again, in words to append."""
    if seconds is None:
        return " later"
    return f" in about {max(1.0, seconds):.0f} s" if seconds < 90 else f" in about {seconds / 60:.0f} min"
