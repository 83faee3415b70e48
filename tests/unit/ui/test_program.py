"""The server program: signals, and what it offers."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from negotiation.app.parley import Parley
from negotiation.app.settings import SHIPPED, read_settings
from ui import program
from ui.program import has_mcp, reload_models


@pytest.fixture
def models_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    configs = tmp_path / "configs"
    configs.mkdir()
    shutil.copytree(SHIPPED / "scenarios", configs / "scenarios")
    monkeypatch.setenv("PARLEY_CONFIG", str(configs))
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    path = configs / "models.yaml"
    path.write_text("old: {type: fake}")
    return path


def test_an_edited_models_yaml_is_reloaded_unless_it_is_wrong(
    models_yaml: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    parley = Parley.open(read_settings())
    try:
        models_yaml.write_text("new: {type: fake}\nsecond: {type: fake}")
        reload_models(parley)
        assert "models.yaml was reloaded (added: new, second; removed: old)" in caplog.text
        for wrong, message in [
            ("new: {type: teapot, model_name: x}", "'teapot' is not supported"),
            ("boulware: {type: fake}", "model 'boulware' has the name of a scripted strategy"),
        ]:
            models_yaml.write_text(wrong)
            reload_models(parley)
            assert message in caplog.text
        assert list(parley.manager.list_models()) == ["new", "second"]
        assert [choice.agent for choice in parley.catalog.choices()][:2] == ["new", "second"]
    finally:
        parley.close()


@pytest.mark.parametrize(("installed", "usable"), [("1.26.0", True), ("2.0.0", False), (None, False)])
def test_mcp_tools_are_offered_only_with_a_version_that_gradio_can_use(
    installed: str | None, usable: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def version(package: str) -> str:
        if installed is None:
            raise PackageNotFoundError(package)
        return installed

    caplog.set_level("INFO")
    monkeypatch.setattr(program, "version", version)
    assert has_mcp() is usable
    assert ("version 2.0.0 is installed" in caplog.text) == (installed == "2.0.0")
