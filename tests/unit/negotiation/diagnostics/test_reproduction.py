"""Playing a run again: identical, or the first difference with everything that changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.agents.strategies import STRATEGIES
from negotiation.batch.executor import play
from negotiation.diagnostics.reproduction import Reproduction, TurnCheck, reproduce
from negotiation.errors import UnknownAgent
from negotiation.game.agent import Decision, View
from negotiation.game.events import Ended, Turn, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.live.fork import fork
from negotiation.runs.export import read_export, to_jsonl
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run
from negotiation.scenario.model import other

Runs = Callable[..., Run]


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers({"model": {"generation_config": {"temperature": 0.4}}, "far": FAR}))


FAR = {"type": "openai", "model_name": "m", "base_url": "http://127.0.0.1:9/v1", "retries": 0}


@pytest.fixture
def recorded(catalog: Catalog, make_run: Runs) -> Run:
    """A run of a model against a strategy."""
    return play(catalog, make_run("run-1", a="model", b="boulware", seed=5), CancelToken())


def again(catalog: Catalog, run: Run) -> Reproduction:
    return reproduce(catalog, run, CancelToken())


def tampered(run: Run, number: int, **changes: Any) -> Run:
    turns = list(run.turns)
    turns[number] = replace(turns[number], **changes)
    return replace(run, turns=tuple(turns))


def changed(found: Reproduction) -> dict[str, tuple[Any, Any]]:
    return {setting.name: (setting.recorded, setting.now) for setting in found.settings if not setting.same}


def test_scripts_do_the_same_again_turn_by_turn(catalog: Catalog, make_run: Runs) -> None:
    run = play(catalog, make_run("run-1", a="micro", b="conceder"), CancelToken())
    seen: list[TurnCheck] = []
    found = reproduce(catalog, run, CancelToken(), seen.append)
    assert found.identical
    assert (found.first_difference, found.limits, changed(found)) == (None, (), {})
    assert [check.recorded for check in seen] == list(run.turns)
    assert found.settings


def test_a_model_does_the_same_again_from_an_export(catalog: Catalog, recorded: Run) -> None:
    (line,) = to_jsonl([recorded])
    assert again(catalog, read_export(json.loads(line))).identical


@pytest.mark.parametrize(
    "changes", [{"message": "Never said."}, {"thought": "Never thought."}, {"raw": "{}"}, {"prompt": ()}]
)
def test_a_tampered_turn_is_found(catalog: Catalog, recorded: Run, changes: dict[str, Any]) -> None:
    found = again(catalog, tampered(recorded, 2, **changes))
    assert not found.identical
    first = found.first_difference
    assert first is not None
    assert found.turns.index(first) == 2
    assert first.differs == tuple(changes)


def test_a_tampered_ending_is_found(catalog: Catalog, recorded: Run) -> None:
    assert recorded.ended_by is not None
    found = again(catalog, replace(recorded, ended_by=other(recorded.ended_by)))
    assert found.first_difference is None
    assert not found.identical


def test_missing_and_invented_turns_differ(catalog: Catalog, recorded: Run) -> None:
    assert len(recorded.turns) > 2
    shorter = again(catalog, replace(recorded, turns=recorded.turns[:-1]))
    assert shorter.first_difference == TurnCheck(None, shorter.again.turns[-1])
    extra = replace(recorded.turns[-1], index=len(recorded.turns))
    longer = again(catalog, replace(recorded, turns=(*recorded.turns, extra)))
    assert longer.first_difference == TurnCheck(extra, None)


def test_changed_settings_are_named_with_both_values(
    managers: Callable[..., LLMManager], recorded: Run, catalog: Catalog
) -> None:
    assert recorded.provenance is not None
    older = recorded.provenance.program.model_copy(update={"torch": "1.0", "prompt_version": 1})
    run = replace(recorded, provenance=recorded.provenance.model_copy(update={"program": older}))
    warmer = Catalog(managers({"model": {"generation_config": {"temperature": 0.9}}}))
    found = changed(again(warmer, run))
    assert found["prompt version"][0] == 1
    assert found["torch"][0] == "1.0"
    assert found["Seller: temperature"] == (0.4, 0.9)
    assert "Seller: top p" not in found


def test_another_scenario_than_the_recorded_digest_is_noticed(catalog: Catalog, recorded: Run) -> None:
    run = replace(recorded, scenario=recorded.scenario.model_copy(update={"story": "Another story."}))
    found = again(catalog, run)
    assert "scenario" in changed(found)
    assert not found.identical, "the model read another prompt"


def test_a_run_that_stopped_is_compared_as_far_as_it_got(catalog: Catalog, recorded: Run) -> None:
    stopped = replace(recorded, status="stopped", ending=None, agreement=None, ended_by=None, turns=recorded.turns[:3])
    found = again(catalog, stopped)
    assert found.identical
    assert len(found.turns) == 3


def test_a_fork_is_played_again_from_where_it_began(catalog: Catalog, recorded: Run) -> None:
    forked = fork(recorded, 2, recorded.agents, message="Another word.")
    agents = {seat: catalog.create(config) for seat, config in forked.agents.items()}
    for event in negotiate(Negotiation("fork", forked.scenario, agents, forked.seed, forked.turns)):
        if isinstance(event, TurnTaken):
            forked = replace(forked, turns=(*forked.turns, event.turn))
        elif isinstance(event, Ended):
            forked = forked.end(event)
    found = again(catalog, forked)
    assert found.identical
    assert len(found.turns) == len(forked.turns) - 2


def test_a_persons_moves_are_repeated_and_said_to_be(catalog: Catalog, recorded: Run) -> None:
    person = replace(recorded, agents={"a": AgentConfig(HUMAN), "b": recorded.agents["b"]})
    person = replace(person, turns=tuple(_as_typed(turn) if turn.seat == "a" else turn for turn in person.turns))
    found = again(catalog, person)
    assert found.identical
    assert [check.repeated for check in found.turns] == [turn.seat == "a" for turn in person.turns]
    assert found.limits == ("A person played the Seller; their recorded moves were repeated, not reproduced.",)


def _as_typed(turn: Turn) -> Turn:
    return replace(turn, raw="", prompt=(), agent=HUMAN)


def test_a_person_whose_record_ends_makes_no_further_move(catalog: Catalog, make_run: Runs) -> None:
    run = make_run("run-1", a=HUMAN, b="boulware", status="done")
    first = Turn(0, 1, "a", HUMAN, Action.OFFER, {"price": 200, "lock": "without"}, "Mine.")
    found = again(catalog, replace(run, turns=(first,)))
    assert (found.again.status, found.identical) == ("failed", False)
    assert "ended here" in found.again.reason


def test_a_remote_model_is_said_to_depend_on_its_server(catalog: Catalog, make_run: Runs) -> None:
    run = make_run("run-1", a="boulware", b="far")
    (limit,) = again(catalog, replace(run, provenance=Provenance.begun(run.scenario))).limits
    assert "'far', which played the Buyer, runs on a remote server." in limit


def test_a_run_without_provenance_is_compared_by_its_turns(catalog: Catalog, recorded: Run) -> None:
    found = again(catalog, replace(recorded, provenance=None))
    assert found.identical
    assert found.settings == ()
    assert "recorded without provenance" in found.limits[0]


def test_a_model_that_is_not_registered_here(catalog: Catalog, make_run: Runs) -> None:
    with pytest.raises(UnknownAgent, match="'gone' is neither a model nor a strategy"):
        again(catalog, make_run("run-1", a="gone"))


def test_a_strategy_that_changed_is_found(catalog: Catalog, make_run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = play(catalog, make_run("run-1", a="boulware", b="conceder"), CancelToken())
    monkeypatch.setitem(STRATEGIES, "conceder", _Leaver())
    first = again(catalog, run).first_difference
    assert first is not None
    assert first.recorded is not None
    assert (first.recorded.seat, "action" in first.differs) == ("b", True)


class _Leaver:
    name = "conceder"

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        return Decision(Action.WALK_AWAY)
