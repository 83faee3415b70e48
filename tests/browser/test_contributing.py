"""Contributing a run to a dataset in one's own account, on a Space: asked for when needed, read, given, taken back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from negotiation.runs.hub.contributions import NAME, TAG, public_id
from tests.support.browser import choose_preset, start
from tests.support.fakes import untrained
from tests.support.listed_models import lists
from tests.support.router import Router
from tests.support.server import Server
from tests.support.serving import serving

pytest.importorskip("authlib", reason="signing in needs gradio[oauth]")

from tests.support.oauth_hub import CONTRIBUTE, MARK, OAuthHub

OpenPage = Callable[[str], Page]
BASIC = "openid profile inference-api"
BUTTON, PANEL = "#replay-1-contribute", "#replay-1-contribution"


@pytest.fixture(scope="module")
def running_hub() -> Iterator[OAuthHub]:
    with serving(OAuthHub()) as hub:
        yield hub


@pytest.fixture
def hub(running_hub: OAuthHub) -> OAuthHub:
    """Return a Hub that knows of nothing yet."""
    running_hub.forget()
    return running_hub


@pytest.fixture(scope="module")
def space(running_hub: OAuthHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a Space with both scopes in the head of its README.md."""
    router = Router()
    router.looked = lists({"maker/Strong-70B": 0.6})
    folder = tmp_path_factory.mktemp("space")
    server = Server(folder / "home", untrained(folder / "configs"), HOST="127.0.0.1", NO_PROXY="127.0.0.1")
    server.environment |= running_hub.environment | {"PARLEY_PROVIDERS": router.base_url}
    yield server.start()
    server.stop()
    router.close()


@pytest.fixture
def page(hub: OAuthHub, space: Server, open_page: OpenPage) -> Page:
    """Return a page whose visitor has played two scripts, and is signed in as Ada with what everybody is asked for."""
    page = open_page(space.url)
    page.locator("#account-button").click()
    expect(page.locator("#account-button")).to_have_text("Sign out (ada)")
    expect(page.locator("#arena-link :is([data-opened], [data-run])")).to_be_attached()
    choose_preset(page, "Who gives in first?")
    start(page)
    expect(page.locator("#lane-2-verdict h3")).to_be_visible()
    return page


def replay(page: Page) -> str:
    """Show the newest run in History, and return its address."""
    page.get_by_role("tab", name="History").click()
    page.locator("table.history tbody tr").first.get_by_role("button", name="replay").click()
    expect(page.locator(BUTTON)).to_be_visible()
    return page.url


def test_contributing_asks_first_comes_back_and_can_be_taken_back(
    page: Page, hub: OAuthHub, space: Server, context: BrowserContext
) -> None:
    assert hub.asked_scopes == [BASIC]
    address = replay(page)
    run_id = address.partition("replay=")[2].partition("&")[0]
    panel = page.locator(PANEL)
    page.locator(BUTTON).click()
    expect(panel).to_contain_text("permission to create repositories")
    expect(page.locator("#replay-1-contribute-sure")).to_be_hidden()
    assert not hub.repositories

    hub.asks = True
    page.locator("#replay-1-contribute-allow").click()
    expect(page.locator("li")).to_have_text([*BASIC.split(), CONTRIBUTE])
    page.get_by_role("link", name="Authorize").click()

    expect(panel).to_contain_text("Contribute this run?")
    expect(panel).to_contain_text(f"ada/{NAME}")
    expect(panel).to_be_in_viewport()
    expect(page).to_have_url(address)
    expect(page.locator("#account-button")).to_have_text("Sign out (ada)")
    assert not hub.repositories

    page.locator("#replay-1-contribute-sure").click()
    expect(panel).to_contain_text("Thank you!")
    link = panel.get_by_role("link", name="Open the dataset")
    expect(link).to_have_attribute("href", f"{hub.url}/datasets/ada/{NAME}")
    published = hub.repositories[f"ada/{NAME}"]
    assert not published.private
    assert TAG in published.tags
    (line,) = (content for path, content in published.files.items() if path.endswith(".jsonl"))
    assert json.loads(line)["run_id"] == public_id(run_id)
    assert run_id.encode() not in b"".join(published.files.values())

    page.reload()
    expect(page.locator(BUTTON)).to_be_visible()
    expect(panel).to_be_hidden()
    page.locator(BUTTON).click()
    expect(panel).to_contain_text("You have contributed this run")
    page.locator("#replay-1-withdraw").click()
    expect(panel).to_contain_text("is no longer there")
    assert not hub.repositories

    page.locator("#replay-1-contribute-not").click()
    expect(panel).to_be_hidden()
    leaves_no_trace(page, hub, space, context)


