"""The first minute in the arena, in a real browser: the recording, one line of set-up, and lanes as conversations."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_arena import start_models
from tests.support.browser import pick, start
from tests.support.server import Server

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}


def test_a_visit_opens_on_a_recording_that_can_be_played(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    banner, turns = page.locator("#arena-banner"), page.locator("#lane-1-transcript .turn:not(.moving)")
    expect(banner).to_contain_text("Recording")
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-verdict h3")).to_contain_text("Deal")
        expect(page.locator(f"#lane-{lane}-head")).to_contain_text("Dealer")
    everything = turns.count()
    play = page.locator("#arena-play")
    play.click()
    expect(page.locator("#lane-1-transcript .moving .dots")).to_be_visible()
    expect(page.locator("#lane-2-transcript .moving")).to_be_visible()
    expect(page.locator("#lane-1-head .state").last).to_contain_text("Round 1 of")
    expect(page.locator("#lane-1-plot svg")).to_have_count(0)
    expect(turns).to_have_count(2)  # turn by turn, as it happened
    expect(page.locator("#lane-1-plot svg .mark title").first).to_contain_text("Dealer in round 1: ")
    play.click()
    expect(turns).to_have_count(everything)
    expect(page.locator("#lane-1-verdict h3")).to_contain_text("Deal")
    start(page)
    expect(play).to_be_hidden()
    expect(banner).not_to_contain_text("Recording")


def test_new_messages_are_announced_to_a_reader_who_has_scrolled_away(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    pace = page.locator("#arena-pace select")
    pace.select_option("slow")
    page.locator("#arena-play").click()
    transcript = page.locator("#lane-1-transcript")
    expect(transcript.locator(".moving")).to_be_visible()  # it plays from its beginning
    pace.select_option("fast")
    newer = transcript.locator("[data-newest]")
    expect(transcript.locator(".turn:not(.moving)").nth(4)).to_be_visible()
    expect(newer).to_be_hidden()
    page.wait_for_function("box => box.scrollHeight > box.clientHeight + 200", arg=transcript.element_handle())
    pace.select_option("slow")  # so that the recording lasts on a busy machine
    transcript.hover()
    page.mouse.wheel(0, -4000)
    page.wait_for_function("box => box.scrollTop === 0", arg=transcript.element_handle())  # it glides there
    expect(newer).to_be_visible()
    assert transcript.evaluate("box => box.scrollTop") == 0, "the reader stays where they were"
    newer.click()
    expect(newer).to_be_hidden()
    assert transcript.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 48


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_start_is_in_view_and_within_five_tab_stops(
    server: Server, open_page: Callable[[str], Page], size: dict[str, int]
) -> None:
    page = open_page(server.url)
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    place = page.locator("#arena-start").bounding_box()
    assert place is not None
    assert place["y"] + place["height"] < size["height"]
    stops = []
    for _ in range(5):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id"))
    assert "arena-start" in stops
    page.locator("#tab-arena-button").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-play-button")).to_be_focused()
    expect(page.locator("#tab-play-button")).to_have_attribute("aria-selected", "true")


def test_a_phone_shows_one_lane_at_a_time_with_its_state_first(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    lanes = [page.locator(f"#lane-{number}-transcript") for number in (1, 2)]
    tabs = [page.locator(f"#lane-{number}-head .lane-tab") for number in (1, 2)]
    expect(lanes[0]).to_be_visible()
    expect(lanes[1]).to_be_hidden()
    expect(tabs[1]).to_have_text(re.compile(r"^Deal\s*Lane 2"))
    tabs[1].click()
    expect(lanes[1]).to_be_visible()
    expect(lanes[0]).to_be_hidden()
    expect(tabs[1]).to_have_attribute("aria-pressed", "true")
    tabs[1].focus()
    page.keyboard.press("ArrowLeft")
    expect(tabs[0]).to_be_focused()
    expect(lanes[0]).to_be_visible()
    expect(tabs[1]).to_have_attribute("aria-pressed", "false")
    pick(page, "lane-1-agent-a", "linear")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_thought_is_one_click_away_and_stop_keeps_the_unfinished_message(
    endless_server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(endless_server.url)
    start_models(page)
    moving = page.locator("#lane-1-transcript .moving")
    thought = moving.locator("details .thought")
    expect(moving.locator(".message")).to_contain_text("I have")
    expect(thought).to_be_hidden()
    moving.locator("summary").click()
    expect(thought).to_be_visible()
    expect(moving.locator(".message")).to_contain_text("thought about it")
    expect(thought).to_be_visible()  # updates leave it open
    page.locator("#arena-stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#lane-1-verdict h3")).to_have_text("Stopped")
    expect(page.locator("#arena-start")).to_be_focused()
    expect(moving.locator(".message")).to_contain_text("I have thought about it")
    expect(moving).to_contain_text("This message is unfinished")
