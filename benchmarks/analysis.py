"""Time to analyse a scenario: vectorised, and with plain loops over the outcomes.

    python -m benchmarks.analysis            # all shipped scenarios
    python -m benchmarks.analysis job_offer  # one of them

The loops do less: they find the utilities and the Nash point, not the frontier.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario, load_scenarios

SHIPPED = Path(__file__).resolve().parent.parent / "configs" / "scenarios"


def loops(scenario: Scenario) -> float:
    best = 0.0
    floor_a, floor_b = (scenario.roles[seat].reservation for seat in ("a", "b"))
    for picked in itertools.product(*(issue.choices for issue in scenario.issues.values())):
        offer = dict(zip(scenario.issues, picked, strict=True))
        gain_a, gain_b = scenario.utility("a", offer) - floor_a, scenario.utility("b", offer) - floor_b
        if gain_a > 0 and gain_b > 0:
            best = max(best, gain_a * gain_b)
    return best


def main() -> None:
    scenarios = load_scenarios(SHIPPED)
    print(f"{'scenario':20} {'outcomes':>9} {'frontier':>9} {'numpy, s':>9} {'loops, s':>9}")
    for name in sys.argv[1:] or sorted(scenarios, key=lambda name: scenarios[name].outcomes):
        scenario = scenarios[name]
        began = time.perf_counter()
        found = Analyser(scenario).analysis()
        vectorised = time.perf_counter() - began
        began = time.perf_counter()
        loops(scenario)
        looped = time.perf_counter() - began
        print(f"{name:20} {found.outcomes:9,} {len(found.pareto):9,} {vectorised:9.4f} {looped:9.4f}", flush=True)


if __name__ == "__main__":
    main()
