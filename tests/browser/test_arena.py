"""Negotiations in the arena, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import choose_preset, open_setup, pick, start
from tests.support.fakes import fakes
from tests.support.forking import ForkedServer
from tests.support.server import Server

LOAD_MS = 200_000


def start_models(page: Page) -> None:
    """Start with the embedded model in both lanes."""
    choose_preset(page, "Who decides?")
    start(page)


def test_a_load_is_shown_while_it_goes_on(tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    endless = "endless: {type: fake, label: Endless, load_seconds: 600, size_bytes: 900000000}\n"
    server = ForkedServer(tmp_path / "home", fakes(tmp_path / "configs", endless)).start()
    try:
        page = open_page(server.url)
        start_models(page)
        expect(page.locator("#model-status .chip[data-state=loading]")).to_contain_text("Endless")
    finally:
        server.kill()


def watch_both_lanes(page: Page) -> None:
    """Record in window.seen whether both lanes were streaming at once, and the states of the strip."""
    page.evaluate(
        """() => {
          window.seen = {together: false, states: []};
          const look = () => {
            const typing = n => document.querySelector(`#lane-${n}-transcript .moving .typing`)
              || document.querySelector(`#lane-${n}-transcript .moving .thought`);
            if (typing(1) && typing(2)) window.seen.together = true;
            for (const chip of document.querySelectorAll('#model-status .chip')) {
              const state = chip.dataset.state;
              if (!window.seen.states.includes(state)) window.seen.states.push(state);
            }
          };
          look();
          const all = {subtree: true, childList: true, characterData: true, attributes: true};
          new MutationObserver(look).observe(document.body, all);
        }"""
    )


def use_a_short_scenario(page: Page) -> None:
    """Choose the night train, with two rounds."""
    pick(page, "arena-scenario", "The night train")
    expect(page.locator("#arena-lineup")).to_contain_text("Northerner")
    open_setup(page)
    page.locator("#arena-edit").click()
    own = page.locator("#arena-own textarea")
    expect(own).to_have_value(re.compile("rounds: 4"))
    own.fill(own.input_value().replace("rounds: 4", "rounds: 2").replace("title: The night", "title: The short night"))
    expect(page.locator("#arena-findings")).to_contain_text("No problems found")
    page.locator("#arena-use").click()
    expect(page.locator("#arena-scenario input")).to_have_value("The short night train (yours)")


def test_two_lanes_stream_a_real_model_and_the_run_is_found_again(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(server.url)
    watch_both_lanes(page)
    expect(page.locator("#model-status")).to_contain_text("on first use")
    use_a_short_scenario(page)
    start_models(page)
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-verdict h3")).to_contain_text(re.compile("Deal|No deal"), timeout=LOAD_MS)
        expect(page.locator(f"#lane-{lane}-transcript .turn").first).to_contain_text("Northerner")
        offers = page.locator(f"#lane-{lane}-transcript .turn .offer").count()
        expect(page.locator(f"#lane-{lane}-plot svg .mark")).to_have_count(offers)
    assert offers, "the strategy behind lane 2 makes offers, whatever the model in lane 1 decides"
    seen = page.evaluate("window.seen")
    assert seen["together"], "both lanes are written at the same time"
    states = [state for state in seen["states"] if state in ("cold", "loading", "busy")]  # a quick load goes unseen
    assert states == ["cold", "loading", "busy"] or states == ["cold", "busy"]
    expect(page.locator("#model-status .chip.resident")).to_contain_text("ready")
    link = page.url
    assert "?run=" in link
    said = page.locator("#lane-1-transcript").inner_text()
    page.close()

    server.kill()
    server.start()
    again = open_page(link)
    expect(again.locator("#lane-1-transcript .turn").first).to_be_visible()
    assert again.locator("#lane-1-transcript").inner_text() == said
    expect(again.locator("#lane-2-verdict h3")).to_contain_text(re.compile("Deal|No deal"))


def test_stop_takes_effect_and_a_reload_joins_again(endless_server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(endless_server.url)
    start_models(page)
    expect(page.locator("#model-status .chip.loading").first).to_be_visible()
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-transcript .moving .message")).to_be_visible()
    page.reload()
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-transcript .moving")).to_be_visible()
    expect(page.locator("#arena-stop button, button#arena-stop").first).to_be_enabled()
    page.locator("#arena-stop").click()
    for lane in (1, 2):
        expect(page.locator(f"#lane-{lane}-verdict h3")).to_have_text("Stopped")
    expect(page.locator("#model-status .chip.busy")).to_have_count(0)
    expect(page.locator("button#arena-start")).to_be_enabled()
    assert endless_server.stop() == 0


def test_a_killed_server_leaves_an_interrupted_run_with_its_turns(
    slow_server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(slow_server.url)
    start_models(page)
    expect(page.locator("#lane-1-transcript .turn:not(.moving)").first).to_be_visible()
    expect(page).to_have_url(re.compile("run="))
    link = page.url
    turns = page.locator("#lane-1-transcript .turn:not(.moving) .message").all_inner_texts()
    slow_server.kill()
    page.close()
    slow_server.start()
    again = open_page(link)
    expect(again.locator("#lane-1-verdict h3")).to_have_text("Interrupted")
    kept = again.locator("#lane-1-transcript .turn .message").all_inner_texts()
    assert kept[: len(turns)] == turns


def test_scenarios_change_story_plot_and_roles(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    pick(page, "arena-scenario", "A joint venture")
    expect(page.locator("#arena-lineup")).to_contain_text("Bicycle maker")
    expect(page.locator(".story p").first).to_contain_text("maker of electric bicycles")
    expect(page.locator("#lane-1-plot svg")).to_have_count(0)  # never empty space before the first offer
    open_setup(page)
    expect(page.locator("#lane-1-agent-a")).to_contain_text("Bicycle maker")
    start(page)
    expect(page.locator("#lane-1-plot svg .axis.seat-a")).to_have_text("points for Bicycle maker")


def test_history_lists_a_visitors_own_runs(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    for lane in (1, 2):
        pick(page, f"lane-{lane}-agent-a", "gives in early (conceder)")
    start(page)
    expect(page.locator("#lane-1-verdict h3")).to_contain_text("Deal")
    page.get_by_role("tab", name="History").click()
    expect(page.locator("table.history tbody tr")).to_have_count(2)
    page.get_by_role("link", name="open").first.click()
    expect(page.locator("#lane-1-verdict h3")).to_contain_text("Deal")


def test_an_opened_run_of_another_scenario_keeps_its_plot(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    pick(page, "arena-scenario", "A joint venture")
    expect(page.locator("#arena-lineup")).to_contain_text("Bicycle maker")
    for lane in (1, 2):
        pick(page, f"lane-{lane}-agent-a", "gives in early (conceder)")
    start(page)
    expect(page.locator("#lane-2-verdict h3")).to_contain_text("Deal")
    marks = page.locator("#lane-2-plot svg .mark").count()
    for _ in range(3):
        page.reload()
        expect(page.locator("#lane-2-verdict h3")).to_contain_text("Deal")
        expect(page.locator("#arena-scenario input")).to_have_value("A joint venture")
        expect(page.locator("#lane-2-plot svg .mark")).to_have_count(marks)


def test_the_scenario_is_locked_by_the_visitors_own_run_but_not_by_others(
    endless_server: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page(endless_server.url)
    start_models(page)
    expect(page.locator("#lane-1-transcript .moving")).to_be_visible()
    expect(page.locator("#arena-scenario input")).to_be_disabled()
    guest = open_page(page.url)
    guest.context.clear_cookies()
    guest.reload()
    expect(guest.locator("#lane-1-transcript .moving")).to_be_visible()
    expect(guest.locator("button#arena-stop")).to_be_disabled()
    pick(guest, "arena-scenario", "A joint venture")
    expect(guest.locator("#lane-1-transcript .moving")).to_have_count(0)
    expect(guest.locator("#arena-lineup")).to_contain_text("Bicycle maker")
    expect(page.locator("#lane-1-transcript .moving")).to_be_visible()


def test_phone_width_needs_no_sideways_scrolling(server: Server, open_page: Callable[[str], Page]) -> None:
    page = open_page(server.url)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_text_stays_text(tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    reply = (
        '{"thought":"<img src=x onerror=window.hurt=1>","action":"offer",'
        '"offer":{"price":400,"lens":"stays with the dealer","case":"stays with the dealer"},'
        '"message":"<script>window.hurt=1</script><b>bold</b> ${window.hurt=1} {{window.hurt=1}}"}'
    )
    models = f"smollm2-steady: {{type: fake, replies: ['{reply}']}}\nsmollm2-bold: {{type: fake}}\n"
    server = ForkedServer(tmp_path / "home", fakes(tmp_path / "configs", models)).start()
    try:
        page = open_page(server.url)
        start_models(page)
        expect(page.locator("#lane-1-transcript .message").first).to_contain_text("<b>bold</b>")
        page.locator("#lane-1-transcript summary").first.click()
        expect(page.locator("#lane-1-transcript .thought").first).to_contain_text("<img")
        expect(page.locator("#lane-1-verdict h3")).to_be_visible()
        assert page.evaluate("window.hurt") is None
    finally:
        server.stop()
