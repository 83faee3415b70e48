"""Links that leave the page: the address as the visitor sees it, and on a Space its direct one."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from ui.sharing.address import page_address

SPACE = {"SPACE_ID": "me/parley", "SPACE_HOST": "me-parley.hf.space"}
OWN_DOMAIN = {"SPACE_ID": "me/parley", "SPACE_HOST": "me-parley.hf.space, parley.example"}


def visited(host: str, **headers: str) -> HTTPConnection:
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    encoded = [(name.encode(), value.encode()) for name, value in given.items()]
    return HTTPConnection({"type": "http", "scheme": "http", "root_path": "", "headers": encoded})


@pytest.mark.parametrize(
    ("environment", "host", "address"),
    [
        (SPACE, "me-parley.hf.space", "https://me-parley.hf.space/"),
        (SPACE, "10.0.0.7:7860", "https://me-parley.hf.space/"),  # as the Hub's proxy may name it
        (SPACE, "evil.example", "https://me-parley.hf.space/"),
        (OWN_DOMAIN, "parley.example", "https://parley.example/"),
        (OWN_DOMAIN, "huggingface.co", "https://me-parley.hf.space/"),
        ({"SPACE_ID": "me/parley"}, "somewhere.example", "http://somewhere.example/"),
        ({"SPACE_HOST": "me-parley.hf.space"}, "127.0.0.1:7860", "http://127.0.0.1:7860/"),  # no Space
        ({}, "not a host", "/"),
    ],
)
def test_links_lead_to_where_the_page_can_be_reached(environment: dict[str, str], host: str, address: str) -> None:
    assert page_address(visited(host), environment) == address
    assert page_address(visited("x", x_forwarded_host=host), environment) == address
