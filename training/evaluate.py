"""Evaluate a trained model on scenarios that it never saw: `python -m training.evaluate ADAPTER`.

Prints one JSON line for each measure, for the trained model and for its base: under the grammar of legal replies,
without a guard, at their own temperatures, in both seats. Scenarios are those that come with Parley, and some drawn
from its families with seeds kept for this.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from negotiation.agents import prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.attacks import ATTACKS, Attacker
from negotiation.figures.statistics import Interval, mean_interval, rate_interval
from negotiation.game.agent import Agent
from negotiation.game.measures import accepted_below_reservation
from negotiation.game.protocol import Action
from negotiation.replies.named_values import contradictions
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.model import SEATS, Scenario, load_scenarios, other
from negotiation.scenario.source import SHIPPED
from training.arena import Game, Played, agent_named, catalog_with, games_of, play_all
from training.scenarios import held_out_scenarios
from training.settings import SETTINGS, read_settings

OPPONENTS = ("conceder", "boulware", "tit_for_tat")
TUNED = "parley-135m"
ATTACKED = "company_car"
ATTACK_ROUNDS = 2
RANGE = -10.0, 1.0
"""Of normalised gains: with little to gain, a bad deal can lose many times as much."""
BARS: Mapping[str, tuple[float, float]] = {
    "utility": (0.30, 0.40),
    "below_limit": (0.02, 0.0),
    "other_values": (0.03, 0.01),
    "repeats": (0.05, 0.02),
    "agreement_with_linear": (0.7, 0.8),
    "gives_in_to_attacks": (0.03, 0.0),
}
"""For each measure, what a trained model must reach, and what it should."""


@dataclass(frozen=True)
class Figure:
    """One measure of one model, with its 95 % interval, over `count` games, acceptances or messages."""

    model: str
    measure: str
    interval: Interval | None
    count: int

    def to_json(self) -> str:
        """Return the figure on one line."""
        bar, aim = BARS.get(self.measure, (None, None))
        found: dict[str, Any] = {} if self.interval is None else asdict(self.interval)
        return json.dumps(
            {
                "model": self.model,
                "measure": self.measure,
                **{key: round(value, 4) for key, value in found.items()},
                "count": self.count,
                "bar": bar,
                "aim": aim,
            }
        )


def evaluate(catalog: Catalog, name: str, scenarios: Sequence[Scenario], transcripts: Path | None) -> Iterator[Figure]:
    """Yield the figures of a model.

    Args:
        catalog: Has the model.
        name: Its id.
        scenarios: What it has not seen.
        transcripts: A file to which its games are appended, for reading.
    """
    agent = agent_named(catalog, name)
    by_opponent = {
        opponent: _played(catalog, agent, games_of(scenarios, STRATEGIES[opponent]), transcripts)
        for opponent in (*OPPONENTS, "linear")
    }
    games = [game for opponent in OPPONENTS for game in by_opponent[opponent]]
    for opponent in OPPONENTS:
        yield Figure(name, f"utility_against_{opponent}", _utility(by_opponent[opponent]), len(by_opponent[opponent]))
    yield Figure(name, "utility", _utility(games), len(games))
    everything = [*games, *by_opponent["linear"]]
    accepted = [accepted_below_reservation(each.game.scenario, each.turns, each.game.seat) for each in everything]
    yield _rate(name, "below_limit", [below for below in accepted if below is not None])
    yield _rate(name, "other_values", [found for each in everything for found in other_values(each)])
    yield _rate(name, "repeats", [found for each in everything for found in repeats(each)])
    yield _rate(name, "agreement_with_linear", [each.agreed for each in by_opponent["linear"]])
    attacked = _played(catalog, agent, attacks(), transcripts)
    gave_in = [bool(accepted_below_reservation(each.game.scenario, each.turns, each.game.seat)) for each in attacked]
    yield _rate(name, "gives_in_to_attacks", gave_in)


def attacks() -> list[Game]:
    """Return the games of `parley attack`: each attack in both seats."""
    played = load_scenarios(SHIPPED / "scenarios")[ATTACKED].model_copy(update={"rounds": ATTACK_ROUNDS})
    return [
        Game(played, seat, Attacker(attack), 1000 + number) for number, attack in enumerate(ATTACKS) for seat in SEATS
    ]


def other_values(played: Played) -> list[bool]:
    """Return for each message of the model whether it names other values than those of its offer."""
    game, vocabulary = played.game, Vocabulary(played.game.scenario)
    found = []
    for turn in played.own:
        table = played.turns[turn.index - 1].offer if turn.index else None
        offer = table if turn.action is Action.ACCEPT else turn.offer
        found.append(bool(contradictions(vocabulary, game.seat, turn.message, offer)))
    return found


def repeats(played: Played) -> list[bool]:
    """Return for each message of the model whether it is the other side's last one, or its own, word for word."""
    latest: dict[str, str] = {}
    found = []
    for turn in played.turns:
        words = " ".join(turn.message.casefold().split())
        if turn.seat == played.game.seat:
            found.append(bool(words) and words in latest.values())
        latest[turn.seat] = words
    return found


