"""Overhead of the manager: an uncontended lease and release, and a snapshot of 100 models.

`python -m benchmarks.manager_overhead` prints one JSON line: microseconds (the median of many), and the goals.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from manager.manager import LLMManager

MODELS = 100
CALLS = 3000
GOALS = {"lease_and_release_us": 50.0, "snapshot_us": 200.0}


def microseconds(call: Callable[[], object]) -> float:
    """Return the median duration of a call, which other programs disturb least."""
    found = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return round(statistics.median(found) * 1e6, 1)


def measure() -> dict[str, dict[str, float]]:
    """Return both figures with 100 registered models, some of them resident."""
    with LLMManager({f"model-{n}": {"type": "fake"} for n in range(MODELS)}, max_loaded_models=10) as manager:
        for n in range(10):
            manager.lease(f"model-{n}").release()
        found = {
            "lease_and_release_us": microseconds(lambda: manager.lease("model-0", owner="x").release()),
            "snapshot_us": microseconds(manager.snapshot),
        }
    return {name: {"measured": found[name], "goal": GOALS[name]} for name in found}


if __name__ == "__main__":
    print(json.dumps(measure()))
