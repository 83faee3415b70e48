"""Which runs were started, what was shown of them, and whether the database agrees at the end."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TURN = re.compile(r'<article class="turn seat-[ab]"')
REASON = re.compile(r'class="reason">(.*?)</p>', re.DOTALL)


@dataclass
class Begun:
    """A started run, and what was shown of it."""

    by: str
    turns: int = 0  # shown as final
    said: dict[int, Any] = field(default_factory=dict)  # turns as a program received them
    spoke: bool = False  # the first text has arrived
    reason: str | None = None  # the reason shown for a run that did not finish
    followed: bool = False  # watched to the end


class Ledger:
    """All runs of one soak."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, int], Begun] = {}  # a pair has the id of the first lane's run
        self.refusals: list[str] = []  # other errors shown to visitors, verbatim
        self.first_tokens: list[float] = []
        self.did: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def begin(self, run_id: str, by: str, lane: int = 1) -> Begun:
        return self.runs.setdefault((run_id, lane), Begun(by))

    def shown(self, run_id: str, lane: int, turns: str | None = None, verdict: str | None = None) -> None:
        """Record what a lane shows of a run, as HTML."""
        run = self.runs[run_id, lane]
        if turns is not None:
            run.turns = max(run.turns, len(TURN.findall(turns)))
        if verdict is not None and "ended" in verdict:
            run.followed = True
            if found := REASON.search(verdict):
                run.reason = html.unescape(found[1])


@dataclass
class Account:
    """How all runs ended, according to the database."""

    finished: int
    lost: list[str]
    stuck: list[str]
    injected: int
    shown: int
    statuses: Counter[str]
    silent: list[str]
    reasons: Counter[str]


def settled(database: Path, seconds: float) -> None:
    """Wait until no run is active, or until the time is up."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and _rows(database, "SELECT 1 FROM runs WHERE status = 'running'"):
        time.sleep(0.5)


def account(database: Path, ledger: Ledger) -> Account:
    """Compare what was shown with what is stored."""
    stored = {
        row["run_id"]: row for row in _rows(database, "SELECT run_id, status, reason, comparison, lane FROM runs")
    }
    lanes = {(row["comparison"], row["lane"]): run_id for run_id, row in stored.items() if row["comparison"]}
    turns: dict[str, dict[int, Any]] = {}
    for row in _rows(database, 'SELECT run_id, "index", turn FROM turns'):
        turns.setdefault(row["run_id"], {})[row["index"]] = json.loads(row["turn"])
    lost, silent, injected, shown = [], [], len(ledger.refusals), 0
    for said in ledger.refusals:
        if len(said) > 10 and "no reason" not in said:
            shown += 1
        else:
            silent.append(f"refused without a reason: {said!r}")
    for (first, lane), run in ledger.runs.items():
        run_id = first if lane == 1 or first not in stored else lanes.get((stored[first]["comparison"], lane), "")
        kept = turns.get(run_id, {})
        whole = len(kept) >= run.turns and sorted(kept) == list(range(len(kept)))
        if run_id not in stored or not whole or any(kept.get(at) != turn for at, turn in run.said.items()):
            lost.append(f"{first}, lane {lane}")
        elif stored[run_id]["status"] == "failed" and run.followed:
            injected += 1
            if run.reason == stored[run_id]["reason"]:
                shown += 1
            else:
                silent.append(f"{run_id}: stored {stored[run_id]['reason']!r}, shown {run.reason!r}")
    statuses = Counter(row["status"] for row in stored.values())
    stuck = [run_id for run_id, row in stored.items() if row["status"] == "running"]
    reasons = Counter(re.sub(r"\d+", "#", row["reason"])[:110] for row in stored.values() if row["reason"])
    return Account(statuses["done"], lost, stuck, injected, shown, statuses, silent, reasons)


def _rows(database: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()
