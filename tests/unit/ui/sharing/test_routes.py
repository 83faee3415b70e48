"""The addresses that serve cards and transcripts, and the previews of links, whoever asks for them."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from negotiation.app.settings import SHIPPED
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, load_scenario
from tests.support.finished import finished, two_lanes
from tests.support.page import Served, served
from ui.sharing import text
from ui.sharing.routes import DRAWN, DRAWN_OF_ALL, KEPT, WINDOW_SECONDS, Cards, CardsBusy
from ui.sharing.subject import Subject, subject_of

NAMES = ("boulware", "conceder", "holds out", "gives in early")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(scope="module")
def camera() -> Scenario:
    return load_scenario(SHIPPED / "scenarios" / "used_camera.yaml")


@pytest.fixture(scope="module")
def lanes(page: Served, camera: Scenario) -> list[Run]:
    runs = two_lanes(camera)
    for run in runs:
        page.parley.store.record(run)
    return runs


def tags(page: Served, query: str, **headers: str) -> dict[str, str]:
    """The Open Graph and Twitter tags of the page at an address."""
    head = page.client.get(f"/{query}", headers=headers).text.partition("<script")[0]
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)" />', head)
    assert len({key for key, _ in found}) == len(found), "a tag is there twice"
    assert "gradio" not in " ".join(value for _, value in found).lower()
    return {key: html.unescape(value) for key, value in found}


# -- pictures and transcripts ----------------------------------------------------------------------------------


def test_a_card_is_a_picture_of_both_lanes_whichever_is_asked_for(page: Served, lanes: list[Run]) -> None:
    first, second = (page.client.get(f"/card/{run.run_id}.png") for run in lanes)
    assert first.status_code == 200
    assert first.headers["content-type"] == "image/png"
    assert first.content.startswith(b"\x89PNG")
    assert first.content == second.content
    assert first.headers["x-robots-tag"] == "noindex", "the link of a private run is its only protection"
    assert first.headers["cache-control"].startswith("private")


def test_a_card_and_a_transcript_of_a_blind_link_hide_who_played(page: Served, lanes: list[Run]) -> None:
    told = page.client.get(f"/transcript/{lanes[0].run_id}.txt").text
    assert all(name in told for name in NAMES)
    blind = page.client.get(f"/transcript/{lanes[0].run_id}.txt?blind=1")
    assert blind.headers["content-type"].startswith("text/plain")
    assert not [name for name in NAMES if name in blind.text]
    assert f"/?run={lanes[0].run_id}&blind=1" in blind.text
    cards = {page.client.get(f"/card/{lanes[0].run_id}.png{query}").content for query in ("", "?blind=1")}
    assert len(cards) == 2


@pytest.mark.parametrize("run_id", ["nothing", "x" * 300, "..", "ünïcode", "' OR 1=1 --", "<b>"])
def test_a_link_that_leads_nowhere_is_answered_politely(page: Served, run_id: str) -> None:
    card = page.client.get(f"/card/{run_id}.png")
    assert (card.status_code, card.headers["content-type"]) == (404, "image/png")
    told = page.client.get(f"/transcript/{run_id}.txt")
    assert (told.status_code, told.text) == (404, f"{text.UNKNOWN}. {text.UNKNOWN_ABOUT}\n")
    about = tags(page, f"?run={run_id}")
    assert about["og:title"] == text.UNKNOWN
    assert about["robots"] == "noindex"


def test_a_published_lane_does_not_give_its_private_sibling_away(page: Served, camera: Scenario) -> None:
    first, second = (replace(run, owner="someone") for run in two_lanes(camera))
    for run in (replace(first, published=True), second):
        page.parley.store.record(run)
    told = page.client.get(f"/transcript/{first.run_id}.txt")
    assert "Lane 2" not in told.text
    assert "x-robots-tag" not in told.headers
    assert second.run_id not in page.client.get(f"/?run={first.run_id}").text.partition("<script")[0]


def test_pictures_are_kept_and_limited(camera: Scenario) -> None:
    subject, now, drawn = subject_of([finished(camera)], {}), [0.0], list[str]()

    def draw(subject: Subject, address: str) -> bytes:
        drawn.append(address)
        return address.encode()

    async def ask(cards: Cards, number: int, asked_by: str = "here") -> bytes:
        return await cards.png(subject, f"address {number}", asked_by)

    async def check() -> None:
        cards = Cards(draw, lambda: now[0])
        together = await asyncio.gather(*(ask(cards, 0) for _ in range(5)))
        assert set(together) == {b"address 0"}
        assert drawn == ["address 0"], "five at once cause one drawing"
        for number in range(1, DRAWN - 4):
            await ask(cards, number)
        with pytest.raises(CardsBusy):
            await ask(cards, 1000)
        assert await ask(cards, 1) == b"address 1", "what is kept costs nothing"
        for number in range(DRAWN, DRAWN_OF_ALL):
            await ask(cards, number, asked_by=f"network {number}")
        with pytest.raises(CardsBusy):
            await ask(cards, 1001, asked_by="somebody else")
        now[0] += WINDOW_SECONDS + 1
        await ask(cards, 1001)
        assert len(cards._kept) == KEPT

    asyncio.run(check())


# -- previews --------------------------------------------------------------------------------------------------


def test_a_shared_link_is_previewed_with_its_result_and_card(page: Served, lanes: list[Run]) -> None:
    for query in (f"?run={lanes[0].run_id}", f"?replay={lanes[1].run_id}"):
        about = tags(page, query)
        assert about["og:title"] == "A camera at the flea market: Lane 1 got the Dealer €80 more (48 points to 34)."
        assert about["og:image"] == f"http://parley.test/card/{lanes[0].run_id}.png"
        assert about["og:url"] == f"http://parley.test/?run={lanes[0].run_id}"
        assert about["twitter:card"] == "summary_large_image"
        assert about["robots"] == "noindex"
        assert page.client.get(about["og:image"]).status_code == 200


def test_the_preview_of_a_blind_link_hides_who_played(page: Served, lanes: list[Run]) -> None:
    about = tags(page, f"?run={lanes[0].run_id}&blind=1")
    assert not [name for name in (*NAMES, "€80") if name in " ".join(about.values())]
    assert about["og:image"].endswith("?blind=1")


def test_the_page_itself_is_previewed_as_parley(page: Served) -> None:
    about = tags(page, "")
    assert about["og:title"] == "Parley"
    assert "robots" not in about
    assert page.client.get(about["og:image"]).headers["content-type"] == "image/png"


def test_what_visitors_write_stays_inside_its_tag(page: Served, camera: Scenario) -> None:
    hostile = '"/><script>hurt()</script><meta name="twitter:x" content="'
    run = finished(camera.model_copy(update={"title": hostile}))
    page.parley.store.record(run)
    body = page.client.get(f"/?run={run.run_id}").text
    assert "<script>hurt()" not in body.partition("window.gradio_config")[0]
    assert tags(page, f"?run={run.run_id}")["og:title"].startswith(hostile)


@pytest.mark.parametrize("host", ['"><script>hurt()</script>', "a b", "x" * 300, "evil.example/path?"])
def test_a_host_that_is_no_host_is_not_repeated(page: Served, host: str) -> None:
    about = tags(page, "", **{"x-forwarded-host": host})
    assert about["og:image"] == "/card.png"


def test_behind_a_proxy_the_public_address_is_named(page: Served) -> None:
    about = tags(page, "", **{"x-forwarded-host": "parley.example:8443", "x-forwarded-proto": "https"})
    assert about["og:url"] == "https://parley.example:8443/"
