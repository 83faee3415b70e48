"""Visitors with browsers: they open the page, start lanes, watch, stop, reload, leave, play, and browse History."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import suppress
from typing import Any

import httpx

from tests.soak.ledger import Ledger
from tests.support.tab import Refused, Tab, browser

AGENTS = {"quick": 6, "steady": 4, "slow": 2, "babbling": 1, "broken": 2, "served": 3, "real": 1}
STRATEGIES = ("boulware", "conceder", "linear", "tit_for_tat")
RUN = re.compile(r'data-run="([0-9a-f]{32})"')
ISSUES = re.compile(r'value="(-?\d+)" data-issue="(\w+)"')
CHOICES = re.compile(r'<select data-issue="(\w+)">.*?<option value="([^"]*)" selected', re.DOTALL)
SPOKEN = re.compile(r'class="(?:thought|message typing)"')
STATUS_SECONDS = 0.5


class Visitor:
    """A person with a browser who does one thing after another until cancelled."""

    def __init__(self, url: str, name: str, chance: random.Random, ledger: Ledger) -> None:
        self._url, self._name, self._chance, self._ledger = url, name, chance, ledger
        self._mine: list[str] = []  # runs started by this visitor

    async def run(self) -> None:
        async with browser(self._url) as own:
            while True:
                doing = self._chance.choices([self._watch, self._play, self._look_back], [7, 2, 2])[0]
                self._ledger.did[doing.__name__.strip("_")] += 1
                with suppress(httpx.HTTPError):  # a fault broke the connection; a real page would retry
                    await doing(own)
                await asyncio.sleep(self._chance.uniform(0.2, 2))

    async def _opened(self, own: httpx.AsyncClient, query: str = "") -> Tab:
        tab = await Tab.open(own, query)
        tab.spawn(self._status(tab))
        return tab

    async def _status(self, tab: Tab) -> None:
        """Poll the model strip."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            with suppress(Refused, httpx.HTTPError):
                await tab.tick()

    async def _worked(self, work: Any) -> bool:
        """Do something, and return whether it worked. Records an error that the visitor was shown."""
        try:
            await work
        except Refused as error:
            self._ledger.refusals.append(str(error))
            return False
        return True

    # -- the arena ---------------------------------------------------------------------------------------------

    def _agent(self) -> str:
        if self._chance.random() < 0.4:
            return self._chance.choice(STRATEGIES)
        return self._chance.choices(list(AGENTS), list(AGENTS.values()))[0]

    async def _watch(self, own: httpx.AsyncClient) -> None:
        tab = await self._opened(own)
        runs: list[str] = []
        try:
            await self._worked(tab.load())
            picked = [self._agent() for _ in range(4)]
            for place, agent in zip(("1-agent-a", "1-agent-b", "2-agent-a", "2-agent-b"), picked, strict=True):
                tab.set(f"lane-{place}", agent)
            tab.set("arena-seed", self._chance.randrange(1000))
            began = time.monotonic()
            self._note(tab, runs, began if not {*picked} <= {*STRATEGIES} else None)
            going = tab.spawn(self._worked(tab.do("arena-start")))
            await self._follow(tab, going)
        finally:
            await tab.close()
        if runs and self._chance.random() < 0.4:
            await self._return(own, runs)

    def _note(self, tab: Tab, runs: list[str], began: float | None) -> None:
        """Record which runs were started, and what their lanes show."""
        shown_in = tab.lanes
        lanes = {part: place for place, lane in enumerate(shown_in) for part in lane}
        spoken = began is None

        def changed(name: str, value: Any) -> None:
            nonlocal spoken
            shown = value if isinstance(value, str) else ""
            if name == "arena-link" and (found := RUN.search(shown)):
                runs[:] = [found[1]]
                self._mine.append(found[1])
                for lane in (1, 2):
                    self._ledger.begin(found[1], self._name, lane)
                return
            place = lanes.get(name)
            if place is None or not runs:
                return
            kind = shown_in[place].index(name)
            if kind == 1:
                self._ledger.shown(runs[0], place + 1, verdict=shown)
            elif kind == 2:
                self._ledger.shown(runs[0], place + 1, turns=shown)
            elif kind == 3 and not spoken and began is not None and SPOKEN.search(shown):
                spoken = True
                self._ledger.first_tokens.append(time.monotonic() - began)

        tab.changed = changed

    async def _follow(self, tab: Tab, going: asyncio.Task[Any]) -> None:
        """Watch to the end, stop, or leave early."""
        patience = self._chance.choices(["end", "stop", "leave"], [6, 1, 2])[0]
        if patience == "end":
            await going
            return
        await asyncio.wait([going], timeout=self._chance.uniform(0.3, 6))
        if patience == "stop" and not going.done():
            self._ledger.did["stop"] += 1
            await self._worked(tab.do("arena-stop"))
            await going

    async def _return(self, own: httpx.AsyncClient, runs: list[str]) -> None:
        """Reload or reopen the link: the page shows the run, active or ended."""
        self._ledger.did["return"] += 1
        tab = await self._opened(own, f"?run={runs[0]}")
        try:
            self._note(tab, runs, None)
            going = tab.spawn(self._worked(tab.load()))
            await self._follow(tab, going)
        finally:
            await tab.close()

    # -- playing -----------------------------------------------------------------------------------------------

    async def _play(self, own: httpx.AsyncClient) -> None:
        tab = await self._opened(own)
        try:
            await self._worked(tab.do("tab-play", "select"))
            tab.set("play-opponent", self._agent())
            going = tab.spawn(self._worked(tab.do("play-begin")))
            await self._answer(tab, going)
        finally:
            await tab.close()

    async def _answer(self, tab: Tab, going: asyncio.Task[Any]) -> None:
        """Make turns until the end, or leave halfway."""
        leaves = self._chance.random() < 0.3
        taken = -1
        for _ in range(600):
            await asyncio.wait([going], timeout=0.1)
            form = str(tab.value("play-builder") or "")
            if (found := RUN.search(form)) is not None:
                self._ledger.begin(found[1], self._name)
            now = re.search(r'data-taken="(\d+)"', form)
            if going.done() or (leaves and taken >= 1):
                return
            if now is None or int(now[1]) <= taken or 'data-do="offer" disabled' in form:
                continue
            taken = int(now[1])
            offer: dict[str, Any] = {name: int(value) for value, name in ISSUES.findall(form)}
            offer.update(dict(CHOICES.findall(form)))
            accepts = 'data-do="accept" disabled' not in form and self._chance.random() < 0.3
            data = {
                "action": "accept" if accepts else "offer",
                "offer": None if accepts else offer,
                "message": "How about this?",
            }
            await self._worked(tab.do("play-builder", "submit", data))

    # -- looking back ------------------------------------------------------------------------------------------

    async def _look_back(self, own: httpx.AsyncClient) -> None:
        tab = await self._opened(own)
        try:
            await self._worked(tab.do("tab-history", "select"))
            if self._mine:
                replay = {"replay": self._chance.choice(self._mine)}
                if await self._worked(tab.do("history-table", "click", replay)):
                    await self._worked(tab.do(f"replay-vote-{self._chance.choice(['1', '2', 'tie', 'neither'])}"))
            await asyncio.sleep(self._chance.uniform(0.1, 1))
        finally:
            await tab.close()
