"""What Hugging Face Spaces reads of this repository: the head of README.md and requirements.txt."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from manager.backends.local.hub import PATTERNS
from manager.config.registry import Registry
from negotiation.runs.hub.contributions import SCOPE

ROOT = Path(__file__).resolve().parents[2]
HEAD = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
WANTED = {
    wanted.name: wanted
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line[:1] not in ("", "#")
    for wanted in [Requirement(line)]
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXACT = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)

ZERO_GPU_PYTHONS = {"3.10.13", "3.12.12"}
ZERO_GPU_TORCHES = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}
ZERO_GPU_FLAVOR = "zero-a10g"
SCOPES = {"inference-api", SCOPE}
"""What the app may ask for: the first from everybody who signs in, the second only from whoever contributes."""


def test_the_head_names_what_is_run() -> None:
    assert HEAD["sdk"] == "gradio"
    assert (ROOT / HEAD["app_file"]).is_file()
    assert HEAD["sdk_version"] == EXACT["gradio"]
    assert HEAD["license"] == PROJECT["license"].lower()
    assert HEAD["tags"]
    assert len(HEAD["short_description"]) <= 60  # more is refused


def test_the_head_suits_zero_gpu() -> None:
    assert HEAD["suggested_hardware"] == ZERO_GPU_FLAVOR
    assert HEAD["python_version"] in ZERO_GPU_PYTHONS
    assert f"Programming Language :: Python :: {HEAD['python_version'].rpartition('.')[0]}" in PROJECT["classifiers"]


def test_the_app_may_ask_for_inference_and_contributions_only() -> None:
    assert HEAD["hf_oauth"] is True
    assert set(HEAD["hf_oauth_scopes"]) == SCOPES


def test_the_embedded_models_twin_is_there_before_the_first_visitor() -> None:
    first = next(iter(Registry.from_yaml(ROOT / "configs" / "models.yaml")))
    assert (first.gguf_file or "").startswith("package:")  # of which nothing is installed on a Space
    repository, files = HEAD["preload_from_hub"][0].split()
    assert repository == first.model_name
    assert HEAD["models"] == [repository]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files.split(","))
    assert all(any(Path(name).match(pattern) for pattern in PATTERNS) for name in files.split(","))


def test_a_space_installs_what_the_project_requires() -> None:
    required = {wanted.name: wanted for wanted in map(Requirement, PROJECT["dependencies"])}
    assert WANTED.keys() == required.keys()
    assert {name for name in WANTED if WANTED[name] != required[name]} == {"torch"}
    assert set(required["torch"].specifier) < set(WANTED["torch"].specifier)


@pytest.mark.parametrize("version", sorted(ZERO_GPU_TORCHES))
def test_a_space_installs_a_torch_that_zero_gpu_has(version: str) -> None:
    assert version in WANTED["torch"].specifier


@pytest.mark.parametrize("version", ["2.12.0", "2.13.0", "3.0.0"])
def test_a_space_installs_no_torch_that_zero_gpu_lacks(version: str) -> None:
    assert version not in WANTED["torch"].specifier


def test_requirements_are_ranges_that_hold_what_is_tested() -> None:
    exact = {name.lower().replace("_", "-"): version for name, version in EXACT.items()}
    for wanted in map(Requirement, PROJECT["dependencies"]):
        assert wanted.specifier, f"{wanted.name}: any version at all"
        assert exact[wanted.name.lower().replace("_", "-")] in wanted.specifier
