"""The end of two lanes in a real browser: who came out ahead, the vote, the next pair; and set-up, Swap and Rerun."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import open_setup, pick, start
from tests.support.server import Server

HEADLINE = "Lane 1 got the Dealer €80 more"


def test_the_end_says_who_came_out_ahead_and_takes_a_vote_by_key(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    banner, vote = page.locator("#arena-banner"), page.locator("#arena-vote")
    expect(banner).to_contain_text(HEADLINE)  # of the recording, on which nobody votes
    expect(vote.locator("button")).to_have_count(0)
    start(page)
    expect(vote).to_contain_text("Which lane bargained better for the Dealer?")
    expect(banner).to_contain_text(HEADLINE)
    expect(banner).to_contain_text("Neither lane left anything on the table.")
    expect(banner).to_contain_text("Decided in round 2 of lane 2")
    open_setup(page)
    page.locator("#arena-seed input").press("1")  # typing is no vote
    page.locator("#arena-start").focus()
    page.keyboard.press("=")
    expect(vote.locator("[aria-pressed=true]")).to_contain_text("Equally well")
    expect(vote).to_contain_text("The points say otherwise.")
    page.keyboard.press("1")
    expect(vote).to_contain_text("Your vote: Lane 1. The points agree.")
    page.locator("#arena-seed input").fill("7")
    start(page, "arena-next")  # the next pair starts at once
    expect(page.locator("#arena-seed input")).to_have_value("8")
    expect(banner).to_contain_text(HEADLINE)
    expect(vote.locator("button")).to_have_count(4)
    expect(vote.locator("[aria-pressed=true]")).to_have_count(0)


def test_names_and_worth_stay_hidden_until_the_vote(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    open_setup(page)
    page.locator("#arena-blind input").check()
    start(page)
    vote, lanes = page.locator("#arena-vote"), page.locator(".lanes").first
    hidden = page.locator("#arena-banner [data-veil]")

    def check_hidden() -> None:
        expect(vote.locator("button")).to_have_count(4)
        expect(hidden).to_be_visible()
        expect(lanes.locator(".worth").first).to_be_hidden()
        expect(lanes.locator(".bars").first).to_be_hidden()
        expect(lanes.locator("svg").first).to_be_hidden()
        assert not re.search("boulware|conceder|in early", lanes.inner_html())
        expect(page.locator("#arena-next")).to_be_hidden()

    check_hidden()
    page.reload()
    check_hidden()
    page.keyboard.press("0")
    expect(hidden).to_have_count(0)
    expect(page.locator("#arena-banner")).to_contain_text("got the Dealer €80 more")
    expect(lanes.locator(".bars").first).to_be_visible()
    heads = page.locator("#lane-1-head, #lane-2-head")
    expect(heads.filter(has_text="conceder")).to_have_count(1)
    expect(page.locator("#arena-next")).to_be_visible()


def test_suspense_hides_worth_while_the_drawer_is_closed(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    open_setup(page)
    page.locator("#arena-suspense input").check()
    expect(page.locator("[data-suspense]")).to_be_attached()
    page.locator("#arena-setup > button").click()
    expect(page.locator("#arena-swap")).to_be_hidden()
    page.locator("#arena-play").click()
    worth = page.locator("#lane-1-transcript .turn .worth")
    expect(worth).not_to_have_count(0)
    expect(worth.first).to_be_hidden()
    page.locator("#arena-play").click()
    expect(worth.first).to_be_visible()


def test_lanes_of_an_earlier_set_up_say_so_and_rerun_repeats_what_they_show(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    pick(page, "lane-2-agent-b", "linear")
    start(page)
    expect(page.locator("#arena-vote button")).to_have_count(4)
    stale, lineup = page.locator("#arena-stale"), page.locator("#arena-lineup p").last
    expect(stale).to_have_text("")
    said, before = page.locator("#lane-2-transcript .turns").inner_text(), lineup.inner_text()
    page.locator("#arena-swap").click()
    expect(stale).to_contain_text("The lanes show an earlier set-up")
    expect(lineup).not_to_have_text(before, use_inner_text=True)
    expect(page.locator("#lane-2-head")).to_contain_text("conceder")  # still says who played
    start(page, "arena-again")
    expect(page.locator("#arena-vote button")).to_have_count(4)
    expect(page.locator("#lane-2-transcript .turns")).to_have_text(said, use_inner_text=True)
    expect(lineup).to_have_text(before, use_inner_text=True)
    expect(stale).to_have_text("")
    page.locator("#arena-swap").click()
    expect(stale).to_contain_text("earlier set-up")
    page.locator("#arena-swap").click()
    expect(stale).to_have_text("")
    page.locator("#arena-swap").click()
    expect(stale).to_contain_text("earlier set-up")
    start(page)
    expect(stale).to_have_text("")
    expect(page.locator("#lane-2-head .player.seat-b")).to_contain_text("conceder")


def test_focus_is_kept_after_start_rerun_and_the_next_pair(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    focused = "document.activeElement.id"
    for button in ("arena-start", "arena-again", "arena-next"):
        page.locator(f"#{button}").focus()
        before = page.url
        page.keyboard.press("Enter")
        expect(page).not_to_have_url(before)
        expect(page.locator("#arena-vote button")).to_have_count(4)
        expect(page.locator("#arena-stop")).to_be_disabled()
        page.wait_for_function(f"() => ['arena-start', '{button}'].includes({focused})")


SHOWN_SIZES = """() => {
  const sizes = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const part = walker.currentNode.parentElement;
    const shown = part.getClientRects().length && walker.currentNode.textContent.trim();
    if (shown && !part.closest('script, style')) sizes.add(getComputedStyle(part).fontSize);
  }
  return [...sizes];
}"""


def test_the_page_uses_five_sizes_of_text(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    open_setup(page)
    scale = page.evaluate(
        """() => ['xs', 's', 'm', 'l', 'xl'].map((size) => {
          const part = document.body.appendChild(document.createElement('i'));
          part.style.fontSize = `var(--size-${size})`;
          return getComputedStyle(part).fontSize;
        })"""
    )
    assert len(set(scale)) == 5
    for tab in ("arena", "play", "tournament", "history", "models"):
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab}")).to_be_visible()
        assert set(page.evaluate(SHOWN_SIZES)) <= set(scale), tab
