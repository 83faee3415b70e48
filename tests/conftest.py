"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that keeps the embedded model's converted copy for the whole session."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the developer's own settings."""
    own = ("PARLEY_HOME", "PARLEY_CONFIG", "PARLEY_OPERATOR_PASSWORD", "PARLEY_DATASET", "PARLEY_ARCHIVE")
    public = ("PARLEY_LIMITS", "METRICS_TOKEN", "LOG_FORMAT")
    for name in (*own, *public, "DATABASE_URL", "PORT", "HOST", "SPACE_ID", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)
