"""The share card: its size, what fits, what it shows of a run, and what it cannot show before the vote."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image, ImageFont

from negotiation.agents.config import AgentConfig
from negotiation.app.settings import SHIPPED
from negotiation.scenario.model import Scenario, load_scenario
from tests.support.finished import finished, two_lanes
from ui.sharing import fonts
from ui.sharing.canvas import clean, fitted, width_of, wrapped
from ui.sharing.card import GOLD, HEIGHT, SIDE, WIDTH, card_png, plain_png
from ui.sharing.fonts import font_of, split
from ui.sharing.subject import subject_of

ADDRESS = "parley.example/?run=1"


@pytest.fixture(scope="module")
def camera() -> Scenario:
    return load_scenario(SHIPPED / "scenarios" / "used_camera.yaml")


def drawn(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.size) == ("PNG", (WIDTH, HEIGHT))
    assert len(png) < 300_000, "chat services refuse large pictures"
    return picture.convert("RGB")


def has(picture: Image.Image, colour: str, near: int = 12) -> int:
    """The number of pixels of nearly this colour."""
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    found = 0
    for count, pixel in picture.getcolors(WIDTH * HEIGHT) or ():
        assert isinstance(pixel, tuple)
        found += count if max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) <= near else 0
    return found


def test_a_card_shows_both_sides_paths_and_the_deal(camera: Scenario) -> None:
    for runs in ([finished(camera)], two_lanes(camera)):
        picture = drawn(card_png(subject_of(runs, {}), ADDRESS))
        assert min(has(picture, SIDE["a"]), has(picture, SIDE["b"])) > 500
        assert has(picture, GOLD) > 50
    no_deal = drawn(card_png(subject_of([finished(camera, "hardliner", "hardliner")], {}), ADDRESS))
    assert has(no_deal, GOLD) == 0


def test_a_card_drawn_before_the_vote_is_the_same_whoever_played(camera: Scenario) -> None:
    runs = two_lanes(camera)
    others = [
        replace(run, agents={"a": AgentConfig("linear"), "b": AgentConfig("micro")}, run_id=run.run_id) for run in runs
    ]
    first, second = (card_png(subject_of(each, {}, hidden=True), ADDRESS) for each in (runs, others))
    assert first == second
    picture = drawn(first)
    assert has(picture, GOLD) == 0, "the path of offers would tell what they are worth"


def test_long_and_foreign_words_stay_on_the_card(camera: Scenario) -> None:
    long = "Überlänge " * 7 + "…"
    roles = {
        seat: role.model_copy(update={"name": f"{role.name} 東京 مرحبا {'W' * 15}"})
        for seat, role in camera.roles.items()
    }
    scenario = camera.model_copy(update={"title": long, "roles": roles})
    names = {"conceder": "W" * 400, "boulware": "a " * 300}
    drawn(card_png(subject_of(two_lanes(scenario, second="linear"), names), ADDRESS * 20))
    drawn(plain_png(long, long * 9, ADDRESS))


def test_text_is_cut_where_it_must_be_and_never_elsewhere() -> None:
    assert fitted("short", 28, 400) == "short"
    cut = fitted("a rather long sentence that does not fit", 28, 200)
    assert cut.endswith("…")
    assert width_of(cut, 28) <= 200
    lines = wrapped("one two three four five six seven eight nine ten", 28, 150, 3)
    assert len(lines) == 3
    assert all(width_of(line, 28) <= 150 for line in lines)
    assert lines[-1].endswith("…")
    assert wrapped("one two", 28, 400, 3) == ["one two"]
    assert clean("a\n b\u202ec\x00") == "a b\ufffdc"


def test_the_signs_of_currencies_and_accents_are_there() -> None:
    for bold in (False, True):
        for char in "€£¥–’“…é→":
            assert fonts._has(font_of(char, 28, bold), char), char


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which no font file is found."""

    def clear() -> None:
        for cached in (fonts.fonts, fonts.font_of):
            cached.cache_clear()

    clear()
    monkeypatch.setattr(fonts, "_font", lambda name, size: None)
    yield
    monkeypatch.undo()
    clear()


@pytest.mark.usefixtures("no_fonts")
def test_a_card_is_drawn_without_any_font_file(camera: Scenario) -> None:
    ((words, font),) = split("Lane 1", 28, bold=False)
    assert words == "Lane 1"
    assert isinstance(font, ImageFont.FreeTypeFont | ImageFont.ImageFont)
    drawn(card_png(subject_of([finished(camera)], {}), ADDRESS))
