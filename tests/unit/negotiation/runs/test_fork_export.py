"""Forks begin as their run did; exports hold everything and no formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.prompts import conversation
from negotiation.errors import IllegalTurn, StoreError
from negotiation.game.events import Ended, TurnTaken
from negotiation.game.session import Negotiation, negotiate, replay, view_of
from negotiation.live.fork import fork
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.export import export_run, read_export, to_csv, to_jsonl
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.analysis import Analyser

Runs = Callable[..., Run]


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers({"fast": {}, "other": {}}))


def played(run: Run, catalog: Catalog) -> Run:
    """The run with all its turns."""
    agents = {seat: catalog.create(config) for seat, config in run.agents.items()}
    events = list(negotiate(Negotiation(run.run_id, run.scenario, agents, run.seed)))
    end = events[-1]
    assert isinstance(end, Ended)
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    return replace(run, turns=turns, ending=end.ending, agreement=end.agreement, measures=end.measures)


@pytest.fixture
def run(make_run: Runs, catalog: Catalog) -> Run:
    return played(make_run("run-1", a="fast", b="boulware", seed=3), catalog)


def test_a_fork_with_the_same_agents_keeps_the_turns_word_for_word(run: Run) -> None:
    forked = fork(run, 3, run.agents)
    assert forked.turns == run.turns[:3]
    assert (forked.forked_from, forked.forked_turns, forked.seed) == ("run-1", 3, run.seed)
    assert (forked.run_id, forked.owner, forked.ending) == ("", None, None)


def test_a_new_agent_sees_the_past_as_if_it_had_played_it(run: Run, catalog: Catalog) -> None:
    forked = fork(run, 4, {**run.agents, "a": AgentConfig("other")})
    assert [turn.message for turn in forked.turns] == [turn.message for turn in run.turns[:4]]
    assert {turn.thought for turn in forked.turns[::2]} == {""}, "what its predecessor thought is its own affair"
    agents = {seat: catalog.create(config) for seat, config in forked.agents.items()}
    negotiation = Negotiation("run-2", forked.scenario, agents, forked.seed, forked.turns)
    state = replay(forked.scenario, forked.turns)
    told = conversation(view_of(negotiation, Analyser(forked.scenario), state, list(forked.turns)))
    assert [message["role"] for message in told] == ["system", *["user", "assistant"] * 2]
    assert run.scenario.roles["a"].briefing.strip() in told[0]["content"]
    assert [json.loads(message["content"])["offer"] for message in told[2::2]] == [t.offer for t in run.turns[:4:2]]


def test_the_other_side_sees_the_replaced_message(run: Run, catalog: Catalog) -> None:
    forked = fork(run, 2, {**run.agents, "a": AgentConfig("other")}, message="My last word.")
    assert forked.turns[-1].message == "My last word."
    agents = {seat: catalog.create(config) for seat, config in forked.agents.items()}
    events = negotiate(Negotiation("run-2", forked.scenario, agents, forked.seed, forked.turns))
    following = next(event.turn for event in events if isinstance(event, TurnTaken))
    assert "My last word." in following.prompt[-1]["content"]


@pytest.mark.parametrize(("turns", "message"), [(-1, None), (99, None), (0, "too early")])
def test_impossible_fork_points_are_refused(run: Run, turns: int, message: str | None) -> None:
    with pytest.raises(IllegalTurn):
        fork(run, turns, run.agents, message)


def test_a_fork_after_the_end_is_refused(run: Run) -> None:
    with pytest.raises(IllegalTurn, match="had already ended"):
        fork(run, len(run.turns), run.agents)


def test_a_fork_runs_to_its_own_end(run: Run, catalog: Catalog, store: Store) -> None:
    store.begin(run)
    live = LiveRuns(catalog, store)
    try:
        forked = live.fork("run-1", 2, {"a": AgentConfig("conceder")}, owner="anne")
        watch = live.watch(forked)
        events = list(watch) if watch else []
    finally:
        live.close()
    found = store.run(forked)
    assert found.turns[:2] != ()
    assert [turn.message for turn in found.turns[:2]] == [turn.message for turn in run.turns[:2]]
    assert (found.status, found.owner, found.forked_from, found.forked_turns) == ("done", "anne", "run-1", 2)
    assert found.turns[2].agent == "conceder"
    assert not events or isinstance(events[-1], Ended)
    assert [turn.message for turn in store.run("run-1").turns] == [turn.message for turn in run.turns]


def test_jsonl_holds_everything_but_the_owner(run: Run) -> None:
    (line,) = to_jsonl([replace(run, owner="secret-visitor")])
    assert "secret-visitor" not in line
    data = json.loads(line)
    assert data == json.loads(json.dumps(export_run(run)))
    assert len(data["turns"]) == len(run.turns)
    assert data["scenario_definition"]["title"] == run.scenario.title


@pytest.mark.parametrize("wrong", [{"seed": 2**63}, {"created": 1e15}, {"created": -1.0}])
def test_numbers_that_no_format_can_hold_are_no_run(run: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=f"key '{next(iter(wrong))}'"):
        read_export({**json.loads(json.dumps(export_run(run))), **wrong})


def test_remarks_on_replies_are_exported(run: Run) -> None:
    remarked = replace(run, turns=(replace(run.turns[0], notes=("repeated", "other_numbers")), *run.turns[1:]))
    assert export_run(remarked)["turns"][0]["notes"] == ("repeated", "other_numbers")
    rows = list(csv.DictReader(io.StringIO(to_csv([remarked]), newline="")))
    assert [row["notes"] for row in rows[:2]] == ["repeated other_numbers", ""]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1", "  =1", '=HYPERLINK("x")'])
def test_csv_holds_no_formulas(run: Run, text: str) -> None:
    turns = tuple(replace(turn, message=text, thought=text) for turn in run.turns)
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(to_csv([replace(run, turns=turns)]), newline="")))
    assert len(rows) == len(run.turns)
    assert {row["message"] for row in rows} == {f"'{text}"}
    assert rows[0]["action"] == "offer"
    assert json.loads(rows[0]["offer"]) == run.turns[0].offer
