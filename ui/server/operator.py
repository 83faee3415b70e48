"""The operator's rights, given by a password from the environment (`PARLEY_OPERATOR_PASSWORD`).

Without the variable there is no operator. Every handler of an operator's action calls `require` itself, because hiding
a button protects nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from functools import lru_cache

import gradio as gr

from negotiation.admission.limits import Caller
from negotiation.admission.sliding_window import Window
from negotiation.app.parley import Parley
from ui.server import text
from ui.server.visitor import address_of, owner_of, visitor_of

ATTEMPTS, ATTEMPTS_OF_ALL = 5, 50
"""How many wrong passwords may be tried within the window: from one address, and from all together."""
WINDOW_SECONDS = 60.0
SIGNED_IN_SECONDS = 12 * 3600.0


class Operators:
    """The visitors who are signed in, and the wrong passwords that were tried. Safe to use from threads."""

    def __init__(self, password: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = None if password is None else _digest(password)
        self._clock = clock
        self._until: dict[str, float] = {}
        self._wrong = Window(WINDOW_SECONDS)

    @property
    def possible(self) -> bool:
        """Return whether there can be an operator."""
        return self._password is not None

    def sign_in(self, visitor: str | None, address: str, password: str) -> str | None:
        """Sign a visitor in and return None, or return why not, for the visitor to read."""
        if self._password is None:
            return text.OPERATOR_NONE
        if visitor is None:
            return text.OPERATOR_COOKIE
        now = self._clock()
        if self._wrong.total(now) >= ATTEMPTS_OF_ALL or self._wrong.of(address, now) >= ATTEMPTS:
            return text.OPERATOR_SLOWLY
        if not hmac.compare_digest(_digest(password), self._password):
            self._wrong.add(address, now)
            return text.OPERATOR_WRONG
        self._until[visitor] = now + SIGNED_IN_SECONDS
        return None

    def sign_out(self, visitor: str | None) -> None:
        """Sign a visitor out."""
        self._until.pop(visitor or "", None)

    def knows(self, visitor: str | None) -> bool:
        """Return whether a visitor is signed in."""
        return visitor is not None and self._clock() < self._until.get(visitor, 0.0)

    def is_operator(self, request: gr.Request) -> bool:
        """Return whether a request is the operator's."""
        return self.knows(visitor_of(request))

    def require(self, request: gr.Request) -> None:
        """Raise gr.Error unless a request is the operator's. The first line of every operator's action."""
        if not self.is_operator(request):
            raise gr.Error(text.OPERATOR_ONLY, print_exception=False)


def caller_of(parley: Parley, request: gr.Request) -> Caller:
    """Return the caller behind a request, as limits count callers."""
    operator = operators_of(parley).is_operator(request)
    return Caller(owner_of(request) or "a program", address_of(request), operator)


def operators_of(parley: Parley) -> Operators:
    """Return the operators of a program, the same object for all its tabs."""
    return _operators(parley.settings.operator_password)


@lru_cache
def _operators(password: str | None) -> Operators:
    return Operators(password)


def _digest(password: str) -> bytes:
    """Return a digest, of the same length for every password, so that comparing takes the same time."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()
