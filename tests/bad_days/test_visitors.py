"""Visitors who disconnect without notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from negotiation.game.events import Asked, Halted
from tests.bad_days.conftest import House
from ui.widgets import follow


def test_whoever_left_while_nothing_happened_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's generator ends only where it yields; one that waits for a person's move would watch forever."""
    monkeypatch.setattr(follow, "SIGN_SECONDS", 0.1)
    run = house.start("human")
    house.until(run, Asked)
    house.watches[run].close()
    parley: Any = SimpleNamespace(store=house.store, live=house.live)

    async def watch_and_leave() -> None:
        watching = follow.views(parley, run)
        assert isinstance(watching, AsyncGenerator)
        seen = [await anext(watching) for _ in range(4)]
        assert seen[-1] == seen[-2], "nothing happened, and yet something is sent"
        await watching.aclose()

    with ThreadPoolExecutor(1) as thread:  # a browser's loop may run in this one
        thread.submit(lambda: asyncio.run(watch_and_leave())).result()
    house.clock.skip(11)
    house.until(run, Halted)
    house.aftermath({run: "nobody was watching"}, status="interrupted")
