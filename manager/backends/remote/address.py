"""Addresses of remote servers, whether they may be contacted, and the keys that they are sent.

Entries from strangers are `public_only`: all addresses of the host must be on the public internet, and the connection
goes to an address that was checked, so that a host name cannot resolve to another one in between.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field
from typing import Any

import httpx

from manager.errors import AccessDenied, Refused, Unreachable

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that represent IPv4 ones (RFC 6052)."""


@dataclass(frozen=True)
class Target:
    """The URL, headers and extensions of a request with httpx."""

    url: httpx.URL
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # among them the key
    extensions: dict[str, Any] = field(default_factory=dict)


async def target(base_url: str, path: str, public_only: bool) -> Target:
    """Return the target of `path` under a base URL.

    Raises:
        Refused: The entry is `public_only`, and the host is not on the public internet.
        Unreachable: The host name cannot be resolved.
    """
    url = httpx.URL(base_url.rstrip("/") + path)
    if not public_only:
        return Target(url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(f"the host name of {base_url} cannot be resolved") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(is_public(address) for address in addresses):
        raise Refused(f"{base_url} is not on the public internet, and only the operator may add such servers")
    headers = {"Host": url.netloc.decode("ascii")}
    return Target(url.copy_with(host=addresses[0]), headers, {"sni_hostname": url.host})


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet, and does not represent another address.

    >>> [is_public(a) for a in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "127.0.0.1", "::1", "::ffff:8.8.8.8")]
    [True, False, False, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in _TRANSLATED):
        return False
    return ip.is_global and not ip.is_multicast


def api_key(name: str | None) -> str | None:
    """Return the API key in an environment variable. Raises AccessDenied if it is not set or cannot be sent."""
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise AccessDenied(f"the environment variable {name} (key 'api_key') is not set; set it and try again")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise AccessDenied(f"the environment variable {name} contains characters that are invalid in a key; correct it")
    return key