def leaves_no_trace(page: Page, hub: OAuthHub, space: Server, context: BrowserContext) -> None:
    """Look for tokens everywhere but in the memory of the server, and sign out."""
    shown = [page.content(), json.dumps([dict(cookie) for cookie in context.cookies()])]
    shown += [page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")]
    files = [path for path in Path(space.home).rglob("*") if path.is_file()]
    assert any(path.name == "server.log" for path in files)
    assert len(hub.tokens) == 2
    for text in (*shown, *(path.read_bytes().decode("utf-8", "replace") for path in files)):
        assert MARK not in text
    page.locator("#account-button").click()
    expect(page.locator("#account-button")).to_have_text("Sign in with Hugging Face")
    expect(page.locator(BUTTON)).to_be_visible()
    page.locator(BUTTON).click()
    expect(page.locator("#replay-1-contribute-allow")).to_be_visible()


def test_whoever_refuses_comes_back_and_nothing_is_published(page: Page, hub: OAuthHub) -> None:
    address = replay(page)
    page.locator(BUTTON).click()
    hub.asks = True
    page.locator("#replay-1-contribute-allow").click()
    page.get_by_role("link", name="Cancel").click()
    panel = page.locator(PANEL)
    expect(panel).to_contain_text("nothing has been published")
    expect(page).to_have_url(address)
    expect(page.locator("#account-button")).to_have_text("Sign out (ada)")
    expect(page.locator("#account-notice")).to_have_text("")
    page.locator("#replay-1-contribute-not").click()
    expect(panel).to_be_hidden()
    assert not hub.repositories
    assert len(hub.tokens) == 1


def test_what_the_hub_refuses_is_said_below_the_run_and_can_be_tried_again(page: Page, hub: OAuthHub) -> None:
    replay(page)
    panel = page.locator(PANEL)
    page.locator(BUTTON).click()
    page.locator("#replay-1-contribute-allow").click()
    expect(panel).to_contain_text("Contribute this run?")
    hub.fails = {"/commit/": 429}
    page.locator("#replay-1-contribute-sure").click()
    expect(panel).to_contain_text("Try again in a few minutes.")
    expect(page.locator(".toast-body")).to_have_count(0)
    hub.fails = {"/commit/": 401}
    page.locator(BUTTON).click()
    page.locator("#replay-1-contribute-sure").click()
    expect(panel).to_contain_text("allow it again")
    hub.fails = {}
    page.locator("#replay-1-contribute-allow").click()
    page.locator("#replay-1-contribute-sure").click()
    expect(panel).to_contain_text("Thank you!")
    assert len(hub.repositories[f"ada/{NAME}"].files) == 2


def test_a_sign_in_that_was_cancelled_is_said_and_not_an_error_page(
    space: Server, hub: OAuthHub, open_page: OpenPage
) -> None:
    page = open_page(space.url)
    hub.refuses = True
    page.locator("#account-button").click()
    expect(page.locator("#account-notice")).to_contain_text("You are not signed in")
    expect(page).to_have_url(f"{space.url}/")
    hub.refuses = False
    page.locator("#account-button").click()
    expect(page.locator("#account-button")).to_have_text("Sign out (ada)")
