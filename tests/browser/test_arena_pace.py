"""Scripted turns in a real browser: they appear at a pace at which people can read, which the visitor chooses."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import start
from tests.support.server import Server


def watch_lane(page: Page) -> None:
    """Record in window.seen how lane 1 fills: the numbers of turns, what was being typed, and whether dots moved."""
    page.evaluate(
        """() => {
          window.seen = {turns: [], typed: [], dots: false, who: ''};
          const lane = document.getElementById('lane-1-transcript');
          const look = () => {
            const turns = lane.querySelectorAll('.turn:not(.moving)').length;
            if (window.seen.turns.at(-1) !== turns) window.seen.turns.push(turns);
            const moving = lane.querySelector('.moving');
            if (!moving) return;
            window.seen.who = moving.querySelector('header').textContent;
            if (moving.querySelector('.dots')) window.seen.dots = true;
            const typed = moving.querySelector('.message.typing')?.textContent;
            if (typed && !turns) window.seen.typed.push(typed);
          };
          new MutationObserver(look).observe(lane, {subtree: true, childList: true, characterData: true});
        }"""
    )


def test_scripts_talk_at_the_chosen_speed_and_stop_shows_the_rest(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    speed, turns = page.locator("#arena-pace select"), page.locator("#lane-1-transcript .turn:not(.moving)")
    expect(speed).to_have_value("instant")  # as the tests' server is set up
    speed.select_option("normal")
    start(page)
    watch_lane(page)
    expect(turns).not_to_have_count(0)
    expect(page.locator("#arena-start")).to_be_disabled()
    expect(page.locator("#lane-1-verdict h3")).to_have_count(0)
    expect(page.locator("#lane-2-transcript .moving")).to_contain_text("scripted")
    page.locator("#arena-stop").click()  # everything has happened, and there is no need to wait for it
    expect(page.locator("#lane-1-verdict h3")).to_contain_text("Deal")
    expect(page.locator("#arena-vote button")).to_have_count(4)
    expect(page.locator("#lane-1-transcript .moving")).to_have_count(0)
    expect(page.locator("#arena-start")).to_be_enabled()
    seen = page.evaluate("window.seen")
    assert seen["dots"]
    assert "The Hardhead · scripted" in seen["who"]
    assert 1 in seen["turns"], "turn by turn"
    said = turns.first.locator(".message").inner_text()
    assert any(said.startswith(part) and part != said for part in seen["typed"]), "bit by bit"
    start(page, "arena-again")
    expect(page.locator("#lane-1-transcript .moving")).to_contain_text("scripted")
    expect(page.locator("#arena-stop")).to_be_enabled()
    page.set_viewport_size({"width": 390, "height": 844})
    tab = page.locator("#lane-2-head .lane-tab")
    expect(tab).to_contain_text("Round")
    box = tab.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390, "the tabs fit beside each other, also with their longest state"


def test_the_speed_can_change_meanwhile_and_holds_for_the_whole_page(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    page.locator("#arena-pace select").select_option("slow")
    start(page)
    expect(page.locator("#lane-1-transcript .moving")).to_be_visible()
    page.locator("#arena-pace select").select_option("instant")
    expect(page.locator("#lane-2-verdict h3")).to_contain_text("Deal")
    expect(page.locator("#arena-vote button")).to_have_count(4)
    page.locator("#arena-pace select").select_option("slow")
    page.locator("#tab-play-button").click()
    expect(page.locator("#play-pace select")).to_have_value("slow")
    page.locator("#play-begin").click()
    page.locator("#play-builder [data-message]").fill("It takes a while to read this. " * 8)
    page.locator("#play-builder [data-do=offer]").click()
    answer = page.locator("#play-transcript .moving")
    expect(answer).to_contain_text("scripted")
    expect(answer.locator(".dots")).to_be_visible()
    expect(page.locator("#play-builder [data-do=offer]")).to_be_disabled()
    page.locator("#play-pace select").select_option("instant")
    expect(answer).to_contain_text("It is your turn.")
    page.reload()
    expect(page.locator("#arena-pace select")).to_have_value("instant")
