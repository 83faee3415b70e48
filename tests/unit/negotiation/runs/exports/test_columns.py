"""Tables of runs and turns have the stated columns with the stated types, whatever became of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from manager.generation.request import GenerationRequest, Message
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.live.fork import fork
from negotiation.runs.exports.columns import MEASURED_TURN, RUN, TURN, RunPlace, measured_turns, run_row, turn_row
from negotiation.runs.exports.model_input import model_input
from negotiation.runs.record import Run
from tests.support.finished import played


@pytest.fixture
def run(make_run: Callable[..., Run], managers: Callable[..., LLMManager]) -> Run:
    return played(make_run("run-1", a="fast", seed=3, created=1.7e9), Catalog(managers({"fast": {}})))


def check(row: Mapping[str, Any], columns: Mapping[str, type]) -> None:
    assert list(row) == list(columns)
    wrong = {name: value for name, value in row.items() if value is not None and type(value) is not columns[name]}
    assert not wrong


def test_every_row_has_the_stated_columns_and_types(run: Run) -> None:
    halted = replace(run, status="failed", reason="why", measures=None, ending=None, agreement=None, created=0.0)
    bare = replace(halted, turns=(), provenance=None)
    for each in (run, halted, bare):
        check(run_row(each), RUN)
        for turn in each.turns:
            check(turn_row(each, turn), TURN)
        for row in measured_turns(each):
            check(row, MEASURED_TURN)


def test_a_run_in_one_row(run: Run) -> None:
    row, measures, roles = run_row(run), run.measures, run.scenario.roles
    assert measures is not None
    assert (row["run_id"], row["scenario"], row["seed"], row["status"]) == ("run-1", "bike", 3, "done")
    assert row["created"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (row["agent_a"], row["model_a"], row["agent_b"], row["model_b"]) == ("fast", "fast", "conceder", None)
    assert row["gain_a"] == pytest.approx(measures.utility_a - roles["a"].reservation)
    assert row["agreement"] == (None if run.agreement is None else json.dumps(run.agreement))
    assert (row["turns_a"] + row["turns_b"], row["last_round"]) == (len(run.turns), run.turns[-1].round)
    assert row["prompt_version"] is not None


def test_turns_carry_their_measures(run: Run) -> None:
    rows = list(measured_turns(run))
    assert [row["turn"] for row in rows] == list(range(len(run.turns)))
    measures = run.measures
    assert measures is not None
    for seat in ("a", "b"):
        assert tuple(row["regret"] for row in rows if row["seat"] == seat) == measures.seats[seat].regret
        assert tuple(row["concession"] for row in rows if row["seat"] == seat) == measures.seats[seat].concession


def test_a_fork_has_its_model_and_only_what_its_own_turns_took(run: Run, managers: Callable[..., LLMManager]) -> None:
    forked = replace(fork(run, 2, run.agents), run_id="run-2", created=1.7e9)
    again = played(forked, Catalog(managers({"fast": {}})))
    row, own = run_row(again), [turn for turn in again.turns[2:] if turn.seat == "a"]
    assert (row["model_a"], row["device_a"]) == ("fast", run_row(run)["device_a"])
    assert (row["turns_a"], row["tokens_a"]) == (len(own), sum(turn.tokens for turn in own))
    assert row["tokens_a"] < sum(turn.tokens for turn in again.turns)


@pytest.mark.parametrize("options", [{"hidden": True}, {"margin": 0.1, "hidden": True}, {"exponent": 0.3}, {}])
def test_agents_are_labelled_as_in_tournaments(make_run: Callable[..., Run], options: dict[str, Any]) -> None:
    """Hidden parameters are drawn for each negotiation and are no part of the name."""
    chosen = AgentConfig("boulware", options)
    for seed in (1, 2):
        begun = make_run(seed=seed)
        settled = replace(begun, agents={**begun.agents, "a": chosen.settled("bike", seed)})
        assert run_row(settled)["label_a"] == chosen.label
        assert run_row(settled, RunPlace("cup", {"a": "x", "b": "y"}))["label_a"] == "x"


def test_what_a_model_read_can_be_told(
    make_run: Callable[..., Run], managers: Callable[..., LLMManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a fork, whose model read turns that it did not play, and after replies that were corrected."""
    asked: list[tuple[Message, ...]] = []

    def recorded(messages: tuple[Message, ...], *arguments: Any, **about: Any) -> Any:
        asked.append(messages)
        return GenerationRequest(messages, *arguments, **about)

    monkeypatch.setattr("negotiation.agents.model.GenerationRequest", recorded)
    catalog = Catalog(managers({"fast": {}, "mute": {"replies": ["Hm."]}}))
    first = played(make_run("run-1", a="linear"), catalog)
    for name in ("fast", "mute"):
        asked.clear()
        agents = {**first.agents, "a": catalog.complete(AgentConfig(name))}
        again = played(replace(fork(first, 4, agents), run_id="run-2"), catalog)
        own = [turn for turn in again.turns[4:] if turn.seat == "a"]
        assert len(asked[0]) == 6
        assert [model_input(again, turn) for turn in own] == (asked if name == "fast" else asked[2:])
