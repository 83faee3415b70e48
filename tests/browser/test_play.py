"""A person negotiates, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import pick
from tests.support.server import Server


def test_a_person_plays_against_a_script_and_sees_the_other_side_afterwards(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    page.get_by_role("tab", name="Play").click()
    field = page.locator("#play-scenario input")
    field.fill("A joint venture")
    field.press("Enter")
    expect(page.locator("#play-own")).to_contain_text("Your role: Bicycle maker")
    expect(page.locator("#play-own")).not_to_contain_text("patents")
    page.locator("#play-begin").click()
    builder = page.locator("#play-builder")
    offer = builder.locator("[data-do=offer]")
    expect(offer).to_be_enabled()
    expect(builder.locator("[data-do=accept]")).to_be_disabled()
    before = page.locator("#play-worth b").inner_text()
    builder.locator("select").first.select_option(index=0)
    expect(page.locator("#play-worth b")).not_to_have_text(before)
    builder.locator("[data-message]").fill("<b>Let us</b> meet half way.")
    offer.click()
    taken = page.locator("#play-transcript .turn:not(.moving)")
    expect(taken).to_have_count(2)
    expect(taken.first).to_contain_text("<b>Let us</b> meet half way.")
    expect(page.locator("#play-transcript .worth .seat-b")).to_have_count(0)
    expect(builder.locator("[data-message]")).to_have_value("")

    page.reload()  # rejoins in the same tab
    expect(taken).to_have_count(2)
    expect(offer).to_be_enabled()
    builder.locator("[data-do=accept]").click()
    expect(page.locator("#play-table h3")).to_contain_text("Deal")
    reveal = page.locator("#play-reveal")
    expect(reveal).to_contain_text("patents")
    expect(reveal.locator("svg.plot")).to_have_count(2)
    expect(reveal.locator("section").last).to_contain_text(re.compile("same opponent: .*boulware"))
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


SIZES = [{"width": 1440, "height": 900}, {"width": 390, "height": 844}]


@pytest.mark.parametrize("size", SIZES, ids=["desktop", "phone"])
def test_the_form_is_in_view_and_focus_is_kept_from_the_start_to_the_last_word(
    server: Server, open_page: Callable[[str], Page], size: dict[str, int]
) -> None:
    page = open_page(server.url)
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.evaluate("openTab('play')")
    pick(page, "play-scenario", "A camera at the flea market")
    page.locator("#play-seat").get_by_text("Film student").click()
    expect(page.locator("#play-own")).to_contain_text("you have the last word")
    page.locator("#play-begin").focus()
    page.keyboard.press("Enter")
    offer, accept = (page.locator(f"#play-builder [data-do={name}]") for name in ("offer", "accept"))
    expect(offer).to_be_enabled()
    expect(page.locator("#play-builder [data-message]")).to_be_focused()
    page.wait_for_function(
        """() => { const form = document.querySelector('#play-builder form').getBoundingClientRect();
          const strip = document.querySelector('#model-status').getBoundingClientRect();
          return strip.bottom <= form.top && form.bottom <= innerHeight; }"""
    )
    warning, turns = page.locator(".last-word"), page.locator("#play-transcript .turn:not(.moving)")
    for made in range(7):  # of eight rounds
        offer.focus()
        page.keyboard.press("Enter")
        expect(turns).to_have_count(2 * made + 3)
        assert page.evaluate("document.activeElement.closest('#play-builder') !== null"), f"after move {made + 1}"
    expect(warning).to_have_text("Your last word: accept, or there is no deal.")
    expect(offer).to_be_disabled()
    accept.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#play-reveal .coaching")).to_contain_text("more than you got in the end")
    expect(page.locator("#play-begin")).to_be_focused()
    expect(page.locator("#play-reveal .share button")).to_have_count(3)
