"""A real Chromium and the real program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.fakes import ALWAYS, ENDLESS, SLOW_FAKES, fakes, untrained
from tests.support.forking import ForkedServer
from tests.support.server import Server

PATIENCE_MS = 90_000
"""How long to wait for the page on a busy machine."""


@pytest.fixture(scope="package")  # not the session: other tests need the event loop that Playwright occupies
def browser() -> Iterator[Browser]:
    installed = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=installed,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext) -> Callable[[str], Page]:
    """Return a function that opens a page and waits for its first status tick."""

    def open_at(url: str) -> Page:
        page = context.new_page()
        with page.expect_response(
            lambda response: "/gradio_api/" in response.url and response.request.method == "POST"
        ):
            page.goto(url)
        expect(page.locator("#arena-start")).to_be_visible()
        page.wait_for_load_state("load")
        expect(page.locator("#arena-link :is([data-opened], [data-run])")).to_be_attached()  # the set-up is restored
        return page

    return open_at


@pytest.fixture(scope="package")
def server(real_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the program as it comes, but without the trained model, so that Start plays scripts."""
    server = ForkedServer(real_home, untrained(tmp_path_factory.mktemp("configs")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shipped_server(tmp_path_factory: pytest.TempPathFactory, real_home: Path) -> Iterator[Server]:
    """Start the program exactly as it comes."""
    home = tmp_path_factory.mktemp("shipped")
    (home / "cache").symlink_to((real_home / "cache").resolve())
    server = Server(home).start()
    yield server
    server.stop()


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Server]:
    """Start a server with two models that load and write slowly. It is killed afterwards, whatever runs."""
    server = ForkedServer(tmp_path / "home", fakes(tmp_path / "configs", SLOW_FAKES.format(ALWAYS))).start()
    yield server
    server.kill()


@pytest.fixture
def endless_server(tmp_path: Path) -> Iterator[Server]:
    """Start a server with two models that are still writing whenever the browser looks."""
    server = ForkedServer(tmp_path / "home", fakes(tmp_path / "configs", SLOW_FAKES.format(ENDLESS))).start()
    yield server
    server.kill()
