"""A thousand tabs, opened and closed, leave nothing in the server."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.soak.figures import Figures
from tests.support.server import ROOT, Server
from tests.support.tab import Refused, Tab, browser

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(900),
    # Of the tabs, which are this process: httpx leaves a socket to the garbage collector when it is cut off while it
    # connects. What the server keeps open is counted.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

logger = logging.getLogger(__name__)
TABS, AT_ONCE = 1000, 25
FORGOTTEN_SECONDS = 8.0
SETTLE_SECONDS = 60.0
MOST_MB = 100.0
"""Memory that a thousand tabs may leave behind, including fragmentation: 0.1 MB each."""


EARLY = """
import ui.server.session_sweeper
ui.server.session_sweeper.AWAY_SECONDS, ui.server.session_sweeper.SWEEP_SECONDS = 5.0, 1.0
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "models.yaml").write_text("steady: {type: fake, tokens_per_second: 50}\n")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(EARLY)
    path = f"{tmp_path / 'early'}:{ROOT}"
    server = Server(
        tmp_path / "home",
        tmp_path / "configs",
        TMPDIR=str(tmp_path / "tmp"),
        PYTHONPATH=path,
        GRADIO_ANALYTICS_ENABLED="0",
    ).start()
    yield server
    server.stop()


async def visit(url: str, number: int) -> None:
    """Open the page; every tenth tab starts two lanes and leaves before they end. All are cut off."""
    async with browser(url) as own:
        tab = await Tab.open(own)
        with suppress(Refused, httpx.HTTPError):
            await tab.load()
            if number % 10 == 0:
                for lane in (1, 2):
                    tab.set(f"lane-{lane}-agent-a", "steady")
                tab.spawn(tab.do("arena-start"))
                while "data-run" not in tab.value("arena-link"):
                    await asyncio.sleep(0.05)
        await tab.close()


async def visits(url: str, count: int) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await visit(url, number)

    await asyncio.gather(*(one(number) for number in range(count)))


@dataclass(frozen=True)
class Taken:
    """Return the memory of the server."""

    memory: float
    threads: int
    sockets: int
    temporary_files: int


def sockets(pid: int) -> int:
    """Return how many connections a process has open; SQLite keeps some files open for reuse."""
    found = 0
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(handle.readlink()).startswith("socket:")
    return found


def test_a_thousand_tabs_leave_nothing_behind(server: Server, tmp_path: Path) -> None:
    assert server.process is not None
    figures = Figures(server.process.pid, server.port)

    def taken() -> Taken:
        files = sum(len(names) for _, _, names in os.walk(tmp_path / "tmp"))
        return Taken(figures.memory, figures.threads, sockets(figures.pid), files)

    asyncio.run(visits(server.url, 2 * AT_ONCE))  # everything was imported and used once
    time.sleep(FORGOTTEN_SECONDS)
    before = taken()
    asyncio.run(visits(server.url, TABS))
    ends = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < ends:
        time.sleep(1)
        after = taken()
        if after.memory < before.memory + MOST_MB and (after.threads, after.sockets) <= (
            before.threads,
            before.sockets,
        ):
            break
    figures.stop()
    logger.info("before %s, after %s, lag %s", before, after, figures.lag_p95)
    assert after.memory < before.memory + MOST_MB
    assert after.threads <= before.threads
    assert after.sockets <= before.sockets
    assert after.temporary_files <= before.temporary_files
    assert "busy" not in asyncio.run(seen(server.url))


async def seen(url: str) -> str:
    async with browser(url) as own:
        return str((await Tab.open(own)).value("model-status"))
