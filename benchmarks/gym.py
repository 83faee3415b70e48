"""How many scripted negotiations one core plays per second, at the table and in the environment.

`python -m benchmarks.gym` prints a JSON line for each case: negotiations and turns per second of processor time, the
median over the rounds and its spread. `table` plays script against script with `negotiate`; `environment` plays the
same games with the script in seat a behind the environment; `vector` does so in 32 environments side by side. `drawn`
plays as many games in the environment, each in a scenario that is drawn for it from one of the shipped families.
`ratio` is the rate over that of `table` in the same round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator

from negotiation.agents.strategies import STRATEGIES
from negotiation.app.settings import SHIPPED
from negotiation.families.family import FAMILIES, family_names, load_family
from negotiation.game.agent import Decision, View
from negotiation.game.events import TurnTaken
from negotiation.game.session import Negotiation, negotiate
from negotiation.gym import Episode, SeatEnvironment, VectorEnvironment
from negotiation.scenario.model import Scenario, load_scenarios

SIDE_BY_SIDE = 32
MINE, OPPONENTS = "linear", ("boulware", "conceder", "tit_for_tat")


def episodes(scenarios: list[Scenario], seeds: int) -> Iterator[Episode]:
    """Yield the games that every case plays."""
    for seed in range(seeds):
        for scenario in scenarios:
            for opponent in OPPONENTS:
                yield Episode(scenario, "a", opponent, seed)


def drawn_episodes(count: int) -> list[Episode]:
    """Return games in `count` different scenarios."""
    families = [load_family(name) for name in family_names(FAMILIES)]
    size = len(families)
    return [Episode(families[n % size], "a", OPPONENTS[n // size % len(OPPONENTS)], n) for n in range(count)]


def decide(view: View) -> Decision:
    """Return the decision of the script that plays seat a."""
    return STRATEGIES[MINE].decide(view)


def at_the_table(games: list[Episode]) -> int:
    """Play script against script, and return the number of turns."""
    turns = 0
    for game in games:
        assert isinstance(game.scenario, Scenario)
        agents = {**game.agents, "a": STRATEGIES[MINE]}
        events = negotiate(Negotiation("benchmark", game.scenario, agents, game.seed))
        turns += sum(isinstance(event, TurnTaken) for event in events)
    return turns


def in_the_environment(games: list[Episode]) -> int:
    """Play with the script behind the environment, and return the number of its turns."""
    environment, turns = SeatEnvironment(), 0
    for game in games:
        seen = environment.begin(game)
        while seen is not None:
            seen = environment.step(decide(seen.view)).observation
            turns += 1
    return turns


def side_by_side(games: list[Episode]) -> int:
    """Play many at once, and return the number of turns of the script in seat a."""
    vector, turns = VectorEnvironment(games, SIDE_BY_SIDE), 0
    while not vector.done:
        steps = vector.step([None if seen is None else decide(seen.view) for seen in vector.observations])
        turns += sum(step is not None for step in steps)
    return turns


Case = tuple[Callable[[list[Episode]], int], list[Episode]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    games = list(episodes(list(load_scenarios(SHIPPED / "scenarios").values()), options.seeds))
    cases: dict[str, Case] = {
        "table": (at_the_table, games),
        "environment": (in_the_environment, games),
        "vector": (side_by_side, games),
        "drawn": (in_the_environment, drawn_episodes(len(games))),
    }
    rates: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
    for play, given in cases.values():
        play(given[: len(given) // options.seeds])  # computes what is kept per scenario
    for _ in range(options.rounds):
        for case, (play, given) in cases.items():
            begun = time.process_time()
            turns = play(given)
            seconds = time.process_time() - begun
            rates[case].append((len(given) / seconds, turns / seconds))
    for case, found in rates.items():
        ratios = [one[0] / base[0] for one, base in zip(found, rates["table"], strict=True)]
        line = {
            "case": case,
            "negotiations_per_second": round(statistics.median(rate for rate, _ in found), 1),
            "turns_per_second": round(statistics.median(rate for _, rate in found), 1),
            "ratio": round(statistics.median(ratios), 3),
            "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
