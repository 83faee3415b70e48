"""The built wheel, installed away from the checkout and used as people use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from negotiation import __version__
from tests.support.server import ROOT, Server

DATA = {
    "configs": "negotiation/app/configs",
    "models": "manager/models",
    "negotiation/agents/lines": "negotiation/agents/lines",
    "negotiation/runs/migrations": "negotiation/runs/migrations",
    "ui/scripts": "ui/scripts",
    "ui/styles": "ui/styles",
    "ui/templates": "ui/templates",
}
"""Folders of the checkout without which nothing works, and where the wheel installs them."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("parley-*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *alone, wheel], check=True, env=away_from_checkout())
    (site_packages(folder / "venv") / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv"


def away_from_checkout(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def parley(environment: Path, home: Path, *arguments: str) -> Any:
    """Run `parley` with --json; return its result."""
    command: list[str | Path] = [environment / "bin" / "parley", *arguments, "--json", "-"]
    variables = away_from_checkout(PARLEY_HOME=str(home))
    done = subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("source", "installed"), DATA.items())
def test_data_files_are_installed(environment: Path, source: str, installed: str) -> None:
    files = files_in(ROOT / source)
    assert files
    assert files_in(site_packages(environment) / installed) == files


def files_in(folder: Path) -> set[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder) for path in paths}


@pytest.mark.parametrize("package", ["manager", "negotiation", "ui"])
def test_packages_are_typed(environment: Path, package: str) -> None:
    assert (site_packages(environment) / package / "py.typed").is_file()


def test_negotiations_run(environment: Path, tmp_path: Path) -> None:
    listed = parley(environment, tmp_path, "scenarios")
    shipped = {path.stem for path in (ROOT / "configs" / "scenarios").glob("*.yaml")}
    assert {entry["scenario"] for entry in listed} == shipped
    played = parley(environment, tmp_path, "run", "--scenario", "company_car", "--a", "boulware", "--b", "conceder")
    assert (played["status"], played["ending"]) == ("done", "agreement")


@pytest.fixture
def server(environment: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, PYTHONPATH="")
    server.command = [str(environment / "bin" / "parley"), "serve"]
    yield server.start()
    server.stop()


def test_the_page_is_served(server: Server) -> None:
    assert fetch(server, "/healthz")["version"] == __version__
    config = fetch(server, "/config")
    styles = [path.read_text(encoding="utf-8") for path in (ROOT / "ui" / "styles").glob("*.css")]
    assert all(style in config["css"] for style in styles)
    assert "model-status" in {component["props"].get("elem_id") for component in config["components"]}


def fetch(server: Server, path: str) -> Any:
    with urllib.request.urlopen(server.url + path, timeout=30) as answer:
        return json.load(answer)
