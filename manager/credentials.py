"""Visitors' own keys for remote servers: in memory only, behind handles that stand for them everywhere else.

A handle is random and says nothing about its holder or the keys. Requests carry handles; a key is read when the header
of a request is built, and nowhere else. A key is given for one server and is revealed for no other, so that a sign-in
at one provider never reaches another one. This module does not know what the keys are for.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

from manager.errors import CredentialExpired, CredentialMissing, CredentialRejected

LONGEST = 8000
"""Characters of a key: more do not fit into the header of a request everywhere."""
EXPIRED = "Your sign-in has expired; sign in again and continue."
FORGOTTEN = (
    "Your sign-in or key is no longer here, because you signed out or your visit ended; sign in again or enter the key "
    "again, and continue."
)
NEEDED = "This model runs on your own account: sign in, or enter a key."
MALFORMED = "This does not look like a key: a key is one line without spaces or accents; copy it again."


class Handle(str):
    """Stands for the keys of one holder. It is worth nothing outside this process."""

    def __repr__(self) -> str:
        return "Handle(...)"


@dataclass
class _Key:
    """A key for one server; without its text it has expired."""

    text: str | None = field(repr=False)
    expires_at: float | None


@dataclass
class _Holder:
    """The keys of one holder, by the server that each was given for."""

    handle: Handle
    keys: dict[str, _Key] = field(default_factory=dict)


class Credentials:
    """The keys of the visitors of one process. Thread-safe; never copied, printed or stored.

    Args:
        clock: The time in seconds since 1970, in which sign-ins say when they expire.

    >>> credentials = Credentials()
    >>> handle = credentials.keep("a visitor", "hf_example", server="https://models.example/v1")
    >>> credentials.reveal(handle, "https://models.example/v1")
    'hf_example'
    >>> credentials
    Credentials(1 holder)
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._holders: dict[str, _Holder] = {}
        self._names: dict[Handle, str] = {}

    def keep(self, holder: str, key: str, expires_at: float | None = None, *, server: str) -> Handle:
        """Keep a holder's key for a server, and return the holder's handle. White space around the key does not count.

        A holder has one handle, and one key for each server. Another key for the same server replaces the first under
        the same handle, so that running work goes on with the new one, even if the old one had expired.

        Args:
            holder: Whose key it is, such as a visitor's session.
            key: The key.
            expires_at: The time from which on it is not revealed; None if it does not expire.
            server: The base URL of the server that it is for. Paths do not count.

        Raises:
            CredentialRejected: The key cannot be sent in a header; the holder's earlier key stays.
        """
        key = key.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", key) or len(key) > LONGEST:
            raise CredentialRejected(MALFORMED)
        with self._lock:
            if (kept := self._holders.get(holder)) is None:
                kept = self._holders[holder] = _Holder(Handle(secrets.token_urlsafe(24)))
                self._names[kept.handle] = holder
            kept.keys[_origin(server)] = _Key(key, expires_at)
            return kept.handle

    def handle(self, holder: str, server: str) -> Handle | None:
        """Return a holder's handle if there is a key for this server behind it that is still good."""
        with self._lock:
            kept = self._holders.get(holder)
            key = kept.keys.get(_origin(server)) if kept is not None else None
            return kept.handle if kept is not None and key is not None and self._text(key) is not None else None

    def reveal(self, handle: Handle, server: str) -> str:
        """Return the key for a server behind a handle, to be sent at once and kept nowhere.

        Raises:
            CredentialExpired: It has expired; the holder can sign in again and go on.
            CredentialMissing: The holder has none for this server, or it was forgotten.
        """
        with self._lock:
            if (holder := self._names.get(handle)) is None:
                raise CredentialMissing(FORGOTTEN)
            if (key := self._holders[holder].keys.get(_origin(server))) is None:
                raise CredentialMissing(NEEDED)
            if (text := self._text(key)) is None:
                raise CredentialExpired(EXPIRED)
            return text

    def drop(self, holder: str, *, server: str) -> None:
        """Drop a holder's key for one server; the others stay."""
        with self._lock:
            if (kept := self._holders.get(holder)) is not None:
                kept.keys.pop(_origin(server), None)

    def forget(self, holder: str) -> None:
        """Drop a holder's keys. Their handle is worth nothing from now on; the holder's next key gets another one."""
        with self._lock:
            if (kept := self._holders.pop(holder, None)) is not None:
                del self._names[kept.handle]

    def _text(self, key: _Key) -> str | None:
        """Return a key that may be revealed, and drop its text if it has expired."""
        if key.expires_at is not None and self._clock() >= key.expires_at:
            key.text = None
        return key.text

    def __repr__(self) -> str:
        holders = len(self._holders)
        return f"Credentials({holders} holder{'' if holders == 1 else 's'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials stay in the process that was given them")


@dataclass(frozen=True)
class Bearer:
    """Who pays for a request: a handle, and where the key behind it is read when the request is sent."""

    handle: Handle
    credentials: Credentials

    def key(self, server: str) -> str:
        """Return the key for a server; see `Credentials.reveal`."""
        return self.credentials.reveal(self.handle, server)


def _origin(server: str) -> str:
    """Return the part of a server's URL that decides who receives a key: scheme, host and port.

    >>> _origin("https://Models.example:443/v1"), _origin("http://127.0.0.1:8000/v1/")
    ('https://models.example:443', 'http://127.0.0.1:8000')
    >>> _origin("https://models.example")
    'https://models.example:443'
    """
    parts = urlsplit(server)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
