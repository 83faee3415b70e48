"""The certificates that connections trust."""

from __future__ import annotations

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """Return httpx's own choice of certificates, read once for all clients: reading them takes some 20 ms."""
    return httpx.create_ssl_context()
