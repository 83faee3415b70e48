"""Off Spaces, a visitor brings a key for one session: typed, or this machine's own token with one click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_setup, pick, start
from tests.support.fakes import untrained
from tests.support.forking import ForkedServer
from tests.support.listed_models import lists
from tests.support.router import Account, Router
from tests.support.server import Server

OpenPage = Callable[[str], Page]
KEY, OWN = "hf_typed_into_the_page", "hf_of_this_machine"
FIRST = "Strong-70B"


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    router = Router()
    router.looked = lists({"maker/Strong-70B": 0.6, "maker/Stronger-400B": 2.0})
    router.accounts |= {KEY: Account(), OWN: Account()}
    yield router
    router.close()


@pytest.fixture(scope="module")
def laptop(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("laptop")
    server = ForkedServer(folder / "home", untrained(folder / "configs"), NO_PROXY="127.0.0.1")
    server.environment |= {"PARLEY_PROVIDERS": router.base_url, "HF_TOKEN": OWN}
    yield server.start()
    server.stop()


def plays(page: Page, router: Router, key: str) -> None:
    begun = len(router.keys)
    pick(page, "lane-1-agent-a", FIRST)
    start(page)
    expect(page.locator("#lane-1-verdict h3")).to_contain_text("eal")
    assert set(router.keys[begun:]) == {key}


def test_a_typed_key_serves_one_session(laptop: Server, router: Router, open_page: OpenPage) -> None:
    page = open_page(laptop.url)
    button = page.locator("#account-button")
    button.click()
    expect(page.locator("#account-panel")).to_contain_text("kept in memory for this session only")
    assert page.locator("#account-key input").get_attribute("type") == "password"
    page.locator("#account-key input").fill(KEY)
    page.locator("#account-use").click()
    expect(button).to_have_text("Your key is in use")
    assert KEY not in page.content()
    plays(page, router, KEY)
    button.click()
    page.locator("#account-forget").click()
    expect(button).to_have_text("Use your own account")
    open_setup(page)
    expect(page.locator("#arena-on-account")).to_contain_text("2 more models")
    for path in Path(laptop.home).rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path.name


def test_this_machines_token_takes_one_click(laptop: Server, router: Router, open_page: OpenPage) -> None:
    page = open_page(laptop.url)
    page.locator("#account-button").click()
    page.locator("#account-own").click()
    expect(page.locator("#account-button")).to_have_text("Your key is in use")
    plays(page, router, OWN)
    assert OWN not in page.content()


def test_what_cannot_be_a_key_is_explained(laptop: Server, open_page: OpenPage) -> None:
    page = open_page(laptop.url)
    page.locator("#account-button").click()
    page.locator("#account-key input").fill("two words")
    page.locator("#account-use").click()
    expect(page.locator(".toast-body")).to_contain_text("does not look like a key")
    expect(page.locator("#account-button")).to_have_text("Use your own account")
