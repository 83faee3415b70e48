"""Text stays text in every template and element, whatever it contains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

import ui
from ui.kit.templates import element, render

TEMPLATES = sorted((Path(ui.__file__).parent / "templates").rglob("*.html"))


def test_markup_is_escaped_in_content_and_attributes() -> None:
    assert element("p", "", "<i>", title='" onload="x') == '<p title="&#34; onload=&#34;x">&lt;i&gt;</p>'
    assert render("titled", title="<b>", about=Markup("<i>x</i>")) == "<h2>&lt;b&gt;</h2><p><i>x</i></p>"


def test_elements_nest() -> None:
    assert element("svg", "plot", element("text", "", "a & b", x=1.5)) == (
        '<svg class="plot"><text x="1.5">a &amp; b</text></svg>'
    )


@pytest.mark.parametrize("character", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_text_cannot_reverse_the_direction_of_its_surroundings(character: str) -> None:
    assert element("p", "", f"a{character}b", title=character) == '<p title="\ufffd">a\ufffdb</p>'
    assert render("empty", words=f"a{character}b") == '<p class="empty">a\ufffdb</p>'


def test_other_scripts_are_left_alone() -> None:
    assert render("empty", words="שלום مرحبا 你好 🤝") == '<p class="empty">שלום مرحبا 你好 🤝</p>'


def test_a_missing_variable_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("empty")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_switches_escaping_off(template: Path) -> None:
    # `xmlattr` and `e` return HTML, in which direction characters would not be replaced.
    assert not re.search(r"\|\s*(safe|xmlattr|e|escape|forceescape)\b|autoescape", template.read_text("utf-8"))
