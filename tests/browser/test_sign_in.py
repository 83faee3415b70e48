"""Strong models on the visitor's own account, on a Space: signing in, comparing, running out of credit, signing out."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import open_setup, pick, start
from tests.support.fakes import untrained
from tests.support.listed_models import lists
from tests.support.router import Account, Router
from tests.support.server import Server
from tests.support.serving import serving

pytest.importorskip("authlib", reason="signing in needs gradio[oauth]")

from tests.support.oauth_hub import MARK, OAuthHub

OpenPage = Callable[[str], Page]
MODELS = {"maker/Strong-70B": 0.6, "maker/Stronger-400B": 2.0, "maker/Small-8B": 0.05}
FIRST, SECOND = "Strong-70B", "Stronger-400B"


@pytest.fixture(scope="module")
def hub() -> Iterator[OAuthHub]:
    with serving(OAuthHub()) as hub:
        yield hub


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    router = Router()
    router.looked = lists(MODELS)
    yield router
    router.close()


@pytest.fixture(scope="module")
def space(hub: OAuthHub, router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a Space with `hf_oauth: true`."""
    folder = tmp_path_factory.mktemp("space")
    server = Server(folder / "home", untrained(folder / "configs"), HOST="127.0.0.1", NO_PROXY="127.0.0.1")
    server.environment |= hub.environment | {"PARLEY_PROVIDERS": router.base_url}
    yield server.start()
    server.stop()


@pytest.fixture
def sign_in(hub: OAuthHub, router: Router) -> Callable[..., Account]:
    """Return a function that signs a visitor in, and returns their account at the router."""

    def as_visitor(page: Page, name: str, *, lifetime: int = 8 * 3600) -> Account:
        hub.visitor, hub.lifetime = name, lifetime
        before = set(hub.tokens)
        page.locator("#account-button").click()
        if lifetime > 0:
            expect(page.locator("#account-button")).to_have_text(f"Sign out ({name})")
        else:
            expect(page.locator("#account-notice")).to_contain_text("expired")
        expect(page.locator("#arena-link :is([data-opened], [data-run])")).to_be_attached()  # the set-up is restored
        (token,) = set(hub.tokens) - before
        account = router.accounts[token] = Account()
        return account

    return as_visitor


def compare(page: Page) -> None:
    """Let two strong models play, one in each lane: two choices."""
    pick(page, "lane-1-agent-a", FIRST)
    pick(page, "lane-2-agent-a", SECOND)
    expect(page.locator("#arena-spending")).to_contain_text(f"{FIRST}: $0.60 in, $1.80 out per million tokens")
    expect(page.locator("#arena-spending")).to_contain_text("Estimated cost of both lanes: up to about $")
    start(page)


def ends(page: Page, lane: int) -> None:
    expect(page.locator(f"#lane-{lane}-verdict h3")).to_have_text(re.compile("Deal|No deal"))


def test_before_signing_in_they_say_what_is_needed(space: Server, open_page: OpenPage) -> None:
    page = open_page(space.url)
    open_setup(page)
    expect(page.locator("#arena-on-account")).to_contain_text("3 more models are served remotely, on your account.")
    page.locator("#lane-1-agent-a input").click()
    expect(page.get_by_role("option", name="The Pleaser").first).to_be_visible()
    expect(page.get_by_role("option", name=FIRST)).to_have_count(0)
    assert "hf/maker" not in page.content()


def test_comparing_two_strong_models(
    space: Server, hub: OAuthHub, router: Router, open_page: OpenPage, sign_in: Callable[..., Account]
) -> None:
    page = open_page(space.url)
    sign_in(page, "ada")
    (token,) = (token for token, name in hub.tokens.items() if name == "ada")
    begun = len(router.calls)
    compare(page)
    for lane in (1, 2):
        ends(page, lane)
    expect(page.locator("#arena-spending")).to_contain_text("The last time it was $")
    asked = router.calls[begun:]
    assert {call.body["model"] for call in asked} == {"maker/Strong-70B:swift", "maker/Stronger-400B:swift"}
    assert set(router.keys[begun:]) == {token}


