"""Draws from a seed that are the same in every version of Python and on every machine.

The functions of `random` may change between versions of Python, and floating-point results between machines. Draws are
whole numbers taken from SHA-256 instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of draws. Streams with different keys are independent of each other.

    >>> draws = Draws("integrative", 3)
    >>> [draws.between(1, 6) for _ in range(5)]
    [4, 5, 1, 3, 2]
    """

    def __init__(self, *key: str | int) -> None:
        self._key = " ".join(map(str, key))
        self._count = 0

    def below(self, size: int) -> int:
        """Return a whole number from 0 to `size` - 1, each equally likely (to within 2^-200)."""
        self._count += 1
        digest = hashlib.sha256(f"{self._key} {self._count}".encode()).digest()
        return int.from_bytes(digest) % size

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, listed: Sequence[T]) -> T:
        """Return one element."""
        return listed[self.below(len(listed))]

    def some(self, listed: Sequence[T], count: int) -> list[T]:
        """Return `count` different elements, in the order of the list."""
        places = sorted(self.shuffled(range(len(listed)))[:count])
        return [listed[place] for place in places]

    def shuffled(self, listed: Sequence[T]) -> list[T]:
        """Return the elements in any order, each equally likely (Fisher & Yates 1938)."""
        found = list(listed)
        for last in range(len(found) - 1, 0, -1):
            other = self.below(last + 1)
            found[last], found[other] = found[other], found[last]
        return found
