"""Who may do what only the operator may: a password from the environment (`PARLEY_OPERATOR_PASSWORD`).

Without the variable nobody is operator. Every handler of an operator's action asks for itself (`require`): that a
button is hidden protects nothing.
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
from ui.kit import text
from ui.server.visitor import address_of, owner_of, visitor_of

ATTEMPTS, EVERYBODYS = 5, 50
"""So many wrong passwords may be tried within the window, by one address and by all together."""
WINDOW_SECONDS = 60.0
SIGNED_IN_SECONDS = 12 * 3600.0


class Operators:
    """The visitors who gave the password, and how often a wrong one was tried. For the event loop and threads."""

    def __init__(self, password: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = None if password is None else _digest(password)
        self._clock = clock
        self._until: dict[str, float] = {}
        self._wrong = Window(WINDOW_SECONDS)

    @property
    def possible(self) -> bool:
        """Whether there can be an operator."""
        return self._password is not None

    def sign_in(self, visitor: str | None, address: str, password: str) -> str | None:
        """Let a visitor be operator if the password is right; what to tell them if not."""
        if self._password is None:
            return text.OPERATOR_NONE
        if visitor is None:
            return text.OPERATOR_COOKIE
        now = self._clock()
        if self._wrong.total(now) >= EVERYBODYS or self._wrong.of(address, now) >= ATTEMPTS:
            return text.OPERATOR_SLOWLY
        if not hmac.compare_digest(_digest(password), self._password):
            self._wrong.add(address, now)
            return text.OPERATOR_WRONG
        self._until[visitor] = now + SIGNED_IN_SECONDS
        return None

    def sign_out(self, visitor: str | None) -> None:
        """A visitor is operator no longer."""
        self._until.pop(visitor or "", None)

    def knows(self, visitor: str | None) -> bool:
        """Whether a visitor gave the password, not too long ago."""
        return visitor is not None and self._clock() < self._until.get(visitor, 0.0)

    def is_operator(self, request: gr.Request) -> bool:
        """Whether a request is the operator's."""
        return self.knows(visitor_of(request))

    def require(self, request: gr.Request) -> None:
        """Raises gr.Error unless a request is the operator's; the first line of every operator's action."""
        if not self.is_operator(request):
            raise gr.Error(text.OPERATOR_ONLY, print_exception=False)


def caller_of(parley: Parley, request: gr.Request) -> Caller:
    """Who asks for something, as limits count them."""
    operator = operators_of(parley).is_operator(request)
    return Caller(owner_of(request) or "a program", address_of(request), operator)


def operators_of(parley: Parley) -> Operators:
    """The operators of a program, the same for all its tabs."""
    return _operators(parley.settings.operator_password)


@lru_cache
def _operators(password: str | None) -> Operators:
    return Operators(password)


def _digest(password: str) -> bytes:
    """Of equal length for all passwords, so that comparing tells nothing about theirs."""
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()
