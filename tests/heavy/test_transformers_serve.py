"""A real server on loopback: SmolLM2, served by `transformers serve`, plays through the `openai` type."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.config.model_spec import GenerationConfig
from manager.config.registry import Registry
from manager.errors import Cancelled, Unreachable
from manager.generation.request import GenerationRequest, as_messages
from manager.manager import LLMManager
from negotiation.agents import model as llm
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import load_scenarios
from tests.support.server import ROOT, free_port

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return SmolLM2 in a form that `transformers serve` loads: Parley's copy of the GGUF file."""
    cache = tmp_path_factory.mktemp("cache")
    with LLMManager(Registry.from_yaml(ROOT / "configs" / "models.yaml"), cache_dir=cache) as manager:
        manager.load_model("smollm2-steady")
    return next((cache / "converted").glob("*/config.json")).parent


class Served:
    """Start the server and return its process."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.name = str(folder)
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        command = shutil.which("transformers", path=str(Path(sys.executable).parent)) or "transformers"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [command, "serve", self.name, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
                stdout=out,
                stderr=out,
            )
        pause = threading.Event()
        for _ in range(600):
            assert self.process.poll() is None, log.read_text()[-2000:]
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
            pause.wait(0.5)
        self.stop()
        raise AssertionError(log.read_text()[-2000:])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def entry(self, **more: Any) -> dict[str, Any]:
        timeouts = {"first_token": 300, "between_tokens": 120}
        return {
            "type": "openai",
            "model_name": self.name,
            "base_url": self.base_url,
            "timeouts": timeouts,
            "concurrency": 1,
            **more,
        }


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(folder, tmp_path_factory.mktemp("log") / "serve.log")
    yield made
    made.stop()


def test_it_writes_and_counts(served: Served) -> None:
    with LLMManager({"far": served.entry()}) as manager, manager.lease("far") as lease:
        config = GenerationConfig(max_new_tokens=12, temperature=0, repetition_penalty=1.1, top_k=20)
        stream = lease.generate(GenerationRequest(as_messages("Name three colours."), config, seed=3))
        pieces = list(stream)
        done = stream.completion
        assert done.text == "".join(pieces) != ""
        assert 0 < done.tokens <= 12
        assert done.prompt_tokens > 5
        assert not done.estimated


def test_cancelling_leaves_the_server_free(served: Served) -> None:
    with LLMManager({"far": served.entry()}) as manager, manager.lease("far") as lease:
        cancel = CancelToken()
        config = GenerationConfig(max_new_tokens=2000)
        stream = lease.generate(GenerationRequest(as_messages("Count to a thousand."), config), cancel)
        assert stream.read()
        cancel.cancel()
        with pytest.raises(Cancelled):
            list(stream)
        short = GenerationRequest(as_messages("Hi"), GenerationConfig(max_new_tokens=2))
        assert lease.generate(short).read()


def test_it_negotiates_and_its_invalid_replies_are_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """This server ignores schemas, so a small model often fails, and the run must say so."""
    monkeypatch.setattr(llm, "REPLY_TOKENS", 80)
    scenario = load_scenarios(ROOT / "configs" / "scenarios")["used_camera"]
    with LLMManager({"far": served.entry(price={"input": 1, "output": 2})}) as manager:
        far = ModelAgent(manager, manager.spec("far"), ModelOptions(retries=1, temperature=0))
        events = list(negotiate(Negotiation("run", scenario, {"a": far, "b": STRATEGIES["linear"]})))
    assert isinstance(events[-1], Ended)
    turns = [event.turn for event in events if isinstance(event, TurnTaken) and event.turn.seat == "a"]
    assert turns
    for turn in turns:
        assert turn.tokens > 0
        assert turn.cost == pytest.approx((turn.prompt_tokens + 2 * turn.tokens) / 1e6)
        assert turn.held in ("", "schema")
        assert turn.raw
        assert turn.invalid or turn.action in ("offer", "accept")


def test_a_server_that_is_killed_is_unreachable(folder: Path, tmp_path: Path) -> None:
    served = Served(folder, tmp_path / "log")
    with LLMManager({"far": served.entry(retries=1)}) as manager:
        assert manager.get_response("Hi", "far", max_new_tokens=3)
        served.stop()
        with pytest.raises(Unreachable, match="does not respond"):
            manager.get_response("Hi", "far", max_new_tokens=3)
        row = manager.snapshot().of("far")
        assert row is not None
        assert str(row.state) == "failed"
