"""The address of the page as its visitor sees it, for links that leave the page.

On a Space it is the direct address (NAME.hf.space), because the Space's page on the Hub, which shows this one in a
frame, does not pass on the part of a link that names a run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from starlette.requests import HTTPConnection

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
MOST_HOST = 200


def page_address(connection: HTTPConnection, environment: Mapping[str, str] = os.environ) -> str:
    """Return the page's address, ending in "/"; only "/" if the request names no plausible host.

    Args:
        environment: Says whether this is a Space, and at which hosts: its direct one first, then domains of its owner.
    """
    headers = connection.headers
    host = headers.get("x-forwarded-host", headers.get("host", "")).partition(",")[0].strip()
    root = connection.scope.get("root_path", "").rstrip("/")
    if hosts := _space_hosts(environment):
        return f"https://{host if host in hosts else hosts[0]}{root}/"
    if len(host) > MOST_HOST or not _HOST.fullmatch(host):
        return "/"
    secure = connection.scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").startswith("https")
    return f"{'https' if secure else 'http'}://{host}{root}/"


def _space_hosts(environment: Mapping[str, str]) -> list[str]:
    """Return the hosts of the Space that this is; none if it is no Space."""
    named = environment.get("SPACE_HOST", "") if environment.get("SPACE_ID") else ""
    return [host for host in named.replace(" ", "").split(",") if _HOST.fullmatch(host)]


def readable(address: str) -> str:
    """Return an address as people read it, without https://."""
    return address.removeprefix("https://").removeprefix("http://")
