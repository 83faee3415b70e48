"""docs/architecture.md names every module, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE)


def paths(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in (ROOT / room).rglob("*.py")]


def test_every_module_has_its_place_on_the_page() -> None:
    modules = {path.name for path in paths("manager", "negotiation", "ui") if "migrations" not in path.parts}
    named = {Path(name).name for name in NAMED}
    assert {name for name in modules - named if not name.startswith("_")} == set()


def test_no_module_on_the_page_is_gone() -> None:
    modules = [ROOT / "app.py", *paths("manager", "negotiation", "ui", "benchmarks", "tests")]
    there = [path.as_posix() for path in modules]
    assert [name for name in NAMED if not any(path.endswith(f"/{name}") for path in there)] == []
