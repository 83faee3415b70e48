"""Bad input and a bad environment: one clear message, and no data is lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.cli.main import main
from tests.support.server import ROOT

CONFIGS = ROOT / "configs"


# -- the whole process: exit status 1, and one line on standard error --------------------------------------------


def start(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python app.py`, which should refuse to start."""
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        env={**os.environ, "PARLEY_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_one_message(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if " ERROR " in line]
    assert len(errors) == 1, done.stderr
    for part in parts:
        assert part in errors[0]


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_one_message(start(tmp_path, PORT=port), port, "set PORT or HOST")


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "parley.db"
    database.write_text("this is not a database, and somebody may still want it" * 20)
    before = database.read_bytes()
    assert_one_message(start(tmp_path), "database")
    assert database.read_bytes() == before


@pytest.mark.parametrize("package", ["gradio", "pydantic", "starlette"])
def test_a_package_that_is_not_installed(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{package}'\")")
    done = start(tmp_path / "home", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Parley cannot start: No module named '{package}'; run: pip install -r requirements.txt "
        "(or `make run`, which sets everything up)"
    ]


# -- the messages: every ParleyError at the start ends as above ---------------------------------------------------


def refusal(home: Path, **environment: str) -> str:
    """Return the message of a start that fails."""
    with pytest.raises(ParleyError) as caught:
        Parley.open(read_settings({"PARLEY_HOME": str(home), **environment})).close()
    return str(caught.value)


def test_a_port_that_is_none(tmp_path: Path) -> None:
    message = refusal(tmp_path, PORT="many")
    assert "PORT" in message
    assert "many" in message


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refusal(tmp_path / "file")
    assert "PARLEY_HOME" in message
    assert "set it to a folder" in message


def test_a_config_folder_that_is_missing(tmp_path: Path) -> None:
    assert "PARLEY_CONFIG" in refusal(tmp_path, PARLEY_CONFIG=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("smollm2-steady: [", ("models.yaml", "line")),
        ("m: {model_name: x, colour: red}", ("models.yaml", "model 'm'", "colour", "unknown key")),
        ("m: {model_name: x}\nm: {model_name: y}", ("models.yaml", "line 2", "duplicate key 'm'")),
        ("m: {type: huggingface}", ("models.yaml", "model 'm'", "model_name", "missing")),
        ("m: {model_name: x, type: magic}", ("'m'", "magic")),
        ("boulware: {type: fake}", ("boulware",)),
    ],
)
def test_bad_models_files(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "models.yaml").write_text(text)
    message = refusal(tmp_path / "home", PARLEY_CONFIG=str(tmp_path / "configs"))
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_broken_scenario(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS / "scenarios", tmp_path / "configs" / "scenarios")
    path = tmp_path / "configs" / "scenarios" / "company_car.yaml"
    path.write_text(path.read_text().replace("weights: {price: 1.0}", "weights: {price: 0.9}", 1))
    message = refusal(tmp_path / "home", PARLEY_CONFIG=str(tmp_path / "configs"))
    assert "company_car.yaml" in message
    assert "add up to 0.9" in message


# -- the command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--scenario", "nothing", "--a", "boulware", "--b", "conceder"), ("nothing", "company_car")),
        (("--scenario", "company_car", "--a", "nobody", "--b", "conceder"), ("nobody", "boulware")),
        (("--scenario", "company_car", "--a", "qwen3-0.6b", "--b", "conceder"), ("Qwen/Qwen3-0.6B", "network")),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert main(["run", *arguments]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for part in parts:
        assert part in said
