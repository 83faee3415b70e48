"""Compare the prompts of this checkout with those of an earlier commit: the same games, with the same seeds.

    python -m benchmarks.prompt_versions --old 17bb821 --seeds 2 --rounds 4

Both versions play both seats of every scenario against every opponent. Only the wording differs: the earlier prompts
and the earlier scenario texts are read from Git. Prints a row for each measure: its mean under both versions, and the
paired difference with a 95 % interval over the scenarios.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from unittest.mock import patch

from benchmarks.habits import AT_ONCE, Game, PairTally
from manager.config.registry import Registry
from manager.manager import LLMManager
from negotiation.agents import model, prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.app.settings import SHIPPED, read_settings
from negotiation.figures.statistics import Interval, mean_interval
from negotiation.scenario.model import SEATS, Scenario, load_scenarios, scenario_from_text

MEASURES: dict[str, Callable[[PairTally], float]] = {
    "own utility": lambda tally: tally.utility,
    "deals": lambda tally: tally.deals,
    "accepts below limit": lambda tally: tally.habits.below_reservation,
    "opens at limit": lambda tally: tally.habits.at_reservation,
    "tokens written per turn ÷ 100": lambda tally: tally.tokens / max(tally.turns, 1) / 100,
}


@dataclass(frozen=True)
class Wording:
    """A version of the prompts, and the scenarios with their texts at the time."""

    version: int
    module: ModuleType
    scenarios: dict[str, Scenario]


def present() -> Wording:
    """Return the wording of this checkout."""
    return Wording(prompts.VERSION, prompts, load_scenarios(SHIPPED / "scenarios"))


def earlier(commit: str) -> Wording:
    """Return the wording of an earlier commit; prompts had no version before the second."""
    module = ModuleType("earlier_prompts")
    exec(compile(_git("show", f"{commit}:negotiation/agents/prompts.py"), commit, "exec"), vars(module))
    scenarios = {}
    for path in _git("ls-tree", "--name-only", commit, "configs/scenarios/").split():
        if path.endswith(".yaml"):
            name = path.rpartition("/")[2].removesuffix(".yaml")
            scenarios[name] = scenario_from_text(_git("show", f"{commit}:{path}"), name, path)
    return Wording(getattr(module, "VERSION", 1), module, scenarios)


def play(wording: Wording, options: argparse.Namespace, catalog: Catalog) -> dict[tuple[object, ...], PairTally]:
    """Play all games under a wording, and return what the agent did by scenario, opponent, seat and seed."""
    agent = catalog.create(AgentConfig(options.model, {"guard": options.guard}))
    games = {}
    for name, scenario in wording.scenarios.items():
        shortened = scenario.model_copy(update={"rounds": options.rounds}) if options.rounds else scenario
        for opponent in options.against:
            for seat in SEATS:
                for seed in range(1, options.seeds + 1):
                    other = catalog.create(AgentConfig(opponent))
                    games[name, opponent, seat, seed] = Game("game", agent, seat, other, shortened, seed)
    with patch.object(model, "prompts", wording.module), ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(games, pool.map(Game.play, games.values()), strict=True))


def main() -> None:
    options = _parser().parse_args()
    begun = time.perf_counter()
    old, new = earlier(options.old), present()
    with LLMManager(Registry.from_yaml(SHIPPED / "models.yaml"), cache_dir=read_settings().cache) as manager:
        catalog = Catalog(manager)
        before, after = play(old, options, catalog), play(new, options, catalog)
    pairs = [game for game in after if game in before]
    print(f"{len(pairs)} pairs of games, {time.perf_counter() - begun:.0f} s\n")
    print(f"| measure | version {old.version} | version {new.version} | difference |")
    print("|---|---|---|---|")
    for name, measure in MEASURES.items():
        earlier_values, values = ([measure(played[game]) for game in pairs] for played in (before, after))
        differences = [value - less for value, less in zip(values, earlier_values, strict=True)]
        interval = mean_interval(differences, -1.0, 1.0, [game[0] for game in pairs])
        means = f"{sum(earlier_values) / len(pairs):.3f} | {sum(values) / len(pairs):.3f}"
        print(f"| {name} | {means} | {_shown(interval)} |")


def _shown(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare the prompts with those of an earlier commit.")
    parser.add_argument("--old", required=True, help="the commit with the earlier prompts")
    parser.add_argument("--model", default="smollm2-steady")
    parser.add_argument("--guard", default="legal", choices=("free", "legal", "rational"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="fewer rounds than the scenarios have")
    parser.add_argument("--against", nargs="*", default=["boulware", "conceder"])
    return parser


if __name__ == "__main__":
    main()
