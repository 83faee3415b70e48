"""Shutting down the real program: active runs may finish, the rest is stored, and nothing new starts."""

from __future__ import annotations

import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from prometheus_client.parser import text_string_to_metric_families

from negotiation.live.driver import SHUT_DOWN
from negotiation.runs.store import Store
from tests.support.remote_server import Call, FaultyServer, answers
from tests.support.server import Server

MODELS = """
slow: {{type: fake, tokens_per_second: 1}}
leaver: {{type: openai, model_name: leaver, base_url: '{0}'}}
"""
LEAVES = json.dumps({"thought": "Enough.", "action": "walk_away", "message": "I am leaving."})


@pytest.fixture
def far() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture
def serve(tmp_path: Path, far: FaultyServer) -> Iterator[Callable[[float], Server]]:
    started: list[Server] = []

    def start(grace: float) -> Server:
        configs = tmp_path / "configs"
        configs.mkdir()
        (configs / "models.yaml").write_text(MODELS.format(far.base_url))
        (configs / "app.yaml").write_text(f"shutdown_grace_seconds: {grace}\nlimits: {{lanes: 2}}\n")
        started.append(Server(tmp_path / "home", configs, LOG_FORMAT="json").start())
        return started[-1]

    yield start
    for server in started:
        server.kill()


def health(server: Server) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=5) as answer:
            return answer.status, json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["status"]


def figures(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}


def test_running_negotiations_may_end_and_the_rest_are_interrupted(
    serve: Callable[[float], Server], far: FaultyServer
) -> None:
    draining = threading.Event()

    def leave_while_draining(call: Call) -> None:
        assert draining.wait(60)
        answers(LEAVES)(call)

    far.behaviours = [leave_while_draining]
    server = serve(5)
    client = Client(server.url, verbose=False)
    assert health(server) == (200, "ok")
    jobs = [client.submit("company_car", name, "linear", 1, api_name="/negotiate") for name in ("slow", "leaver")]
    ids = [next(iter(job))["run_id"] for job in jobs]
    waiting = client.submit("company_car", "boulware", "linear", 1, api_name="/negotiate")
    queued = next(iter(waiting))
    assert (queued["event"], queued["ahead"]) == ("queued", 0)
    assert figures(server)["parley_watchers"] == 3
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert list(waiting)[-1]["reason"] == SHUT_DOWN
    assert health(server) == (503, "draining")
    with pytest.raises(AppError, match="The server is restarting"):
        client.submit("company_car", "boulware", "linear", 1, api_name="/negotiate").result()
    draining.set()
    assert server.process.wait(30) == 0
    store = Store(f"sqlite:///{server.home}/data/parley.db")
    try:
        runs = [store.run(run_id) for run_id in (*ids, queued["run_id"])]
        assert [run.status for run in runs] == ["interrupted", "done", "interrupted"]
        assert [runs[0].reason, runs[2].reason] == [SHUT_DOWN, SHUT_DOWN]
        store.resume(runs[0].run_id)  # it can be continued
    finally:
        store.close()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert "shut down" in [line["message"] for line in lines]
    assert {line["run"] for line in lines if line.get("event") == "halted"} == {ids[0], queued["run_id"]}


@pytest.mark.heavy
def test_a_ctrl_c_during_shutdown_ends_it_at_once(serve: Callable[[float], Server]) -> None:
    server = serve(1000.0)
    job = Client(server.url, verbose=False).submit("company_car", "slow", "linear", 1, api_name="/negotiate")
    run_id = next(iter(job))["run_id"]
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    while health(server) != (503, "draining"):
        pass
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 1
    store = Store(f"sqlite:///{server.home}/data/parley.db")
    try:
        store.mark_interrupted()
        assert store.run(run_id).status == "interrupted"
    finally:
        store.close()


def test_many_signals_to_the_group_are_one_shutdown_with_its_grace_time(serve: Callable[[float], Server]) -> None:
    """A service manager signals the whole group, and its members pass the signal on."""
    server = serve(2.5)
    job = Client(server.url, verbose=False).submit("company_car", "slow", "linear", 1, api_name="/negotiate")
    run_id = next(iter(job))["run_id"]
    assert server.process is not None
    for _ in range(200):
        server.process.send_signal(signal.SIGTERM)
    while health(server) != (503, "draining"):
        pass
    for _ in range(200):
        server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    messages = [json.loads(line)["message"] for line in server.log.read_text().splitlines()]
    assert sum(message.startswith("shutting down") for message in messages) == 1
    assert "shut down" in messages
    store = Store(f"sqlite:///{server.home}/data/parley.db")
    try:
        assert store.run(run_id).status == "interrupted"
    finally:
        store.close()
