"""The figures come from games of the program's own agents, and only the best games without a fault are learned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.strategies import STRATEGIES
from negotiation.scenario.model import SEATS
from training import evaluate
from training.arena import Game, Played, agent_named, games_of, play_all
from training.improve import best, conversation_of, faultless, lessons_of
from training.scenarios import held_out_scenarios

SCENARIOS = held_out_scenarios(1)


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with LLMManager({"tiny": {"type": "fake", "model_name": "tiny"}}) as manager:
        yield Catalog(manager)


def test_there_is_a_figure_for_each_bar(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    some = evaluate.attacks()[:2]
    monkeypatch.setattr(evaluate, "attacks", lambda: some)
    figures = {figure.measure: figure for figure in evaluate.evaluate(catalog, "tiny", SCENARIOS, None)}
    assert evaluate.BARS.keys() <= figures.keys()
    assert figures["utility"].count == len(SEATS) * len(evaluate.OPPONENTS)
    line = json.loads(figures["repeats"].to_json())
    assert 0 <= line["low"] <= line["mean"] <= line["high"] <= 1
    assert (line["bar"], line["aim"]) == evaluate.BARS["repeats"]


def played(catalog: Catalog, seeds: int) -> list[Played]:
    games = games_of(SCENARIOS, STRATEGIES["conceder"], range(seeds))
    return list(play_all(catalog, agent_named(catalog, "tiny"), games))


def test_a_game_becomes_the_conversation_that_the_model_had(catalog: Catalog) -> None:
    one = next(one for one in played(catalog, 3) if len(one.own) > 1)
    made = conversation_of(one)
    assert [message["role"] for message in made.messages] == ["system", *(["user", "assistant"] * len(one.own))]
    assert [message["content"] for message in made.messages[2::2]] == [turn.raw for turn in one.own]


def test_the_best_games_without_a_fault_are_kept(catalog: Catalog) -> None:
    games = [replace(one, surplus=0.1 * number) for number, one in enumerate(played(catalog, 3))]
    clean = [_with_new_words(one) for one in games]
    assert all(map(faultless, clean))
    kept = best(clean)
    for seat in SEATS:
        seated = [one.surplus for one in clean if one.game.seat == seat]
        mean = sum(seated) / len(seated)
        assert {one.surplus for one in kept if one.game.seat == seat} == {one for one in seated if one > mean}
    repeating = [replace(one, turns=tuple(replace(turn, message="No.") for turn in one.turns)) for one in clean]
    assert best(one for one in repeating if len(one.own) > 1) == []
    assert {len(each) for each in lessons_of(kept)} <= {1, 2, 3}


def _with_new_words(one: Played) -> Played:
    """Return a game with messages that never repeat and name nothing, and in which the model accepted nothing bad."""
    turns = tuple(replace(turn, message=f"Well, {'so ' * turn.index}.") for turn in one.turns)
    if not turns[-1].offer and turns[-1].seat == one.game.seat:
        turns = turns[:-1]
    return replace(one, game=Game(one.game.scenario, one.game.seat, one.game.opponent, 1), turns=turns)
