"""The address of the page as its visitor sees it, for links that leave the page."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
MOST_HOST = 200


def page_address(connection: HTTPConnection) -> str:
    """Return the page's address, ending in "/"; only "/" if the request names no plausible host."""
    headers = connection.headers
    host = headers.get("x-forwarded-host", headers.get("host", "")).partition(",")[0].strip()
    if len(host) > MOST_HOST or not _HOST.fullmatch(host):
        return "/"
    secure = connection.scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").startswith("https")
    return f"{'https' if secure else 'http'}://{host}{connection.scope.get('root_path', '').rstrip('/')}/"


def readable(address: str) -> str:
    """Return an address as people read it, without https://."""
    return address.removeprefix("https://").removeprefix("http://")
