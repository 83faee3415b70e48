"""Record the pair of negotiations that a first visit to the arena opens on.

    python -m benchmarks.recording --seed 3

Plays the set-up of a first visit and writes `configs/recordings/who_gives_in_first.jsonl`, one run per lane, as History
saves runs. With another seed than that of the set-up, pressing Start tells the same story in other words.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from manager.cancel import CancelToken
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.batch.executor import play
from negotiation.comparison.comparison import Players
from negotiation.runs.export import to_jsonl
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, Seat, load_scenarios
from ui.arena.presets import SCRIPTS

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
RECORDING = CONFIGS / "recordings" / "who_gives_in_first.jsonl"


def record(catalog: Catalog, scenario: Scenario, lane: int, players: Players, seed: int) -> Run:
    """Play one lane."""
    agents: dict[Seat, AgentConfig] = {"a": players[0], "b": players[1]}
    run = Run(
        run_id=f"recording-{lane}", scenario=scenario, agents=agents, seed=seed, comparison="recording", lane=lane
    )
    # Who wrote it and on what machine does not matter for a script.
    return replace(play(catalog, run, CancelToken()), created=float(round(time.time())), provenance=None)


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--seed", type=int, required=True)
    seed = asked.parse_args().seed
    scenario, *_ = load_scenarios(CONFIGS / "scenarios").values()
    with LLMManager({}) as manager:
        catalog = Catalog(manager)
        runs = [record(catalog, scenario, lane, players, seed) for lane, players in enumerate(SCRIPTS, 1)]
    RECORDING.write_text("".join(to_jsonl(runs)), encoding="utf-8")
    for run in runs:
        print(f"lane {run.lane}: {run.ending}")
        for turn in run.turns:
            print(f"  {turn.round} {scenario.roles[turn.seat].name}: {turn.message}")


if __name__ == "__main__":
    main()
