"""History in a real browser: find, replay, judge, save, publish, delete and play on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import open_setup, pick, start
from tests.support.server import Server


def test_a_run_is_found_replayed_judged_saved_and_played_on(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    pick(page, "lane-1-agent-a", "gives in early (conceder)")
    pick(page, "lane-2-agent-a", "gives in steadily (linear)")
    start(page)
    expect(page.locator("#lane-2-verdict h3")).to_contain_text("Deal")
    page.get_by_role("tab", name="History").click()
    rows = page.locator("table.history tbody tr")
    expect(rows).to_have_count(2)
    page.locator("#history-search textarea, #history-search input").first.fill("no such words")
    expect(page.locator("#history-table")).to_contain_text("No negotiations match")
    page.locator("#history-search textarea, #history-search input").first.fill("linear")
    expect(rows).to_have_count(1)

    page.get_by_label("Blind").check()
    expect(rows).to_contain_text("hidden until you vote")
    rows.get_by_role("button", name="replay").click()
    expect(page.locator("#replay-1-board h3")).to_contain_text("Deal")
    expect(page.locator("#replay-2-head .players")).not_to_contain_text("linear")
    expect(page.locator("#replay-2-cite summary")).to_have_count(0)  # it would name the agents
    page.locator("#replay-vote-2").click()
    expect(page.locator("#replay-votes")).to_contain_text("Your vote: Lane 2")
    expect(page.locator("#replay-2-head .players")).to_contain_text("linear")
    page.locator("#replay-2-cite summary").click()
    expect(page.locator("#replay-2-cite")).to_contain_text("the scripted strategy linear, which is part of Parley")

    page.locator("#replay-turn input[type=range]").fill("1")
    expect(page.locator("#replay-1-transcript .turn")).to_have_count(1)
    expect(page.locator("#replay-1-figures svg .mark.seat-a")).not_to_have_count(0)
    with page.expect_download() as saved:
        page.locator("#replay-1-csv").click()
    assert saved.value.suggested_filename.endswith(".csv")
    assert Path(saved.value.path()).read_bytes().startswith(b"\xef\xbb\xbfrun_id,")
    page.locator("#replay-1-publish").click()
    expect(page.locator("#replay-1-publish")).to_have_text("Unpublish")
    page.locator("#replay-2-delete").click()
    page.locator("#replay-2-keep").click()
    page.locator("#replay-2-delete").click()
    page.locator("#replay-2-sure").click()
    expect(page.locator("#replay-2")).to_be_hidden()
    expect(page.locator("#history-table")).to_contain_text("No negotiations match")
    link = page.url
    assert "replay=" in link

    page.locator("#replay-1-fork button").first.click()
    pick(page, "replay-1-agent-a", "never gives in (hardliner)")
    page.locator("#replay-1-message textarea").fill("One price, and it is this one.")
    page.locator("#replay-1-go").click()
    expect(page.locator("#lane-1-transcript .turn").first).to_contain_text("One price")
    open_setup(page)
    expect(page.locator("#lane-1-agent-a input")).to_have_value(re.compile("hardliner"))

    page.context.clear_cookies()  # a stranger may look at a published run and change nothing
    page.set_viewport_size({"width": 320, "height": 700})  # too narrow for all tabs
    page.goto(link)
    expect(page.locator("#replay-1-board")).to_be_visible()
    expect(page.locator("#replay-1-publish")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
