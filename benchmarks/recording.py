"""Record the pair of negotiations that a first visit to the arena opens on.

    python -m benchmarks.recording gives_in --seed 3      # two scripts in each lane
    python -m benchmarks.recording practice --seed 3      # a model before and after its training

Plays a question of the arena and writes `configs/recordings/QUESTION.jsonl`, one run per lane, as History saves runs.
With another seed than that of the set-up, pressing Start tells the same story in other words.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from manager.cancel import CancelToken
from manager.config.registry import Registry
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.batch.executor import play
from negotiation.comparison.comparison import Players
from negotiation.runs.export import to_jsonl
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, Seat, load_scenarios
from ui.arena.presets import FIRM, SCRIPTS
from ui.widgets.scenario_picker import FIRST

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
QUESTIONS: dict[str, tuple[Players, Players]] = {
    "gives_in": SCRIPTS,
    "practice": ((AgentConfig("smollm2-steady"), FIRM), (AgentConfig("parley-135m"), FIRM)),
}


def record(catalog: Catalog, scenario: Scenario, lane: int, players: Players, seed: int) -> Run:
    """Play one lane."""
    agents: dict[Seat, AgentConfig] = {"a": players[0], "b": players[1]}
    run = Run(
        run_id=f"recording-{lane}", scenario=scenario, agents=agents, seed=seed, comparison="recording", lane=lane
    )
    played = play(catalog, run, CancelToken())
    # Who wrote it and on what machine does not matter for a script.
    scripted = not any(agent.agent in catalog.manager.list_models() for agent in players)
    return replace(played, created=float(round(time.time())), provenance=None if scripted else played.provenance)


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("question", choices=QUESTIONS)
    asked.add_argument("--seed", type=int, required=True)
    asked.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "parley-cache")
    given = asked.parse_args()
    scenario = load_scenarios(CONFIGS / "scenarios")[FIRST]
    with LLMManager(Registry.from_yaml(CONFIGS / "models.yaml"), cache_dir=given.cache) as manager:
        catalog = Catalog(manager)
        lanes = enumerate(QUESTIONS[given.question], 1)
        runs = [record(catalog, scenario, lane, players, given.seed) for lane, players in lanes]
    (CONFIGS / "recordings" / f"{given.question}.jsonl").write_text("".join(to_jsonl(runs)), encoding="utf-8")
    for run in runs:
        print(f"lane {run.lane}: {run.ending}")
        for turn in run.turns:
            print(f"  {turn.round} {scenario.roles[turn.seat].name}: {turn.message}")


if __name__ == "__main__":
    main()
