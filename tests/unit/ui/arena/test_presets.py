"""Presets offer what the registered models allow here and now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from manager.machine.hub_access import SILENT
from negotiation.app.machine_profile import Machine
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from tests.support.hub_access import with_access
from ui.arena.presets import chosen_preset, presets, presets_html

MODELS = """
far: {model_name: owner/far, size: 1B}
near: {type: fake}
qwen3-1.7b: {label: Qwen3 1.7B, model_name: Qwen/Qwen3-1.7B, size: 1.7B}
"""


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(MODELS)
    environment = {"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(configs)}
    parley = Parley.open(read_settings(environment, Machine(9 * 10**9)))
    yield parley
    parley.close()


def test_presets_prefer_a_model_that_is_ready(parley: Parley) -> None:
    scripted, decides, *_ = presets(with_access(parley))
    assert "near" not in str(scripted.lanes)
    assert decides.lanes[0][0].agent == "near", "it comes second in the file, but needs no download"


def test_a_preset_that_cannot_work_says_why_and_cannot_be_chosen(parley: Parley) -> None:
    online, offline = with_access(parley), with_access(parley, SILENT)
    possible, impossible = (chosen for parley in (online, offline) for chosen in presets(parley)[-1:])
    assert (possible.preset_id, possible.reason) == ("stronger", "")
    assert "about 3.4 GB" in possible.about
    reason = "Not possible here now: Qwen3 1.7B must be downloaded first, and the Hub does not answer."
    assert impossible.reason == reason
    drawn = presets_html(offline, impossible.lanes)
    assert drawn.count("disabled") == 1
    assert reason in drawn
    assert "disabled" not in presets_html(online, possible.lanes)
    with pytest.raises(gr.Error, match="the Hub does not answer"):
        chosen_preset(offline, "stronger")
    assert chosen_preset(offline, "no such preset").preset_id == "gives_in"


def test_a_trained_model_and_its_base_come_first(parley: Parley) -> None:
    base = {"model_name": "owner/packed", "gguf_file": "package:manager/machine/host.py", "size": "1B"}
    parley.manager.register_model("base", base)
    assert presets(with_access(parley))[0].preset_id == "gives_in"
    parley.manager.register_model("tuned", {**base, "adapters": ["shipped:practised"]})
    first = presets(with_access(parley))[0]
    (untrained, opponent), (trained, same) = first.lanes
    assert (first.preset_id, untrained.agent, trained.agent) == ("practice", "base", "tuned")
    assert opponent == same
