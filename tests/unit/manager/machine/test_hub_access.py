"""Whether the Hub is in reach is found out in the background."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from manager.machine.hub_access import OFFLINE, SILENT, HubAccess
from tests.support.hubserver import Hub, point_to, serving_hub


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving_hub(monkeypatch, tmp_path) as server:
        yield server


def test_a_hub_that_answers_is_in_reach(hub_server: Hub) -> None:
    access = HubAccess()
    access.look()
    assert access.trouble == ""


def test_a_hub_that_does_not_answer_is_reported_after_a_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        point_to(f"http://127.0.0.1:{closed.getsockname()[1]}", monkeypatch, tmp_path)
        access = HubAccess()
        assert access.trouble == "", "nobody has looked yet"
        access.look()
        assert access.trouble == SILENT
        for thread in threading.enumerate():
            if thread.name == "hub-access":
                thread.join(30)


def test_asking_looks_in_the_background_and_only_once_in_a_while(hub_server: Hub) -> None:
    access = HubAccess()
    for _ in range(3):
        assert access.trouble == ""
    for thread in threading.enumerate():
        if thread.name == "hub-access":
            thread.join(30)
    assert len(hub_server.asked) == 1


def test_a_server_that_is_told_to_stay_offline_asks_nobody(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert HubAccess().trouble == OFFLINE
    assert hub_server.asked == []
