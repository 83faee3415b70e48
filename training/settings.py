"""The settings of a run, and the copy that its folder keeps."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manager.errors import ConfigError
from negotiation.agents import prompts

SETTINGS = Path(__file__).with_name("settings.toml")
Settings = Mapping[str, Any]


def read_settings(file: Path) -> Settings:
    """Return the settings of a TOML file."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def begin_in(folder: Path, settings: Settings) -> None:
    """Create the folder of a run and write down its settings and the version of the prompts.

    Args:
        folder: Where it keeps its files. It may hold the beginning of the run, which is continued.
        settings: All settings.

    Raises:
        ConfigError: The run was begun with others, or its settings cannot be read; the folder remains as it is.
    """
    file = folder / "settings.json"
    now = {**settings, "prompt_version": prompts.VERSION}
    if file.exists():
        before = _settings_of_run(file)
        if changed := _changed(before, now):
            raise ConfigError(
                f"{file}: this run was begun with other settings ({', '.join(changed)}); choose another folder, "
                f"and --adapter {folder / 'adapter'} to go on from what it has learned"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".json.part")
    unfinished.write_text(json.dumps(now, indent=1), encoding="utf-8")
    unfinished.replace(file)


def _settings_of_run(file: Path) -> Settings:
    """Return the settings that a run wrote down."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file}: not complete, so this run cannot be continued; choose another folder") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{file}: not the settings of a run; choose another folder")
    return settings


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], inside: str = "") -> list[str]:
    """Return what has changed, as "training.steps: 600 before, 900 now"."""
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _changed(old, new, f"{inside}{key}.")
        elif old != new:
            found.append(f"{inside}{key}: {json.dumps(old)} before, {json.dumps(new)} now")
    return found
