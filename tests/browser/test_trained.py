"""The program as it comes, with the model that was trained to bargain, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import start
from tests.support.server import Server

TRAINED = "Parley 135M"


def test_a_first_visit_sees_what_practice_does_and_start_plays_it(
    shipped_server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(shipped_server.url)
    expect(page.locator("#arena-presets [aria-pressed=true]")).to_contain_text("What does practice do?")
    expect(page.locator("#arena-presets")).to_contain_text("made-up negotiations")
    expect(page.locator("#arena-banner")).to_contain_text("Recording")
    expect(page.locator("#lane-1-head")).to_contain_text("SmolLM2 135M")
    expect(page.locator("#lane-2-head")).to_contain_text(TRAINED)
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-transcript .turn").first).to_be_visible()
    start(page)
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-transcript .turn:not(.moving)").first).to_be_visible()
    expect(page.locator("#lane-2-head")).to_contain_text(TRAINED)
    expect(page.locator("#arena-banner")).not_to_contain_text("Recording")
    page.locator("#arena-stop").click()
    for lane in (1, 2):  # one may have come to its end
        expect(page.locator(f"#lane-{lane}-verdict h3")).to_be_visible()


def test_people_play_against_the_trained_model_unless_they_choose_another(
    shipped_server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(shipped_server.url)
    page.get_by_role("tab", name="Play").click()
    expect(page.locator("#play-opponent input")).to_have_value(re.compile(f"^{TRAINED}"))
