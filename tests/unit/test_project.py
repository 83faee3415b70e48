"""The project agrees with itself: names of classes, Makefile, pyproject.toml, changelog, workflows and documents."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from negotiation import __version__
from negotiation.cli.main import GROUPS
from ui.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_targets_that_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert __version__ in re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)


def test_every_supported_python_is_tested() -> None:
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported
    assert PROJECT["requires-python"] == f">={supported[0]}"


def test_every_command_is_documented() -> None:
    infos = [info for group in (app, *GROUPS) for info in group.registered_commands]
    commands = {info.name or getattr(info.callback, "__name__", "") for info in infos}
    first_table = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8").partition("\n## ")[0]
    table = re.findall(r"^\| (`.*?) \|", first_table, re.MULTILINE)
    assert set(re.findall("`([a-z-]+)`", " ".join(table))) == commands


def test_a_class_name_means_one_thing() -> None:
    files = (path for package in ("manager", "negotiation", "ui") for path in (ROOT / package).rglob("*.py"))
    modules = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    names = Counter(part.name for module in modules for part in module.body if isinstance(part, ast.ClassDef))
    assert not [name for name, count in names.items() if count > 1]
