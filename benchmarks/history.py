"""Time for History to list a page of runs, by number of stored runs.

    python -m benchmarks.history          # 1,000 and 10,000 runs
    python -m benchmarks.history 50000

Half of the runs are the visitor's own, a tenth are published; each page has 25. Times are medians of 20, in ms: of the
query, and in the last column of the query and the HTML.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from negotiation.runs import database as db
from negotiation.runs.codec import scenario_to_json
from negotiation.runs.store import RunFilter, Store
from negotiation.scenario.model import load_scenarios
from ui.drawing.run_list import runs_html
from ui.history.run_pages import PAGE_RUNS

SHIPPED = Path(__file__).resolve().parent.parent / "configs" / "scenarios"
AGENTS = ("boulware", "conceder", "linear", "micro", "smollm2-steady")
STATUSES = ("done", "done", "done", "stopped", "failed")
COLUMNS = ("visitor", "own", "operator", "scenario", "search", "nothing", "deep", "page")
REPEATS = 20
BATCH = 1000


def fill(store: Store, count: int) -> None:
    """Store a number of runs of all shipped scenarios, without turns, one per second."""
    scenarios = [
        (scenario.scenario_id, scenario.title, scenario_to_json(scenario))
        for scenario in load_scenarios(SHIPPED).values()
    ]
    rows = []
    for number in range(count):
        scenario_id, title, scenario = scenarios[number % len(scenarios)]
        status = STATUSES[number % len(STATUSES)]
        a, b = AGENTS[number % 5], AGENTS[number // 5 % 5]
        rows.append(
            {
                "run_id": f"{number:032x}",
                "created": 1_700_000_000.0 + number,
                "owner": "visitor" if number % 2 else f"other {number % 97}",
                "published": number % 10 == 0,
                "status": status,
                "reason": "" if status == "done" else "as the test asks",
                "process": "gone",
                "heartbeat": 0.0,
                "scenario_id": scenario_id,
                "scenario": scenario,
                "title": title,
                "seed": number,
                "agent_a": a,
                "agent_b": b,
                "agents": {"a": {"agent": a, "options": {}}, "b": {"agent": b, "options": {}}},
                "outcome": f"Price: €{number % 7919:,}" if status == "done" else "",
            }
        )
    with store.database.write("fill") as connection:
        for start in range(0, count, BATCH):
            connection.execute(db.runs.insert(), rows[start : start + BATCH])


def median(work: Callable[[], object]) -> float:
    """Return the duration of a call in milliseconds."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)


def measured(store: Store, count: int) -> list[float]:
    """Return milliseconds for each of COLUMNS."""
    last = store.summaries(RunFilter("visitor"), count // 2)[-1]
    filters = [
        RunFilter("visitor"),
        RunFilter("visitor", own=True),
        RunFilter(),
        RunFilter("visitor", scenario_id="company_car"),
        RunFilter("visitor", text="micro 77"),
        RunFilter("visitor", text="no such words"),
        RunFilter("visitor", before=last),
    ]
    times = [median(partial(store.summaries, wanted, PAGE_RUNS + 1)) for wanted in filters]
    return [*times, median(lambda: runs_html(store.summaries(filters[0], PAGE_RUNS + 1), {}, ()))]


def main() -> None:
    print(f"{'runs':>7} " + " ".join(f"{name:>9}" for name in COLUMNS))
    for count in map(int, sys.argv[1:] or ("1000", "10000")):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(f"sqlite:///{folder}/runs.db")
            fill(store, count)
            times = measured(store, count)
            store.close()
        print(f"{count:7,} " + " ".join(f"{value:9.1f}" for value in times), flush=True)


if __name__ == "__main__":
    main()
