"""The recording that a visit begins with is an exported pair of runs, replayed turn by turn."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from manager.errors import ConfigError
from negotiation.app.settings import SHIPPED
from negotiation.game.events import Ended
from negotiation.runs.export import export_run, read_export
from ui.arena import recording
from ui.arena.recording import read_recording, replayed
from ui.drawing.lane_view import LaneView
from ui.widgets.follow import stored_view


def test_the_shipped_recording_is_one_finished_pair_about_three_issues() -> None:
    first, second = read_recording(SHIPPED / "recordings", 2)
    assert first.scenario == second.scenario
    assert len(first.scenario.issues) == 3
    assert first.status == second.status == "done"
    assert first.turns
    assert read_export(export_run(first)) == first


def test_a_replay_shows_every_turn_being_made_and_ends_like_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_recording(SHIPPED / "recordings", 2)[0]
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def watch() -> list[LaneView]:
        return [view async for view in replayed(run)]

    monkeypatch.setattr(asyncio, "sleep", sleep)
    views = asyncio.run(watch())
    assert [len(view.turns) for view in views if view.moving and not view.moving.written] == list(range(len(run.turns)))
    assert views[-1] == stored_view(run)
    assert isinstance(views[-1].end, Ended)
    assert max(pauses) <= recording.PAUSE_MOST
    assert len(pauses) >= len(run.turns)


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