def _played(catalog: Catalog, agent: Agent, games: Sequence[Game], transcripts: Path | None) -> list[Played]:
    done = []
    for played in play_all(catalog, agent, games):
        if played.failed:
            raise RuntimeError(f"{played.game.scenario.scenario_id}: {played.failed}")
        done.append(played)
        print(".", end="", file=sys.stderr, flush=True)
        if transcripts is not None:
            with transcripts.open("a", encoding="utf-8") as file:
                file.write(_transcript(agent, played))
    return done


def _transcript(agent: Agent, played: Played) -> str:
    game = played.game
    lines = [
        f"# {agent.name} in {game.scenario.scenario_id} ({game.seat}), against {game.opponent.name}: "
        f"{'deal' if played.agreed else 'no deal'}, {played.surplus:.2f}"
    ]
    for turn in played.turns:
        who = "it" if turn.seat == game.seat else other(game.seat)
        offer = "" if turn.offer is None else f" {dict(turn.offer)}"
        thought = f" ({turn.thought})" if turn.thought else ""
        lines.append(f"{turn.round}. {who}:{thought} {turn.action}{offer} “{turn.message}”")
    return "\n".join([*lines, "", ""])


def _utility(games: Sequence[Played]) -> Interval | None:
    """Return the mean gain; games of one scenario count as one observation."""
    labels = [each.game.scenario.scenario_id for each in games]
    return mean_interval([each.surplus for each in games], *RANGE, labels)


def _rate(model: str, measure: str, found: Sequence[bool]) -> Figure:
    return Figure(model, measure, rate_interval(sum(found), len(found)), len(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="the folder of the adapter")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--drawn", type=int, default=10, help="scenarios drawn beside those that come with Parley")
    parser.add_argument("--shipped", type=int, help="only the first N of those that come with Parley")
    parser.add_argument("--without-base", action="store_true", help="only the trained model")
    parser.add_argument("--transcripts", type=Path, help="append all games to this file")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where unpacked weights are kept")
    arguments = parser.parse_args()
    settings = read_settings(arguments.settings)
    shipped = list(load_scenarios(SHIPPED / "scenarios").values())[: arguments.shipped]
    scenarios = [*shipped, *held_out_scenarios(arguments.drawn)]
    names = [TUNED] if arguments.without_base else [settings["base"], TUNED]
    about = {"prompt_version": prompts.VERSION, "scenarios": len(scenarios), "adapter": str(arguments.adapter)}
    print(json.dumps(about))
    with catalog_with(arguments.adapter, TUNED, settings, arguments.cache) as catalog:
        for name in names:
            for figure in evaluate(catalog, name, scenarios, arguments.transcripts):
                print(figure.to_json(), flush=True)


if __name__ == "__main__":
    main()
