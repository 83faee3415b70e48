"""Fixtures and markers for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ui.server.gradio_import import skip_stub_files

# Before torch is imported, and for every program that a test starts: the models here are so small that two threads
# spend their time waiting for each other, and on a busy machine for far longer than that.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asks the real Hub, not even whether it is in reach. Those with a stand-in point to it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

skip_stub_files()  # as the program does

_BROWSER = Path(__file__).parent / "browser"
_PROGRAMS = Path(__file__).parent / "integration"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out, and run first what takes longest."""
    for item in items:
        if _BROWSER in item.path.parents:
            item.add_marker("browser")
        elif "real_home" in getattr(item, "fixturenames", ()):
            item.add_marker("real_model")
        elif _PROGRAMS in item.path.parents:
            item.add_marker("program")
    items.sort(key=lambda item: (_BROWSER not in item.path.parents, item.get_closest_marker("real_model") is None))


def pytest_collection_finish() -> None:
    """Exempt what is imported by now from garbage collection, which takes a third of the time otherwise."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured text: pytest-xdist cannot send them to the process that reports."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests among processes by file, and run browser tests in two, where they share a server and a browser.

    pytest-xdist's own groups (`--dist loadgroup`) have no effect with pytest 9.2: they change `_nodeid`, which it no
    longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            if not file.startswith("tests/browser/"):
                return file
            return "the arena" if file.startswith("tests/browser/test_arena_") else "the other tests of the page"

    return ByFile(config, log)


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home folder with the embedded model's converted copy, which all processes of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "converted"
    with FileLock(f"{shared}.lock"):
        if not shared.is_dir():
            _convert(shared)
    home = tmp_path_factory.mktemp("home")
    (home / "cache").symlink_to(shared)
    return home


def _convert(cache: Path) -> None:
    from manager import LLMManager
    from manager.config.registry import Registry
    from negotiation.app.settings import SHIPPED

    with LLMManager(Registry.from_yaml(SHIPPED / "models.yaml"), cache_dir=cache) as manager:
        manager.load_model("smollm2-steady")


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own settings from the tests."""
    own = ("PARLEY_HOME", "PARLEY_CONFIG", "PARLEY_OPERATOR_PASSWORD", "PARLEY_DATASET", "PARLEY_ARCHIVE")
    public = ("PARLEY_LIMITS", "PARLEY_PACE", "METRICS_TOKEN", "LOG_FORMAT")
    for name in (*own, *public, "DATABASE_URL", "PORT", "HOST", "SPACE_ID", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)
