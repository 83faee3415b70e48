"""Games of a trained model: the program's own manager, agents and protocol, against scripts, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manager.config.registry import Registry
from manager.config.strict_yaml import read_yaml
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, Halted, Turn, TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario, Seat, other
from negotiation.scenario.source import SHIPPED

AT_ONCE = 16


@dataclass(frozen=True)
class Game:
    """A negotiation to play: the model sits in `seat`."""

    scenario: Scenario
    seat: Seat
    opponent: Agent
    seed: int


@dataclass(frozen=True)
class Played:
    """A game that was played.

    Attributes:
        turns: The turns of both sides.
        agreed: Whether it ended with a deal.
        surplus: The normalised gain: 0 at no deal, 1 at the best deal that the other side could accept.
        failed: Why it did not end; empty if it did.
    """

    game: Game
    turns: tuple[Turn, ...]
    agreed: bool
    surplus: float
    failed: str = ""

    @property
    def own(self) -> list[Turn]:
        """The turns of the model."""
        return [turn for turn in self.turns if turn.seat == self.game.seat]


def play(agent: Agent, game: Game, run_id: str) -> Played:
    """Play a game."""
    seat, scenario = game.seat, game.scenario
    agents: dict[Seat, Agent] = {seat: agent, other(seat): game.opponent}
    turns: list[Turn] = []
    agreed, surplus, failed = False, 0.0, ""
    for event in negotiate(Negotiation(run_id, scenario, agents, game.seed)):
        if isinstance(event, TurnTaken):
            turns.append(event.turn)
        elif isinstance(event, Ended):
            worth = event.measures.utility_a if seat == "a" else event.measures.utility_b
            least = scenario.roles[seat].reservation
            agreed = event.agreement is not None
            surplus = (worth - least) / (Analyser(scenario).best_given(seat) - least)
        elif isinstance(event, Halted):
            failed = event.reason
    return Played(game, tuple(turns), agreed, surplus, failed)


def play_all(catalog: Catalog, agent: Agent, games: Sequence[Game], at_once: int = AT_ONCE) -> Iterator[Played]:
    """Play games, many at once, and yield them in order."""

    def one(number: int, game: Game) -> Played:
        run_id = f"training {agent.name} {number}"
        try:
            return play(agent, game, run_id)
        finally:
            catalog.manager.forget(run_id)

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, range(len(games)), games)


def games_of(scenarios: Iterable[Scenario], opponent: Agent, seeds: Iterable[int] = (1,)) -> list[Game]:
    """Return a game in each seat of each scenario for each seed."""
    seeds = list(seeds)
    return [Game(scenario, seat, opponent, seed) for scenario in scenarios for seat in SEATS for seed in seeds]


@contextmanager
def catalog_with(adapter: Path | None, name: str, settings: Mapping[str, Any], cache: Path) -> Iterator[Catalog]:
    """Open the models that come with Parley, and one more: the base model with an adapter merged in.

    Args:
        adapter: The adapter's folder; without it, the base model itself gets the other name and settings.
        name: The id of the model.
        settings: `base`, the id of the model that is adapted, and `sampling`, its generation settings.
        cache: Where unpacked weights are kept.
    """
    entries = read_yaml(SHIPPED / "models.yaml")
    entry = {**entries[settings["base"]], "label": name, "generation_config": dict(settings["sampling"])}
    if adapter is not None:
        entry["adapters"] = [str(adapter)]
    with LLMManager(Registry.from_configs({**entries, name: entry}), cache_dir=cache) as manager:
        yield Catalog(manager)


def agent_named(catalog: Catalog, name: str) -> Agent:
    """Return a model as an agent that may make any legal move."""
    return catalog.create(AgentConfig(name, {"guard": "legal"}))
