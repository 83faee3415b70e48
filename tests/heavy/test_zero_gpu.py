"""ZeroGPU's own package forks the workers and requests GPUs from a stand-in server; torch is unchanged."""

from __future__ import annotations

import http.server
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gradio_client import Client

from negotiation.app.gpu_time import FIRST_PROMPT_SECONDS, MOST_SECONDS
from tests.support.server import ROOT, Server
from tests.support.serving import StandIn, serving
from tests.unit.manager.conftest import tiny_model
from tests.unit.negotiation.agents.test_random_model import wordy_tokenizer

VISITOR = "e30.e30.e30"
"""A token by which the Hub tells whose quota to use."""

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]


class Lending(StandIn):
    """The server that grants GPUs. `idle`: the last worker still has its GPU. `left`: a visitor's remaining quota."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.idle = False
        self.left: int | None = None

    def of(self, path: str) -> list[dict[str, list[str]]]:
        return [query for asked, query in self.asked if asked == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Lending
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.server.asked.append((parts.path, parse_qs(parts.query)))
        status, answer = 200, dict[str, Any]()
        if parts.path == "/schedule":
            answer = {"idle": self.server.idle, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
            if self.server.left is not None:
                status, answer = 429, {"left": self.server.left, "wait": 3600}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_lanes_run_in_workers_that_the_package_forks(tmp_path: Path) -> None:
    pytest.importorskip("spaces")
    folder, configs = tmp_path / "mindless", tmp_path / "configs"
    tokenizer = wordy_tokenizer()
    tiny_model(context=16384, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    configs.mkdir()
    about = f"{{model_name: '{folder}', device: cpu, size: 1M, generation_config: {{temperature: 2.0}}}}"
    (configs / "models.yaml").write_text(f"mindless: {about}\n")
    (tmp_path / "cgroup").write_text("0::/pod/container\n")
    with serving(Lending()) as gpus:
        server = Server(
            tmp_path / "home",
            configs,
            script=ROOT / "tests" / "support" / "zero_gpu_app.py",
            PYTHONPATH=str(ROOT),
            SPACE_ID="someone/parley",
            SPACES_ZERO_GPU="true",
            SPACES_ZERO_DEVICE_API_URL=f"http://127.0.0.1:{gpus.server_address[1]}",
            ZEROGPU_PROC_SELF_CGROUP_PATH=str(tmp_path / "cgroup"),
            GRADIO_SERVER_NAME="127.0.0.1",
            NO_PROXY="127.0.0.1",
        ).start()
        try:
            _check(Client(server.url, headers={"x-ip-token": VISITOR}, verbose=False), gpus)
        finally:
            server.stop()
        log = server.log.read_text()
    assert "running on a ZeroGPU Space of " in log
    assert "Traceback" not in log


def _check(client: Client, gpus: Lending) -> None:
    assert len(gpus.of("/startup-report")) == 1  # otherwise the Space counts as not using a GPU
    events = list(client.submit("company_car", "mindless", "boulware", 1, api_name="/negotiate"))
    assert events[-1]["event"] == "ended", events[-1]
    assert [event["event"] for event in events[:3]] == ["started", "turn_started", "waiting"]
    assert [len(gpus.of(path)) for path in ("/schedule", "/allow", "/release")] == [1, 1, 1]
    assert gpus.of("/release")[0]["fail"] == ["false"]
    assert gpus.of("/schedule")[0]["token"] == [VISITOR]
    asked = int(gpus.of("/schedule")[0]["durationSeconds"][0])
    assert FIRST_PROMPT_SECONDS < asked <= MOST_SECONDS * 1.5

    gpus.idle = True  # the existing worker continues
    events = list(client.submit("company_car", "mindless", "mindless", 2, api_name="/negotiate"))
    assert events[-1]["event"] == "ended", events[-1]
    assert [len(gpus.of(path)) for path in ("/schedule", "/allow", "/release")] == [2, 1, 2]

    gpus.left = 3
    events = list(client.submit("company_car", "boulware", "mindless", 3, api_name="/negotiate"))
    assert (events[-1]["event"], events[-1]["status"]) == ("halted", "failed")
    assert "3 are left of your quota" in events[-1]["reason"]
    assert any(event["event"] == "turn_taken" for event in events)  # the scripted turn needs no GPU
    (mindless, *_) = client.predict(api_name="/models")
    assert (mindless["agent"], mindless["state"]) == ("mindless", "resident")
