"""How a model plays under different settings: deals, utilities, invalid replies and bad habits, side by side.

    python -m benchmarks.habits --model smollm2-steady --seeds 2 --against boulware conceder
    python -m benchmarks.habits --settings legal --against boulware linear conceder --apart

Every setting plays both seats of every scenario against every opponent with the same seeds, many games at once. Prints
the version of the prompts and a table with a row a setting, or with `--apart` a row for each setting and opponent.
"""

from __future__ import annotations

import argparse
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.habit_counts import Habits, habits
from manager.config.registry import Registry
from manager.manager import LLMManager
from negotiation.agents import prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.app.settings import SHIPPED, read_settings
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import SEATS, Scenario, Seat, load_scenarios, other

AT_ONCE = 16
SETTINGS: dict[str, dict[str, Any]] = {
    "legal": {},
    "legal, no calculator": {"calculator": False},
    "rational": {"guard": "rational"},
    "narrates linear": {"narrates": "linear"},
    "free": {"guard": "free"},
    "free, blind retry": {"guard": "free", "retry": "blind"},
}
COLUMNS = (
    "setting",
    "games",
    "deals",
    "own utility",
    "opens at limit",
    "echoes",
    "accepts below",
    "invalid",
    "tokens/turn",
)


@dataclass
class PairTally:
    """Results of a setting."""

    games: int = 0
    deals: int = 0
    utility: float = 0.0
    turns: int = 0
    tokens: int = 0
    invalid: int = 0
    habits: Habits = field(default_factory=Habits)

    def __add__(self, more: PairTally) -> PairTally:
        return PairTally(*(getattr(self, part.name) + getattr(more, part.name) for part in fields(self)))

    def row(self) -> list[str]:
        """Return the cells after the setting's name."""
        seen = self.habits
        return [
            str(self.games),
            _share(self.deals, self.games),
            f"{self.utility / max(self.games, 1):.3f}",
            _share(seen.at_reservation, seen.openings),
            _share(seen.echoes, seen.messages),
            _share(seen.below_reservation, seen.acceptances),
            _share(self.invalid, self.turns + self.invalid),
            f"{self.tokens / max(self.turns, 1):.0f}",
        ]


@dataclass(frozen=True)
class Game:
    """One negotiation of an agent, with its settings and seat, against an opponent."""

    name: str
    agent: Agent
    seat: Seat
    opponent: Agent
    scenario: Scenario
    seed: int

    def play(self) -> PairTally:
        """Run the negotiation and collect what the agent did."""
        agents: dict[Seat, Agent] = {self.seat: self.agent, other(self.seat): self.opponent}
        run_id = f"{self.name} {self.scenario.scenario_id} {self.seat} {self.opponent.name} {self.seed}"
        tally, turns = PairTally(), []
        for event in negotiate(Negotiation(run_id, self.scenario, agents, self.seed)):
            if isinstance(event, TurnTaken):
                turns.append(event.turn)
            elif isinstance(event, Ended):
                tally.games = 1
                tally.deals = int(event.agreement is not None)
                tally.utility = event.measures.utility_a if self.seat == "a" else event.measures.utility_b
        own = [turn for turn in turns if turn.seat == self.seat]
        tally.turns = len(own)
        tally.tokens = sum(turn.tokens for turn in own)
        tally.invalid = sum(len(turn.invalid) for turn in own)
        tally.habits = habits(self.scenario, turns, self.seat)
        return tally


def main() -> None:
    options = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING)
    scenarios = load_scenarios(SHIPPED / "scenarios")
    picked = [scenarios[name] for name in options.scenarios] if options.scenarios else list(scenarios.values())
    if options.rounds:
        picked = [scenario.model_copy(update={"rounds": options.rounds}) for scenario in picked]
    print(f"Prompt version {prompts.VERSION}\n")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    with (
        LLMManager(Registry.from_yaml(SHIPPED / "models.yaml"), cache_dir=read_settings().cache) as manager,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        catalog = Catalog(manager)
        for name in options.settings or SETTINGS:
            agent = catalog.create(AgentConfig(options.model, SETTINGS[name]))
            groups = [[opponent] for opponent in options.against] if options.apart else [options.against]
            for group in groups:
                games = [
                    Game(name, agent, seat, catalog.create(AgentConfig(opponent)), scenario, seed)
                    for scenario in picked
                    for opponent in group
                    for seat in SEATS
                    for seed in range(1, options.seeds + 1)
                ]
                tally = sum(pool.map(Game.play, games), PairTally())
                title = f"{name}, against {group[0]}" if options.apart else name
                print(f"| {' | '.join([title, *tally.row()])} |", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole}" if whole else "–"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How a model plays under different settings.")
    parser.add_argument("--model", default="smollm2-steady")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="fewer rounds than the scenarios have")
    parser.add_argument("--scenarios", nargs="*", help="which scenarios (default: all)")
    parser.add_argument("--against", nargs="*", default=["boulware", "conceder"])
    parser.add_argument("--apart", action="store_true", help="a row for each opponent")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, help="which settings (default: all)")
    return parser


if __name__ == "__main__":
    main()
