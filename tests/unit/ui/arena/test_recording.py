"""The recording that a visit begins with is an exported pair of runs of the default set-up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recording import QUESTIONS, record
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.app.settings import SHIPPED
from negotiation.comparison.comparison import Players
from negotiation.runs.export import export_run, read_export
from negotiation.scenario.model import load_scenarios
from ui.arena.presets import SCRIPTS
from ui.arena.recording import read_recording
from ui.arena.setup import FIRST_SEED
from ui.widgets.scenario_picker import FIRST


@pytest.mark.parametrize("lanes", QUESTIONS.values(), ids=QUESTIONS)
def test_each_shipped_recording_is_one_finished_pair_about_three_issues(lanes: tuple[Players, Players]) -> None:
    first, second = read_recording(SHIPPED / "recordings", lanes)
    assert [(run.agents["a"], run.agents["b"]) for run in (first, second)] == list(lanes)
    assert first.scenario == second.scenario
    assert len(first.scenario.issues) == 3
    assert first.status == second.status == "done"
    assert first.turns
    assert read_export(export_run(first)) == first


def test_the_scripted_recording_is_what_its_question_plays() -> None:
    """If not: record it again with `python -m benchmarks.recording gives_in`."""
    scenario = load_scenarios(SHIPPED / "scenarios")[FIRST]
    recorded = read_recording(SHIPPED / "recordings", SCRIPTS)
    with LLMManager({}) as manager:
        for lane, (run, players) in enumerate(zip(recorded, SCRIPTS, strict=True), 1):
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
    run = json.dumps(export_run(read_recording(SHIPPED / "recordings", SCRIPTS)[0]))
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(run if line is None else line for line in lines))
    with pytest.raises(ConfigError, match=reason) as caught:
        read_recording(tmp_path, SCRIPTS)
    assert str(path) in str(caught.value)


def test_no_recording_is_fine(tmp_path: Path) -> None:
    assert read_recording(tmp_path, SCRIPTS) == ()


def test_of_several_recordings_the_one_that_start_would_play_is_shown(tmp_path: Path) -> None:
    shipped = (SHIPPED / "recordings" / "gives_in.jsonl").read_text(encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(shipped.replace('"agent": "conceder"', '"agent": "linear"'), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(shipped, encoding="utf-8")
    assert read_recording(tmp_path, SCRIPTS) == read_recording(SHIPPED / "recordings", SCRIPTS)
    assert read_recording(tmp_path, SCRIPTS[::-1])[1].agents["a"].agent == "linear", "the first, if none is"
