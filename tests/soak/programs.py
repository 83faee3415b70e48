"""Programs that use the API: they start negotiations, read the stream, and sometimes hang up."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx

from tests.soak.ledger import Ledger
from tests.soak.visitors import AGENTS, STRATEGIES
from tests.support.tab import API, browser


class Program:
    """A program that negotiates repeatedly until cancelled."""

    def __init__(self, url: str, name: str, chance: random.Random, ledger: Ledger) -> None:
        self._url, self._name, self._chance, self._ledger = url, name, chance, ledger

    async def run(self) -> None:
        async with browser(self._url) as own:
            while True:
                self._ledger.did["negotiate"] += 1
                hangs_up = self._chance.uniform(0.5, 6) if self._chance.random() < 0.3 else None
                with suppress(httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(hangs_up):
                        await self._negotiate(own, self._chance.choice(["guest", *AGENTS]))
                await asyncio.sleep(self._chance.uniform(0.5, 3))

    async def wake(self, agent: str) -> None:
        """Load a model, and wait until it starts to write."""
        async with browser(self._url) as own:
            await self._negotiate(own, agent, until="writing")

    async def _negotiate(self, own: httpx.AsyncClient, agent: str, until: str = "") -> None:
        began = time.monotonic()
        foe, seed = self._chance.choice(STRATEGIES), self._chance.randrange(1000)
        async for event in self._events(own, ["company_car", agent, foe, seed, None, None]):
            self._take(event, began)
            if event["event"] == until:
                return

    def _take(self, event: dict[str, Any], began: float) -> None:
        run = self._ledger.begin(event["run_id"], self._name)
        match event["event"]:
            case "writing" if not run.spoke:
                run.spoke = True
                self._ledger.first_tokens.append(time.monotonic() - began)
            case "turn_taken":
                run.said[event["turn"]["index"]] = event["turn"]
                run.turns += 1
            case "halted":
                run.followed, run.reason = True, event["reason"]
            case "ended":
                run.followed = True

    async def _events(self, own: httpx.AsyncClient, data: list[Any]) -> AsyncIterator[dict[str, Any]]:
        begun = await own.post(f"{API}/call/negotiate", json={"data": data})
        begun.raise_for_status()
        kind = ""
        async with own.stream("GET", f"{API}/call/negotiate/{begun.json()['event_id']}") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    told = json.loads(line.removeprefix("data: "))
                    if kind == "generating":
                        yield told[0]
                    elif kind == "error":
                        self._ledger.refusals.append(str((told or {}).get("error") or ""))
                        return
                    elif kind == "complete":
                        return
