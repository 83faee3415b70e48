"""A tournament in a real browser: set up, watched, rejoined after a reload, inspected, exported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.forking import ForkedServer

CUP = "title: Small cup\nbaselines: [boulware, conceder, micro]\nscenarios: [company_car, night_train]\npairs: 2\n"


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Tournament").click()


def test_a_tournament_is_run_rejoined_inspected_and_exported(tmp_path: Path, open_page: Callable[[str], Page]) -> None:
    folder = tmp_path / "configs" / "tournaments"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(CUP)
    server = ForkedServer(tmp_path / "home", tmp_path / "configs").start()
    try:
        page = open_page(server.url)
        open_tab(page)
        expect(page.locator("#cup-progress")).to_contain_text("No tournament has been run yet")
        file = page.locator("#cup-file input")
        file.fill("small")
        file.press("Enter")
        expect(page.locator("#cup-size")).to_contain_text("24 negotiations")
        page.locator("#cup-run").click()
        expect(page.locator("#cup-shown input")).to_have_value(re.compile("Small cup"))
        page.reload()
        expect(page.locator("#arena-start")).to_be_visible()
        open_tab(page)
        expect(page.locator("#cup-progress [data-status=done]")).to_contain_text("24 of 24")
        expect(page.locator("#cup-board tbody tr")).to_have_count(6)
        page.locator("#cup-places button").first.click()
        expect(page.locator("#cup-runs a")).to_have_count(8)
        link = page.locator("#cup-runs a").first.get_attribute("href")
        with page.expect_download() as download:
            page.locator("#cup-json").click()
        exported = json.loads(Path(download.value.path()).read_text())
        assert exported["done"] == 24
        assert {row["agent"] for row in exported["standings"]} == {"boulware", "conceder", "micro"}
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        run = open_page(f"{server.url}/{link}")
        expect(run.locator("#lane-1-verdict h3")).to_contain_text(re.compile("Deal|No deal"))
    finally:
        assert server.stop() == 0
