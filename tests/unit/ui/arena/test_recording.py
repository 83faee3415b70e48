"""The recording that a visit begins with is an exported pair of runs of the default set-up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recording import record
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.app.settings import SHIPPED
from negotiation.runs.export import export_run, read_export
from negotiation.scenario.model import load_scenarios
from ui.arena.presets import SCRIPTS
from ui.arena.recording import read_recording
from ui.arena.setup import FIRST_SEED


def test_the_shipped_recording_is_one_finished_pair_about_three_issues() -> None:
    first, second = read_recording(SHIPPED / "recordings", 2)
    assert first.scenario == second.scenario
    assert len(first.scenario.issues) == 3
    assert first.status == second.status == "done"
    assert first.turns
    assert read_export(export_run(first)) == first


def test_the_recording_is_what_the_set_up_of_a_first_visit_plays() -> None:
    """If not: record it again with `python -m benchmarks.recording`."""
    scenario, *_ = load_scenarios(SHIPPED / "scenarios").values()
    with LLMManager({}) as manager:
        for lane, (run, players) in enumerate(zip(read_recording(SHIPPED / "recordings", 2), SCRIPTS, strict=True), 1):
            now = record(Catalog(manager), scenario, lane, players, run.seed)
            assert replace(now, created=run.created, turns=run.turns) == run
            assert [replace(turn, seconds=0.0) for turn in now.turns] == [
                replace(turn, seconds=0.0) for turn in run.turns
            ]
            assert run.seed != FIRST_SEED, "Start tells the story in other words"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["{"], "this is no recording"),
        (['{"turns": []}'], "key 'scenario' is missing"),
        ([None], "one line for each of the 2 lanes, but this has 1"),
    ],
)
def test_a_wrong_recording_is_refused_with_its_path(tmp_path: Path, lines: list[str | None], reason: str) -> None:
    run = json.dumps(export_run(read_recording(SHIPPED / "recordings", 2)[0]))
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(run if line is None else line for line in lines))
    with pytest.raises(ConfigError, match=reason) as caught:
        read_recording(tmp_path, 2)
    assert str(path) in str(caught.value)


def test_no_recording_is_fine(tmp_path: Path) -> None:
    assert read_recording(tmp_path, 2) == ()
