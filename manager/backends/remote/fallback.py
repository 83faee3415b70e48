"""The search for a form of a request that a server accepts, after it refused one.

What a message names is left out. After a message that names nothing, one suspect after the other is left out, and
restored if that changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from manager.backends.remote.dialect import Dialect
from manager.generation.request import GenerationRequest

_VARYING = re.compile(r"[0-9a-fA-F-]{8,}|\d+")
"""Parts of messages that differ from request to request, such as identifiers and times."""


class Fallback:
    """The search for one request. `dialect` is what to try next."""

    def __init__(self, dialect: Dialect, request: GenerationRequest) -> None:
        self.dialect = dialect
        self._base = dialect  # without what is known to be refused
        self._request = request
        self._said: str | None = None
        self._suspects: Iterator[Dialect] = iter(())

    def refused(self, said: str) -> bool:
        """Take note of a refusal and its message; return whether something is left to try."""
        named = self.dialect.without_named(said, self._request)
        if named is not None:
            self.dialect = self._base = named
            self._said, self._suspects = None, iter(())
            return True
        vague = _VARYING.sub("#", said)
        if vague != self._said:  # the first refusal, or the last change helped
            self._said, self._base = vague, self.dialect
            self._suspects = self._base.suspects(self._request)
        following = next(self._suspects, None)
        if following is None:
            return False
        self.dialect = following
        return True
