"""Tables of runs and turns have the stated columns with the stated types, whatever became of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.runs.columns import MEASURED_TURN, RUN, TURN, measured_turns, run_row, turn_row
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
