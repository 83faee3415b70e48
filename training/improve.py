"""Improve a trained model by rejection sampling: `python -m training.improve FOLDER --adapter ADAPTER`.

In each cycle the model plays every game several times against scripts, through the program's own engine and under the
grammar of legal replies. Of the games that went differently, those are kept in which it gained most and made no fault;
they are learned like the teacher's (Zelikman et al. 2022; Dong et al. 2023, "RAFT"). Lessons of the teacher are mixed
in, so that its manners stay.
"""

from __future__ import annotations

import argparse
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from manager.errors import ConfigError
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.measures import accepted_below_reservation
from negotiation.scenario.model import SEATS
from training.arena import Game, Played, agent_named, catalog_with, play_all
from training.data import Conversation, lesson, opponent_of
from training.evaluate import TUNED, other_values, repeats
from training.scenarios import training_scenario
from training.settings import SETTINGS, begin_in, read_settings
from training.sft import Lesson, Trainer, new_model

FIRST_NUMBER = 10**5
"""Lessons and games are numbered from here on, so that they are not those of the fine-tuning."""
LEAST_LEAD = 0.02
"""How much more than on average, over its repetitions, a game must bring to be kept."""


def groups(seed: int, cycle: int, size: int, repetitions: int) -> list[list[Game]]:
    """Return `size` games for a cycle, each `repetitions` times with other seeds of the model's sampling."""
    found = []
    for place in range(size):
        number = FIRST_NUMBER + cycle * size + place
        scenario = training_scenario(seed, number)
        chance = random.Random(f"improve {seed} {number}")
        opponent = opponent_of(chance)
        if opponent.name not in STRATEGIES:
            opponent = STRATEGIES[chance.choice(["conceder", "boulware", "tit_for_tat", "linear"])]
        seat = chance.choice(SEATS)
        found.append([Game(scenario, seat, opponent, 1000 * number + one) for one in range(repetitions)])
    return found


def best(played: Iterable[Played]) -> list[Played]:
    """Return the games without a fault that brought clearly more than the others of their scenario and opponent."""
    alike: defaultdict[tuple[str, str, str], list[Played]] = defaultdict(list)
    for each in played:
        if not each.failed:
            alike[each.game.scenario.scenario_id, each.game.seat, each.game.opponent.name].append(each)
    kept = []
    for games in alike.values():
        mean = sum(each.surplus for each in games) / len(games)
        kept += [each for each in games if each.surplus >= mean + LEAST_LEAD and each.surplus > 0 and faultless(each)]
    return kept


def faultless(played: Played) -> bool:
    """Return whether the model made no invalid reply, accepted nothing below its limit, and said nothing wrong."""
    game = played.game
    below = accepted_below_reservation(game.scenario, played.turns, game.seat)
    invalid = any(turn.invalid for turn in played.own)
    return not (below or invalid or any(repeats(played)) or any(other_values(played)))


def conversation_of(played: Played) -> Conversation:
    """Return a game as a conversation to learn."""
    messages: list[Any] = []
    for turn in played.own:
        messages = [] if turn.prompt[0]["role"] == "system" else messages
        messages += [*turn.prompt, {"role": "assistant", "content": turn.raw}]
    learned = tuple(True for message in messages if message["role"] == "assistant")
    game = played.game
    return Conversation(tuple(messages), learned, game.scenario.scenario_id, game.opponent.name, played.surplus)


def lessons_of(kept: Sequence[Played]) -> list[Lesson]:
    """Return games as lessons: those in the same seat of the same scenario together."""
    alike: defaultdict[tuple[str, str], list[Conversation]] = defaultdict(list)
    for played in kept:
        alike[played.game.scenario.scenario_id, played.game.seat].append(conversation_of(played))
    return list(alike.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapter", type=Path, required=True, help="where to begin: an adapter of training.sft")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--cache", type=Path, help="where the unpacked base model is kept (default: in FOLDER)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder: Path = arguments.folder
    settings = read_settings(arguments.settings)
    try:
        begin_in(folder, settings)
    except ConfigError as error:
        parser.error(str(error))
    improving, cache = settings["improving"], arguments.cache or folder / "cache"
    branches, seed = settings["data"]["branches"], settings["data"]["seed"]
    model, tokenizer, write = new_model(settings, cache, arguments.adapter)
    trainer = Trainer(model, tokenizer, folder, {**settings["training"], **improving["training"]}, write)
    steps = improving["cycles"] * improving["steps"]
    for cycle in range(trainer.step // improving["steps"], improving["cycles"]):
        trainer.save()
        games = [game for group in groups(seed, cycle, improving["games"], improving["repetitions"]) for game in group]
        with catalog_with(folder / "adapter", TUNED, settings, cache) as catalog:
            played = list(play_all(catalog, agent_named(catalog, TUNED), games))
        kept = lessons_of(best(played))
        gained = sum(each.surplus for each in played) / len(played)
        trainer.log(
            {"step": trainer.step, "cycle": cycle, "games": len(played), "gained": gained, "lessons": len(kept)}
        )

        def lessons(step: int, kept: Sequence[Lesson] = kept) -> list[Lesson]:
            chance = random.Random(f"mix {seed} {step}")
            if kept and chance.random() >= improving["teacher"]:
                return [chance.choice(kept)]
            return [lesson(seed, FIRST_NUMBER + step, branches)]

        trainer.train(lessons, min((cycle + 1) * improving["steps"], steps), last=steps)


if __name__ == "__main__":
    main()
