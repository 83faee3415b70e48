"""One scale of five sizes of text, for the page's own styles and for Gradio's components."""

from __future__ import annotations

import re

from ui.kit.theme import STYLES, TEXT

SIZES = {"xs", "s", "m", "l", "xl"}
SHEETS = {path.name: path.read_text(encoding="utf-8") for path in STYLES}


def test_there_are_five_sizes_of_text() -> None:
    assert set(re.findall(r"--size-(\w+):", "".join(SHEETS.values()))) == SIZES


def test_every_style_uses_one_of_them() -> None:
    for name, sheet in SHEETS.items():
        used = re.findall(r"font-size:\s*([^;}]+)", sheet)
        assert not [size for size in used if size.strip() not in {f"var(--size-{size})" for size in SIZES}], name
        assert set(re.findall(r"[^-\w]font:\s*([^;}]+)", sheet)) <= {"inherit"}, name


def test_gradios_components_use_them_too() -> None:
    given = {getattr(TEXT, name) for name in ("xxs", "xs", "sm", "md", "lg", "xl", "xxl")}
    assert given == {f"var(--size-{size})" for size in SIZES}
