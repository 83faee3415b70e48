"""Whatever a text holds, it stays text."""

from __future__ import annotations

import pytest

from ui.kit.html import esc, tag


def test_markup_is_escaped_in_content_and_attributes() -> None:
    assert esc("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"
    assert tag("p", esc("<i>"), title='" onload="x') == '<p title="&quot; onload=&quot;x">&lt;i&gt;</p>'


@pytest.mark.parametrize("character", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_text_cannot_turn_the_direction_of_what_follows(character: str) -> None:
    assert esc(f"a{character}b") == "a\ufffdb"


def test_other_scripts_are_left_alone() -> None:
    assert esc("שלום مرحبا 你好 🤝") == "שלום مرحبا 你好 🤝"
