"""Counts over a sliding window of time, for rate limits. Not thread-safe."""

from __future__ import annotations

from collections import Counter, deque


class Window:
    """Amounts by key; each is dropped after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._entries: deque[tuple[float, str, int]] = deque()
        self._sums: Counter[str] = Counter()

    def add(self, key: str, now: float, amount: int = 1) -> None:
        """Add an amount that counts from now on."""
        self._forget(now)
        self._entries.append((now, key, amount))
        self._sums[key] += amount

    def of(self, key: str, now: float) -> int:
        """Return the sum for a key."""
        self._forget(now)
        return self._sums[key]

    def total(self, now: float) -> int:
        """Return the sum over all keys."""
        self._forget(now)
        return self._sums.total()

    def wait(self, key: str, limit: int, now: float) -> float:
        """Return in how many seconds the sum for a key will be below `limit`."""
        over = self.of(key, now) - limit
        for when, who, amount in self._entries:
            if over >= 0 and who == key:
                over -= amount
                if over < 0:
                    return when + self.seconds - now
        return 0.0

    def _forget(self, now: float) -> None:
        while self._entries and self._entries[0][0] <= now - self.seconds:
            _, key, amount = self._entries.popleft()
            self._sums[key] -= amount
            if not self._sums[key]:
                del self._sums[key]
