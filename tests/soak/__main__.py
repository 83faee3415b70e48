"""Run the whole program for SOAK_MINUTES with visitors, programs and random faults, and account for every run.

    make soak                      # half an hour
    SOAK_MINUTES=3 SOAK_SEED=7 make soak
    SOAK_NEIGHBOURS=1 make soak    # beside a process that computes without a pause

Ends with a line of JSON; its exit status is 1 where a run was lost or is stuck, or an error was not shown. The server's
log stays in the folder that the first line names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.neighbours import neighbours
from tests.soak.faults import Faults, models
from tests.soak.figures import Figures, p95
from tests.soak.ledger import Account, Ledger, account, settled
from tests.soak.programs import Program
from tests.soak.visitors import Visitor
from tests.support.remote_server import FaultyServer
from tests.support.server import Server
from tests.support.tab import Tab, browser

VISITORS, PROGRAMS = 16, 4
STUCK_SECONDS = 90.0
"""Runs end within this time after all visitors have left: the grace time, an abandoned text, a locked database."""

logging.basicConfig(level=logging.WARNING)


def main() -> int:
    """Soak, report the figures, and return the exit status."""
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    busy = int(os.environ.get("SOAK_NEIGHBOURS", "0"))
    seed = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    folder = Path(tempfile.mkdtemp(prefix="parley-soak-"))
    say(f"{minutes:g} minutes, seed {seed}, {busy} busy neighbour{'s' * (busy != 1)}, in {folder}")
    ledger, served = Ledger(), FaultyServer()
    registry = folder / "configs" / "models.yaml"
    registry.parent.mkdir()
    registry.write_text(json.dumps(models(served)))
    (registry.parent / "app.yaml").write_text("max_loaded_models: 3\n")
    server = Server(folder / "home", registry.parent).start()
    try:
        with neighbours(busy):
            return soak(server, served, registry, ledger, random.Random(seed), minutes, seed)
    finally:
        served.close()
        server.stop()


def soak(
    server: Server,
    served: FaultyServer,
    registry: Path,
    ledger: Ledger,
    chance: random.Random,
    minutes: float,
    seed: int,
) -> int:
    assert server.process is not None
    asyncio.run(Program(server.url, "first", chance, ledger).wake("real"))  # converts its file, once
    database = server.home / "data" / "parley.db"
    ledger.first_tokens.clear()
    figures = Figures(server.process.pid, server.port)
    faults = Faults(chance, ledger, database, registry, served, server.process.pid)
    asyncio.run(live(server.url, ledger, chance, faults, figures, minutes * 60))
    faults.heal()
    figures.stop()
    settled(database, STUCK_SECONDS)
    busy = asyncio.run(status(server.url))
    found = account(database, ledger)
    tell(ledger, found, figures, busy)
    result = {
        "finished": found.finished,
        "lost": len(found.lost),
        "stuck": len(found.stuck) + busy.count("busy"),
        "errors_injected": found.injected,
        "errors_shown": found.shown,
        "rss_slope_mb_per_min": round(figures.slope, 2),
        "threads": figures.threads,
        "first_token_p95": p95(ledger.first_tokens),
        "loop_lag_p95": figures.lag_p95,
        "seed": seed,
        "minutes": minutes,
    }
    say(json.dumps(result))
    return int(bool(result["lost"] or result["stuck"] or found.shown < found.injected or not found.finished))


async def live(
    url: str, ledger: Ledger, chance: random.Random, faults: Faults, figures: Figures, seconds: float
) -> None:
    """Run all visitors and programs for `seconds`."""
    own = [random.Random(chance.random()) for _ in range(VISITORS + PROGRAMS)]
    clients = [Visitor(url, f"visitor {n}", own[n], ledger) for n in range(VISITORS)]
    programs = [Program(url, f"program {n}", own[VISITORS + n], ledger) for n in range(PROGRAMS)]
    works = [*(one.run() for one in clients), *(one.run() for one in programs), faults.run()]
    tasks = [asyncio.create_task(work) for work in works]
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        done, _ = await asyncio.wait(tasks, timeout=min(left, 60), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        say(f"{left / 60:.1f} minutes left: {len(ledger.runs)} runs begun, {figures.memory:.0f} MB, {dict(ledger.did)}")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def status(url: str) -> str:
    """Return the text of the model strip once everything is quiet."""
    async with browser(url) as own:
        return str((await Tab.open(own)).value("model-status"))


def tell(ledger: Ledger, found: Account, figures: Figures, busy: str) -> None:
    """Report the figures in words, and everything that is wrong."""
    say(f"faults: {dict(ledger.faults)}")
    say(f"did: {dict(ledger.did)}; begun: {len(ledger.runs)}; stored: {dict(found.statuses)}")
    for reason, count in found.reasons.most_common():
        say(f"  {count:5} × {reason}")
    for said in sorted(set(ledger.refusals)):
        say(f"  refused {ledger.refusals.count(said)} ×: {said[:150]}")
    say(f"threads: {figures.threads_before} before, {figures.threads} after; memory: {figures.memory:.0f} MB")
    for wrong in (*found.silent, *(f"lost: {run}" for run in found.lost), *(f"stuck: {run}" for run in found.stuck)):
        say(wrong)
    if "busy" in busy:
        say(f"weights are still in use: {busy}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
