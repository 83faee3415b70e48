"""The Models tab, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.forking import ForkedServer

MODELS = """
quick: {type: fake, label: Quick, size_bytes: 900000000, license: MIT, size: 1B}
broken: {type: fake, label: Broken, fail_loads: 99}
"""


def test_the_operator_loads_a_model_and_everyone_sees_the_timeline(
    tmp_path: Path, open_page: Callable[[str], Page]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "models.yaml").write_text(MODELS)
    server = ForkedServer(tmp_path / "home", tmp_path / "configs", PARLEY_OPERATOR_PASSWORD="sesame").start()
    try:
        page = open_page(server.url)
        page.locator("#model-status [data-tab=models]").click()
        expect(page.locator("#models-table tbody tr")).to_have_count(2)
        expect(page.locator("#models-timeline")).to_contain_text("Nothing was loaded")
        expect(page.locator("#operator-load")).to_have_count(0)
        password = page.locator("#operator-password input")
        password.fill("guess")
        page.locator("#operator-enter").click()
        expect(page.get_by_text("Wrong password.")).to_be_visible()
        password.fill("sesame")
        password.press("Enter")
        page.locator("#operator-load").click()
        expect(page.locator("#models-table [data-model=quick]")).to_contain_text("ready")
        expect(page.locator("#models-timeline svg .span.load")).to_have_count(1)
        page.locator("#operator-pin").click()
        expect(page.locator("#models-table [data-model=quick]")).to_contain_text("pinned")
        page.locator("#operator-unpin").click()
        page.locator("#operator-unload").click()
        expect(page.locator("#models-table [data-model=quick]")).to_contain_text("not loaded")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        server.stop()
