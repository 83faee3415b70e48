"""What the page weighs and how often it asks, in a real browser. Sizes and counts only: benchmarks.page has times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, expect

from benchmarks.page import BARS
from benchmarks.support.chromium import Meter
from tests.support.server import Server

TABS = ("play", "tournament", "history", "models", "arena")


@pytest.fixture
def meter(server: Server, context: BrowserContext) -> Iterator[Meter]:
    """Return a page that has been opened, restored, and has asked for the status of the models."""
    meter = Meter.open(context)
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    meter.page.on("console", note)
    meter.page.on("pageerror", lambda error: errors.append(str(error)))
    with meter.page.expect_response("**/status?*"):
        meter.page.goto(server.url)
    expect(meter.page.locator("#arena-link [data-opened]")).to_be_attached()
    yield meter
    assert errors == []


def count(page: Page, answers: int) -> list[str]:
    """Return the paths that a page asks for until it has got some answers about the status of the models."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].partition("?")[0]))
    for _ in range(answers):
        with page.expect_response("**/status?*"):
            pass
    return asked


def test_a_first_visit_is_light(meter: Meter) -> None:
    found, most = meter.traffic(), BARS["first_visit"]
    assert 10_000 < found["bytes"] < most["bytes"]
    assert found["requests"] < most["requests"]
    assert found["gradio_requests"] > 10, "its scripts are told apart"


def test_the_page_and_its_data_are_compressed_and_its_scripts_are_cached(
    server: Server, context: BrowserContext
) -> None:
    page = context.new_page()
    answers: dict[str, dict[str, str]] = {}

    def note(answer: Response) -> None:
        answers[answer.url.removeprefix(server.url)] = answer.headers

    page.on("response", note)
    page.goto(server.url)
    expect(page.locator("#arena-link [data-opened]")).to_be_attached()
    assert answers["/"]["content-encoding"] == "br"
    streams = [head for path, head in answers.items() if path.startswith("/gradio_api/queue/data")]
    assert streams
    assert {head["content-encoding"] for head in streams} == {"gzip"}
    cached = [head.get("cache-control", "") for path, head in answers.items() if path.startswith("/assets/")]
    assert len(cached) > 10
    assert all("immutable" in each for each in cached)


def test_later_first_visits_ask_for_all_scripts_at_once_and_for_none_twice(
    server: Server, browser: Browser, context: BrowserContext
) -> None:
    def note(asked: list[str], request: Request) -> None:
        asked.append(request.url.removeprefix(server.url))

    for visit in (context, later := browser.new_context()):
        page = visit.new_page()
        asked: list[str] = []
        page.on("request", partial(note, asked))
        page.goto(server.url)
        expect(page.locator("#arena-link [data-opened]")).to_be_attached()
        scripts = [path for path in asked if path.startswith("/assets/") and path.endswith(".js")]
    named = re.findall(r'<link rel="modulepreload" href="\.([^"]+)">', later.request.get(server.url).text())
    later.close()
    assert len(named) > 20
    assert set(scripts) == set(named)
    assert len(scripts) == len(set(scripts))


def test_an_idle_page_only_asks_for_the_status_whatever_tabs_were_open(meter: Meter) -> None:
    page = meter.page
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab}")).to_be_visible()
    count(page, 2)  # what opening them asks for
    asked = count(page, 3)
    assert set(asked) == {"status"}, asked
