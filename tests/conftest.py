"""Fixtures and markers for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported, and for every program that a test starts: the models here are so small that two threads
# spend their time waiting for each other, and on a busy machine for far longer than that.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asks the real Hub, not even whether it is in reach. Those with a stand-in point to it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

_BROWSER = Path(__file__).parent / "browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out, and run first what takes longest."""
    for item in items:
        if _BROWSER in item.path.parents:
            item.add_marker("browser")
        elif "real_home" in getattr(item, "fixturenames", ()):
            item.add_marker("real_model")
    items.sort(key=lambda item: (_BROWSER not in item.path.parents, item.get_closest_marker("real_model") is None))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured text: pytest-xdist cannot send them to the process that reports."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests among processes by file, and run all browser tests in one, where they share a server and a browser.

    pytest-xdist's own groups (`--dist loadgroup`) have no effect with pytest 9.2: they change `_nodeid`, which it no
    longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "tests/browser" if file.startswith("tests/browser/") else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder that keeps the embedded model's converted copy for the whole session."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own settings from the tests."""
    own = ("PARLEY_HOME", "PARLEY_CONFIG", "PARLEY_OPERATOR_PASSWORD", "PARLEY_DATASET", "PARLEY_ARCHIVE")
    public = ("PARLEY_LIMITS", "METRICS_TOKEN", "LOG_FORMAT")
    for name in (*own, *public, "DATABASE_URL", "PORT", "HOST", "SPACE_ID", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)
