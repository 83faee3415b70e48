"""A run is continued with the settings it was begun with, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.errors import ConfigError
from negotiation.agents import prompts
from training.settings import SETTINGS, begin_in, read_settings


def test_a_run_writes_down_its_settings_and_can_be_continued_with_them(tmp_path: Path) -> None:
    settings = read_settings(SETTINGS)
    for _ in range(2):
        begin_in(tmp_path / "run", settings)
    kept = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert kept == {**settings, "prompt_version": prompts.VERSION}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 2}, "seed: 1 before, 2 now"),
        ({"training": {"steps": 9}}, "training.steps: 5 before, 9 now"),
        ({"training": {}}, "training.steps: 5 before, null now"),
        ({"more": True}, "more: null before, true now"),
    ],
)
def test_other_settings_are_refused_and_named_and_nothing_is_overwritten(
    tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    begun = {"seed": 1, "training": {"steps": 5}}
    begin_in(tmp_path, begun)
    before = (tmp_path / "settings.json").read_bytes()
    with pytest.raises(ConfigError, match="choose another folder") as refused:
        begin_in(tmp_path, {**begun, **changed})
    assert words in str(refused.value)
    assert (tmp_path / "settings.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", '{"seed": 1, "trai', "[]", "\xff\xfe"])
def test_settings_that_cannot_be_read_are_reported_and_stay(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"settings\.json: .* choose another folder"):
        begin_in(tmp_path, {"seed": 1})
    assert file.read_text(encoding="latin-1") == text
    assert list(tmp_path.iterdir()) == [file]