def test_what_it_costs_is_said_wherever_one_can_start(
    space: Server, open_page: OpenPage, sign_in: Callable[..., Account]
) -> None:
    page = open_page(space.url)
    sign_in(page, "ada")
    pick(page, "lane-1-agent-a", FIRST)
    start(page)
    ends(page, 1)
    run_id = page.url.partition("run=")[2].partition("&")[0]
    page.get_by_role("tab", name="Play").click()
    expect(page.locator("#play-limit")).to_be_hidden()
    pick(page, "play-opponent", FIRST)
    expect(page.locator("#play-spending")).to_contain_text("Estimated cost: up to about $")
    expect(page.locator("#play-limit input")).to_have_value("0.25")
    page.goto(f"{space.url}/?replay={run_id}")
    page.locator("#replay-1-fork > button").click()
    expect(page.locator("#replay-1-spending")).to_contain_text("The last time it was $")
    expect(page.locator("#replay-1-limit input")).to_have_value("0.25")
    pick(page, "replay-1-agent-a", "The Pleaser")
    expect(page.locator("#replay-1-limit")).to_be_hidden()


def test_an_account_without_credit_stops_a_negotiation_that_can_be_continued(
    space: Server, open_page: OpenPage, sign_in: Callable[..., Account]
) -> None:
    page = open_page(space.url)
    account = sign_in(page, "cleo")
    account.replies = 1
    pick(page, "lane-1-agent-a", FIRST)
    pick(page, "lane-1-agent-b", SECOND)
    start(page)
    resume = page.locator("#lane-1-continue")
    expect(page.locator("#lane-1-verdict")).to_contain_text("credit")
    expect(resume).to_be_visible()
    ends(page, 2)
    account.replies = float("inf")
    resume.click()
    ends(page, 1)


def test_two_visitors_each_pay_for_their_own(
    space: Server,
    hub: OAuthHub,
    router: Router,
    browser: Browser,
    open_page: OpenPage,
    sign_in: Callable[..., Account],
) -> None:
    ada, other = open_page(space.url), browser.new_context(reduced_motion="reduce")
    bob = other.new_page()
    bob.goto(space.url)
    expect(bob.locator("#arena-link :is([data-opened], [data-run])")).to_be_attached()
    begun = len(router.calls)
    for page, name, model in ((ada, "dora", FIRST), (bob, "bob", SECOND)):
        sign_in(page, name)
        pick(page, "lane-1-agent-a", model)
    for page in (ada, bob):
        start(page)
    for page in (ada, bob):
        ends(page, 1)
    calls = zip(router.keys[begun:], router.calls[begun:], strict=True)
    paid = {(hub.tokens[str(key)], call.body["model"]) for key, call in calls}
    assert paid == {("dora", "maker/Strong-70B:swift"), ("bob", "maker/Stronger-400B:swift")}
    other.close()


def test_an_expired_sign_in_is_said(space: Server, open_page: OpenPage, sign_in: Callable[..., Account]) -> None:
    page = open_page(space.url)
    sign_in(page, "eve", lifetime=-5)
    expect(page.locator("#account-notice")).to_contain_text("Your sign-in has expired. Sign in again")
    expect(page.locator("#account-button")).to_have_text("Sign in with Hugging Face")
    sign_in(page, "eve")
    expect(page.locator("#account-notice")).to_have_text("")


def test_signing_out_and_no_trace_of_a_token(
    space: Server,
    hub: OAuthHub,
    context: BrowserContext,
    open_page: OpenPage,
    sign_in: Callable[..., Account],
) -> None:
    page = open_page(space.url)
    sign_in(page, "finn")
    pick(page, "lane-1-agent-a", FIRST)
    start(page)
    ends(page, 1)
    shown = [page.content()]
    for tab in ("history", "models"):
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab}")).to_be_visible()
        shown.append(page.content())
    shown += [json.dumps(cookie) for cookie in context.cookies()]
    shown += [page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")]
    for path in ("/", "/config", "/healthz", "/metrics", "/gradio_api/info"):
        try:
            with urllib.request.urlopen(space.url + path) as answer:
                shown.append(answer.read().decode())
        except OSError:  # only the operator may read it
            continue
    page.locator("#account-button").click()
    expect(page.locator("#account-button")).to_have_text("Sign in with Hugging Face")
    open_setup(page)
    expect(page.locator("#arena-on-account")).to_contain_text("Sign in with Hugging Face")
    files = [path for path in Path(space.home).rglob("*") if path.is_file()]
    assert any(path.name == "parley.db" for path in files)
    assert hub.tokens
    for file in files:
        assert MARK.encode() not in file.read_bytes(), file.name
    for text in shown:
        assert MARK not in text
    assert not hub.refreshed
