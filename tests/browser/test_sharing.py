"""Sharing in a real browser: what is copied, the window with the card, and where a shared link opens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_setup, start
from tests.support.server import Server

SIZES = [{"width": 1440, "height": 900}, {"width": 390, "height": 844}]


def finish(page: Page) -> str:
    """Run the first set-up to its end, and return its link."""
    start(page)
    expect(page.locator("#arena-vote button")).to_have_count(4)
    return page.url


def copied(page: Page, button: str) -> str:
    page.get_by_role("button", name=button).first.click()
    expect(page.locator(".share, .card-window").get_by_text("Copied")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_run_is_shared_as_a_link_a_transcript_and_a_card(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = finish(page)
    assert copied(page, "Copy link") == link
    transcript = copied(page, "Copy transcript")
    assert "Lane 1 got the Dealer €80 more" in transcript
    assert transcript.splitlines()[2] == link
    card, window = page.get_by_role("button", name="Share card"), page.locator(".card-window")
    card.click()
    picture = window.locator("img")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('.card-window img').naturalWidth === 1200")
    with page.expect_download() as saved:
        window.get_by_text("Save picture").click()
    assert saved.value.suggested_filename == "parley.png"
    page.keyboard.press("Escape")
    expect(window).to_be_hidden()
    expect(card).to_be_focused()


@pytest.mark.parametrize("size", SIZES, ids=["desktop", "phone"])
@pytest.mark.parametrize("key", ["run", "replay"])
def test_a_shared_link_opens_at_the_first_message(
    server: Server, open_page: Callable[[str], Page], size: dict[str, int], key: str
) -> None:
    page = open_page(server.url)
    link = finish(page)
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.goto(link.replace("?run=", f"?{key}="))
    first = "#replay-1-transcript" if key == "replay" else "#lane-1-transcript"
    expect(page.locator(f"{first} .turn").first).to_be_visible()
    page.wait_for_function(
        """(first) => { const turn = document.querySelector(`${first} .turn`).getBoundingClientRect();
          const strip = document.querySelector('#model-status').getBoundingClientRect();
          return strip.bottom <= turn.top && turn.bottom <= innerHeight; }""",
        arg=first,
    )


def test_what_is_shared_before_the_vote_hides_who_played(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_setup(page)
    page.locator("#arena-blind input").check()
    link = finish(page)
    assert link.endswith("&blind=1")
    assert copied(page, "Copy link") == link
    assert "boulware" not in copied(page, "Copy transcript")
    expect(page.locator("[data-card]")).to_have_attribute("data-card", _blind_card(link))
    page.context.clear_cookies()  # a friend who opens the link
    page.evaluate("localStorage.clear()")
    page.goto(link.replace("?run=", "?replay="))
    expect(page.locator("#replay-1-head .players")).to_contain_text("hidden until you vote")
    assert "boulware" not in (shown := page.locator("#replay .lanes").inner_html())
    assert "Hardhead" not in shown
    page.goto(link)
    expect(page.locator("#arena-vote button")).to_have_count(4)
    expect(page.locator("#arena-banner [data-veil]")).to_be_visible()
    assert "boulware" not in (shown := page.locator(".lanes").first.inner_html())
    assert "Hardhead" not in shown
    page.keyboard.press("1")
    expect(page.locator("#lane-1-head")).to_contain_text("The Hardhead")
    expect(page.locator("[data-card]")).to_have_attribute("data-card", _blind_card(link).partition("?")[0])
    assert "blind" not in page.url


def _blind_card(link: str) -> str:
    return f"card/{link.partition('run=')[2].partition('&')[0]}.png?blind=1"
