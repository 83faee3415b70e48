"""Visitors' own accounts: who has signed in or brought a key, and for how long.

The keys themselves are in the manager's vault. They are never shown, and nothing here returns one, except for the
request to the Hub that a visitor has just made.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from urllib.parse import urlsplit

import gradio as gr
from huggingface_hub import get_token

from manager.credentials import Credentials, Handle
from negotiation.agents.purse import Payer
from negotiation.app.parley import Parley
from negotiation.app.settings import Settings
from negotiation.app.sign_in import SignIn, is_loopback
from negotiation.runs.hub.visitor_datasets import HubAccount
from ui.server.visitor import visitor_of

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class SignedIn:
    """What the page says about a visitor's account. `name` is empty for a key without one."""

    name: str = ""


class Accounts:
    """The visitors who have an account here, by their names in the cookie. Thread-safe.

    Args:
        vault: Where the keys are.
        server: Whose keys they are: the router.
        how: How visitors bring their account.
        hub: The Hub to which they can contribute runs, if they allow it; None if nobody can.
    """

    def __init__(self, vault: Credentials, server: str, how: SignIn, hub: str | None = None) -> None:
        self.how = how
        self.hub = hub
        self._vault = vault
        self._server = server
        self._lock = threading.RLock()
        self._known: dict[str, SignedIn] = {}

    def sign_in(
        self, visitor: str, key: str, *, name: str = "", expires_at: float | None = None, contributes: bool = False
    ) -> None:
        """Keep a visitor's key until it expires, they sign out, or their visit ends.

        Args:
            contributes: Whether it also allows contributing runs. Then it is kept for the Hub, and whoever is signed in
                already stays so with the key that they have, which allows less.

        Raises:
            CredentialRejected: It cannot be a key.
        """
        contributes = contributes and self.hub is not None
        with self._lock:
            if self._known.get(visitor, SignedIn(name)) != SignedIn(name):
                self._vault.forget(visitor)  # so that the new account does not pay for what the other one started
            if not (contributes and self.of(visitor) == SignedIn(name)):
                self._vault.keep(visitor, key, expires_at, server=self._server)
            if self.hub is not None and contributes:
                self._vault.keep(visitor, key, expires_at, server=self.hub)
            else:
                self.disallow(visitor)
            self._known[visitor] = SignedIn(name)

    def sign_out(self, visitor: str | None) -> None:
        """Forget a visitor's key."""
        if visitor is not None:
            with self._lock:
                self._vault.forget(visitor)
                self._known.pop(visitor, None)

    def contributor(self, visitor: str | None) -> HubAccount | None:
        """Return the account of a visitor who allows contributing runs to it; None if they do not, or not any more."""
        hub = self.hub
        handle = self._vault.handle(visitor, hub) if visitor is not None and hub is not None else None
        return None if handle is None or hub is None else HubAccount(hub, lambda: self._vault.reveal(handle, hub))

    def disallow(self, visitor: str | None) -> None:
        """Forget that a visitor allowed contributing runs; they stay signed in."""
        if visitor is not None and self.hub is not None:
            self._vault.drop(visitor, server=self.hub)

    def of(self, visitor: str | None) -> SignedIn | None:
        """Return a visitor's account; None without one, or once the key has expired."""
        with self._lock:
            account = self._known.get(visitor or "")
        return account if account is not None and self.handle(visitor) is not None else None

    def has_expired(self, visitor: str | None) -> bool:
        """Return whether a visitor's account was good until its key expired."""
        with self._lock:
            known = (visitor or "") in self._known
        return known and self.handle(visitor) is None

    def knows(self, visitor: str | None) -> bool:
        """Return whether anything is kept of a visitor's account, be it good or expired."""
        with self._lock:
            return (visitor or "") in self._known

    def handle(self, visitor: str | None) -> Handle | None:
        """Return the handle of a visitor's key, if it is still good."""
        return None if visitor is None else self._vault.handle(visitor, self._server)


def accounts_of(parley: Parley) -> Accounts:
    """Return the accounts of a program, the same object for all its tabs."""
    how, server = parley.settings.sign_in, parley.catalog.providers.base_url
    if server is None or (how == "hub" and not has_oauth()):
        how = "none"
    hub = parley.settings.contributes_to if how == "hub" else None
    return _accounts(parley.manager.credentials, server or "", how, hub)


@lru_cache
def _accounts(vault: Credentials, server: str, how: SignIn, hub: str | None) -> Accounts:
    return Accounts(vault, server, how, hub)


def handle_of(parley: Parley, request: gr.Request) -> Handle | None:
    """Return the handle of the key of the visitor who makes a request."""
    return accounts_of(parley).handle(visitor_of(request))


def payer_of(parley: Parley, request: gr.Request, limit: float | None) -> Payer:
    """Return who pays for what a request starts: its visitor, up to a limit in US dollars."""
    return Payer(handle_of(parley, request), limit)


def has_oauth() -> bool:
    """Return whether the packages for Gradio's sign-in are installed: `gradio[oauth]`, which Spaces installs."""
    return all(find_spec(name) is not None for name in ("authlib", "itsdangerous"))


def own_token(settings: Settings, request: gr.Request) -> str | None:
    """Return the token of this machine's user, for a request that comes from this machine's own browser; else None."""
    return get_token() if settings.own_machine and is_from_own_machine(request.headers or {}) else None


def is_from_own_machine(headers: Mapping[str, str]) -> bool:
    """Return whether a request names this machine's own address and passed no proxy that says so.

    The headers are those of a browser, which a page elsewhere cannot forge, not even after its own name was made to
    point here.
    """
    if any(name in headers for name in _FORWARDED):
        return False
    origin = headers.get("origin")
    return all(is_loopback(_hostname(url)) for url in (f"//{headers.get('host', '')}", origin or "//"))


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
