"""A Space, simulated in this process: its environment, the embedded model's Hub version, and ZeroGPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from markupsafe import escape

from manager.backends import base
from manager.backends.local import gguf
from manager.machine import model_files as files
from manager.placed import DEVICE
from manager.state import State
from negotiation.agents.config import AgentConfig
from negotiation.app.machine_profile import GB, Machine
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.game.events import Ended, Event, Halted
from negotiation.live.feed import stored_events
from negotiation.runs.record import Run
from tests.support.forking_gpu import ForkingGPU
from tests.support.twin import preload_twin
from tests.unit.manager.conftest import tiny_model
from tests.unit.negotiation.agents.test_random_model import wordy_tokenizer
from ui.arena.presets import presets
from ui.drawing.model_strip import strip_html
from ui.kit import text
from ui.widgets.agent_picker import choices

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

SPACE = {"SPACE_ID": "someone/parley", "MEMORY": "16Gi", "CPU_CORES": "2"}
Open = Callable[..., Parley]


@pytest.fixture
def open_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens Parley as on a Space: without the weights package and without a network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for module in (files, gguf):
        monkeypatch.setattr(module, "packaged", lambda gguf_file: None)
    wrapper = "manager.backends.huggingface:HuggingFaceModelWrapper"
    monkeypatch.setitem(base._FACTORIES, "huggingface", wrapper)  # and restored afterwards
    with ExitStack() as stack:

        def start(environment: dict[str, str], gpu: Any = None, **machine: Any) -> Parley:
            settings = read_settings({**SPACE, **environment}, Machine(256 * GB, processors=2, **machine))
            parley = Parley.open(settings, gpu)
            stack.callback(parley.close)
            return parley

        yield start


def played(parley: Parley, *agents: AgentConfig) -> tuple[str, list[Event]]:
    run = Run(run_id="", scenario=parley.scenarios["company_car"], agents={"a": agents[0], "b": agents[1]}, seed=1)
    run_id = parley.live.start(run)
    watch = parley.live.watch(run_id)
    if watch is None:  # it has already ended
        return run_id, stored_events(parley.store.run(run_id))
    with watch:
        return run_id, list(watch)


def test_a_cpu_space_works_without_any_setting(open_space: Open, tmp_path: Path) -> None:
    preload_twin(tmp_path / "hf")
    parley = open_space({}, volume=tmp_path)
    first = parley.catalog.models()[0]
    assert first.model_id == "smollm2-steady"
    picks = {agent: label for label, agent in choices(parley)}
    assert text.MEMORY.format(memory="324 MB") in picks[first.model_id]
    assert "llama-3.1-8b" not in picks
    practice, scripted, decides, *_ = presets(parley)
    assert practice.lanes[0][0].agent == first.model_id
    assert scripted.lanes[0][0].agent == "boulware"
    assert decides.lanes[0][0].agent == first.model_id
    warm = AgentConfig(first.model_id, {"temperature": 1.5})
    run_id, events = played(parley, warm, AgentConfig("boulware"))
    assert isinstance(events[-1], Ended), events[-1]
    parley.close()
    again = open_space({"PARLEY_HOME": str(tmp_path / "new"), "PARLEY_ARCHIVE": str(tmp_path / "parley")})
    assert again.store.archive.restored.wait(30)  # type: ignore[attr-defined]
    assert again.store.run(run_id).status == "done"


def test_a_lent_gpu_writes_in_a_forked_process(open_space: Open, tmp_path: Path) -> None:
    """Use a real engine with random weights, on the CPU instead of a GPU."""
    gpu = ForkingGPU()
    parley = open_space(zero_gpu(tmp_path), gpu)
    snapshot = parley.manager.snapshot()
    assert [(row.state, row.device) for row in snapshot.weights] == [(State.RESIDENT, DEVICE), (State.COLD, "auto")]
    shown = strip_html(snapshot, {}, zero_gpu=parley.catalog.zero_gpu)
    assert escape(text.GPU_TIME) in shown
    for untrue in (text.LOADING, text.STATE["cold"], text.STATE["resident"]):
        assert untrue not in shown
    assert [spec.model_id for spec in parley.catalog.models()] == ["mindless"]
    _, events = played(parley, AgentConfig("mindless"), AgentConfig("mindless", {"narrates": "boulware"}))
    assert isinstance(events[-1], Ended), events[-1]
    assert gpu.calls == len(gpu.processes) == 1


def test_the_spaces_package_changes_nothing_elsewhere(open_space: Open, tmp_path: Path) -> None:
    spaces = pytest.importorskip("spaces")
    parley = open_space(zero_gpu(tmp_path), spaces.GPU)
    _, events = played(parley, AgentConfig("mindless"), AgentConfig("boulware"))
    assert isinstance(events[-1], Ended), events[-1]
    _, events = played(parley, AgentConfig("boulware"), AgentConfig("mindless"))
    assert not isinstance(events[-1], Halted)


def zero_gpu(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a ZeroGPU Space with a tiny model and one without files."""
    folder, configs = tmp_path / "mindless", tmp_path / "configs"
    tokenizer = wordy_tokenizer()
    tiny_model(context=16384, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    configs.mkdir()
    (configs / "models.yaml").write_text(
        f"mindless: {{model_name: '{folder}', device: cpu, size: 1M, generation_config: {{temperature: 2.0}}}}\n"
        "away: {model_name: nobody/away, size: 1M}\n"
    )
    return {"SPACES_ZERO_GPU": "true", "PARLEY_CONFIG": str(configs), "PARLEY_HOME": str(tmp_path / "home")}


def test_every_shipped_setup_is_offered_on_the_smallest_hardware(open_space: Open) -> None:
    parley = open_space({}, bfloat16=False)
    offered = {spec.model_id for spec in parley.catalog.models()}
    for preset in presets(parley):
        for config in (config for lane in preset.lanes for config in lane):
            parley.catalog.create(config)
    assert "smollm3-3b" not in offered
