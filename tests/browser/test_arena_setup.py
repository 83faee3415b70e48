"""Setting up, comparing and reading in the arena, in a real browser. Scripted agents, one server for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import choose_preset, open_setup, pick, start
from tests.support.server import Server

ENDED = re.compile("Deal|No deal")


def play_scripts(page: Page, first: str = "conceder", second: str = "linear") -> None:
    for lane, name in ((1, first), (2, second)):
        pick(page, f"lane-{lane}-agent-a", name)
    start(page)
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-verdict h3")).to_have_text(ENDED)


def test_a_first_visit_starts_from_the_first_preset(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    expect(page.locator("#arena-presets [aria-pressed=true]")).to_contain_text("Who gives in first?")
    lanes = page.locator("#arena-lineup p")
    expect(lanes.first).to_contain_text("boulware")
    expect(lanes.last).to_contain_text("conceder")
    choose_preset(page, "Who decides?")  # the embedded model is one choice away
    expect(lanes.first).not_to_contain_text("speaks for")
    expect(lanes.last).to_contain_text("speaks for boulware")
    page.locator("#arena-presets summary").click()
    against = page.locator("#arena-presets button", has_text="Against ")
    expect(against).to_be_disabled()
    expect(against).to_contain_text("must be downloaded first, and this server is offline")
    page.locator("#arena-presets summary").click()
    open_setup(page)
    page.locator(".unusable summary").click()
    expect(page.locator(".unusable li", has_text="Llama 3.2 1B")).to_contain_text("this server is offline")
    page.locator("#lane-1-agent-a input").click()
    options = page.locator("#lane-1-agent-a [role=option]")
    expect(options.first).to_contain_text("ready here · included with Parley")
    expect(options.filter(has_text="download")).to_have_count(0)


def test_cards_swap_and_settings_survive_a_reload(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    open_setup(page)
    page.locator("#arena-cards").get_by_role("button", name="The river treaty").click()
    expect(page.locator("#arena-scenario input")).to_have_value("The river treaty")
    pick(page, "lane-1-agent-b", "conceder")
    expect(page.locator("#lane-1-setup .about").nth(1)).to_contain_text("gives in early")
    page.locator("#arena-swap").click()
    expect(page.locator("#lane-1-agent-a input")).to_have_value("The Pleaser — gives in early (conceder)")
    expect(page.locator("#lane-1-setup .about").first).to_contain_text("gives in early")
    page.locator("#arena-seed input").fill("77")
    page.locator("#arena-suspense input").check()
    page.wait_for_function(  # the stored setup is encrypted, so wait until it stops changing
        """() => {
          const kept = localStorage.getItem('parley-arena');
          if (window.kept !== kept) [window.kept, window.since] = [kept, performance.now()];
          return performance.now() - window.since > 2000;
        }"""
    )
    page.reload()
    expect(page.locator("#arena-scenario input")).to_have_value("The river treaty")
    open_setup(page)
    expect(page.locator("#lane-1-agent-a input")).to_have_value("The Pleaser — gives in early (conceder)")
    expect(page.locator("#arena-seed input")).to_have_value("77")
    expect(page.locator("#arena-suspense input")).to_be_checked()


def test_a_visitors_scenario_is_checked_while_it_is_written_and_can_be_negotiated(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    open_setup(page)
    page.locator("#arena-edit").click()
    own = page.locator("#arena-own textarea")
    expect(page.locator("#arena-findings")).to_contain_text("No problems found")
    text = own.input_value()
    own.fill(
        text.replace(
            "weights: {price: 0.7, lens: 0.25, case: 0.05}", "weights: {price: 0.2, lens: 0.25, case: 0.05}", 1
        )
    )
    expect(page.locator("#arena-findings")).to_contain_text("they add up to 0.5")
    own.fill(text.replace("title: A camera at the flea market", "title: <b>My</b> camera"))
    expect(page.locator("#arena-findings svg")).to_be_visible()
    page.locator("#arena-use").click()
    expect(page.locator("#arena-scenario input")).to_have_value("<b>My</b> camera (yours)")
    play_scripts(page)
    page.reload()
    expect(page.locator("#lane-1-verdict h3")).to_have_text(ENDED)
    expect(page.locator("#arena-scenario input")).to_have_value("<b>My</b> camera (yours)")


def test_pairs_report_their_certainty_and_a_rerun_repeats(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    pick(page, "arena-scenario", "A joint venture")
    expect(page.locator("#arena-lineup")).to_contain_text("Bicycle maker")
    play_scripts(page)
    transcript = page.locator("#lane-1-transcript")
    said, turns, link = transcript.text_content() or "", transcript.locator(".turn").count(), page.url
    expect(page.locator("#arena-link")).to_contain_text("repeats word for word")
    page.locator("#pairs-run").click()
    expect(page.locator("#pairs-result")).to_contain_text("4 pairs")
    expect(page.locator("#pairs-run")).to_be_enabled()
    page.locator("#pairs-run").click()
    expect(page.locator("#pairs-result")).to_contain_text("8 pairs")
    start(page, "arena-again")
    assert page.url != link
    again = page.url.partition("run=")[2]
    expect(transcript.locator(f'.turn[data-turn^="{again}"]')).to_have_count(turns)
    expect(transcript).to_have_text(said)


def test_no_serious_accessibility_violations(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    play_scripts(page)
    open_setup(page)
    page.locator("#arena-edit").click()
    expect(page.locator("#arena-findings svg")).to_be_visible()
    page.locator("#lane-1-setup .lane-settings button").first.click()
    expect(page.get_by_label("Temperature").first).to_be_visible()
    of_colours = {"runOnly": ["color-contrast"]}
    for colours, rules in (("light", {}), ("dark", of_colours)):
        page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
        expect(page.locator("body.dark")).to_have_count(1 if colours == "dark" else 0)
        for tab in ("arena", "play", "tournament", "history", "models"):
            page.locator(f"#tab-{tab}-button").click()
            expect(page.locator(f"#tab-{tab}")).to_be_visible()
            found = Axe().run(page, options=rules).response["violations"]
            serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
            assert [(colours, tab, rule["id"], [node["html"] for node in rule["nodes"]]) for rule in serious] == []


def test_the_strip_and_the_newest_turn_stay_visible(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    play_scripts(page)
    page.evaluate("scrollTo(0, 900)")
    assert page.locator("#model-status").evaluate("part => part.getBoundingClientRect().top") == 0
    last = page.locator("#lane-1-transcript .turn").last
    inside = "part => part.getBoundingClientRect().bottom <= part.closest('.transcript').getBoundingClientRect().bottom"
    assert last.evaluate(inside)
    # Labels of pick lists have their own layer, which must pass below the sticky strip.
    under = """label => { const strip = document.getElementById('model-status').getBoundingClientRect();
      scrollBy({top: label.getBoundingClientRect().top - strip.top - 4, behavior: 'instant'});
      const place = label.getBoundingClientRect();
      return !label.contains(document.elementFromPoint(place.left + 5, place.top + 5)); }"""
    assert page.locator("#lane-1-agent-b [data-testid=block-info]").evaluate(under)


def test_two_visitors_with_four_lanes_at_once(server: Server, browser: Browser) -> None:
    contexts = [browser.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    try:
        for page, scenario in zip(pages, ("A joint venture", "The river treaty"), strict=True):
            page.goto(server.url)
            expect(page.locator("#arena-link [data-opened]")).to_be_attached()
            pick(page, "arena-scenario", scenario)
            for lane, name in ((1, "conceder"), (2, "linear")):
                pick(page, f"lane-{lane}-agent-a", name)
        for page in pages:
            start(page)
        for page in pages:
            for lane in (1, 2):
                expect(page.locator(f"#lane-{lane}-verdict h3")).to_have_text(ENDED)
        assert pages[0].url != pages[1].url
        expect(pages[0].locator("#lane-1-transcript")).to_contain_text("Start-up")
        expect(pages[1].locator("#lane-1-transcript")).not_to_contain_text("Start-up")
    finally:
        for context in contexts:
            context.close()


def test_the_browser_reads_an_uploaded_file_and_its_problems_are_shown_as_text(
    server: Server, open_page: Callable[[str], Page], tmp_path: Path
) -> None:
    page = open_page(server.url)
    open_setup(page)
    page.locator("#arena-edit").click()
    hostile = tmp_path / "hostile.yaml"
    hostile.write_text("'<img src=x onerror=window.hurt=1>': <b>x</b>\n")
    page.locator("#arena-upload input").set_input_files(hostile)
    expect(page.locator("#arena-own textarea")).to_have_value(hostile.read_text())
    expect(page.locator("#arena-findings")).to_contain_text("<img src=x")
    page.locator("#arena-use").click()
    expect(page.locator(".toast-body")).to_contain_text("title")
    assert page.evaluate("window.hurt") is None
    assert page.locator(".toast-body img[onerror]").count() == 0
    hostile.write_bytes(b"\xff\xfe\x00")
    page.locator("#arena-upload input").set_input_files(hostile)
    expect(page.locator(".toast-body").last).to_contain_text("hostile.yaml is not a UTF-8 text file")
