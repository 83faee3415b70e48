"""The ways to start the page: what is settled before Gradio is imported, and what the other commands do not import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ui import program
from ui.serve import SPACES_PROXIES, serve

LISTED = "import sys, ui.cli; print(*{'gradio', 'torch', 'transformers', 'spaces'} & set(sys.modules))"


def test_commands_other_than_serve_import_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(("space", "trusted"), [("", ""), ("someone/parley", SPACES_PROXIES)])
def test_only_the_proxies_of_spaces_are_trusted_unless_the_operator_names_others(
    monkeypatch: pytest.MonkeyPatch, space: str, trusted: str
) -> None:
    for name in ("FORWARDED_ALLOW_IPS", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("SPACE_ID", space)
    assert status_of_serve(monkeypatch) == 7
    assert (os.environ["FORWARDED_ALLOW_IPS"], os.environ["GRADIO_ANALYTICS_ENABLED"]) == (trusted, "0")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    status_of_serve(monkeypatch)
    assert os.environ["FORWARDED_ALLOW_IPS"] == "192.0.2.1"


def status_of_serve(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(program, "run", lambda gpu: 7)
    monkeypatch.setattr("manager.machine.process.leave", sys.exit)
    with pytest.raises(SystemExit) as end:
        serve()
    return end.value.code
