"""What Hugging Face Spaces reads of this repository: the head of README.md and requirements.txt."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from manager.backends.local.hub import PATTERNS
from manager.config.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
HEAD = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
WANTED = [
    Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1] not in ("", "#")
]
EXACT = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def test_the_head_names_what_is_run() -> None:
    assert HEAD["sdk"] == "gradio"
    assert (ROOT / HEAD["app_file"]).is_file()
    assert HEAD["sdk_version"] == EXACT["gradio"]
    assert re.fullmatch(r"3\.1[1-9]", HEAD["python_version"])
    assert len(HEAD["short_description"]) <= 60  # more is refused


def test_the_embedded_models_twin_is_there_before_the_first_visitor() -> None:
    first = next(iter(Registry.from_yaml(ROOT / "configs" / "models.yaml")))
    assert (first.gguf_file or "").startswith("package:")  # of which nothing is installed on a Space
    repository, files = HEAD["preload_from_hub"][0].split()
    assert repository == first.model_name
    assert HEAD["models"] == [repository]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files.split(","))
    assert all(any(Path(name).match(pattern) for pattern in PATTERNS) for name in files.split(","))


def test_requirements_are_ranges_that_hold_what_is_tested() -> None:
    for wanted in WANTED:
        assert wanted.specifier, f"{wanted.name}: any version at all"
        exact = {name.lower().replace("_", "-"): version for name, version in EXACT.items()}
        assert exact[wanted.name.lower().replace("_", "-")] in wanted.specifier
