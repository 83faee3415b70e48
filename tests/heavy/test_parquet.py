"""Parquet files read back as they were written, with PyArrow and with pandas."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pytest
from pyarrow import parquet

from manager.errors import ConfigError
from negotiation import __version__
from negotiation.agents import prompts
from negotiation.agents.config import AgentConfig
from negotiation.cli import main as cli
from negotiation.runs.exports.columns import MEASURED_TURN, RUN, measured_turns, run_row
from negotiation.runs.exports.parquet import write_parquet
from negotiation.runs.record import Run
from negotiation.scenario.model import load_scenario
from negotiation.tournament.leaderboard_export import COLUMNS
from tests.support.finished import finished
from tests.support.server import ROOT

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]
SCENARIO = ROOT / "configs" / "scenarios" / "night_train.yaml"


@pytest.fixture
def run() -> Run:
    return replace(finished(load_scenario(SCENARIO)), created=1.7e9)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> str:
        assert cli.main(arguments) == 0
        return capsys.readouterr().out

    return run


def test_runs_and_turns_read_back_as_they_were_written(run: Run, tmp_path: Path) -> None:
    halted = replace(run, status="failed", reason="no \ud800 end", measures=None, agreement=None, created=0.0)
    for name, columns, rows in (
        ("runs", RUN, [run_row(run), run_row(halted)]),
        ("turns", MEASURED_TURN, [*measured_turns(run)]),
    ):
        write_parquet({(path := tmp_path / f"{name}.parquet"): (columns, rows)}, {"parley": "1"})
        table = parquet.read_table(path)
        assert table.column_names == list(columns)
        for row in rows:
            row.update({key: value.replace("\ud800", "\ufffd") for key, value in row.items() if isinstance(value, str)})
        assert table.to_pylist() == rows
        assert table.schema.metadata[b"parley"] == b"1"


def test_types_are_stable_even_if_nothing_is_known(tmp_path: Path, run: Run) -> None:
    write_parquet({tmp_path / "none.parquet": (RUN, [])}, {})
    write_parquet({tmp_path / "one.parquet": (RUN, [run_row(run)])}, {})
    none, one = (parquet.read_schema(tmp_path / f"{name}.parquet") for name in ("none", "one"))
    assert none.equals(one)
    types = {name: none.field(name).type for name in ("created", "seed", "surplus_a", "agreed", "agreement")}
    assert types == {
        "created": pa.timestamp("us", tz="UTC"),
        "seed": pa.int64(),
        "surplus_a": pa.float64(),
        "agreed": pa.bool_(),
        "agreement": pa.string(),
    }
    assert all(field.nullable for field in none)


def test_all_files_are_written_or_none(tmp_path: Path, run: Run) -> None:
    first, second = tmp_path / "runs.parquet", tmp_path / "more.parquet"
    second.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="already exists"):
        write_parquet({first: (RUN, [run_row(run)]), second: (RUN, [])}, {})
    assert second.read_bytes() == b"mine"
    second.unlink()
    with pytest.raises(ConfigError, match="does not fit"):
        write_parquet({first: (RUN, [run_row(run)]), second: (RUN, [{**run_row(run), "tokens_a": 2**63}])}, {})
    assert not list(tmp_path.iterdir())


def test_the_commands_write_what_pandas_reads(call: Callable[..., str], tmp_path: Path) -> None:
    baselines = "[boulware, {agent: boulware, options: {hidden: true}}, conceder]"
    plan = f"title: Cup\nbaselines: {baselines}\nscenarios: [night_train, company_car]\npairs: 1\n"
    (tmp_path / "cup.yaml").write_text(plan)
    board: dict[str, Any] = json.loads(call("tournament", str(tmp_path / "cup.yaml"), "--json", "-"))
    key, folder = board["tournament_id"], tmp_path / "exported"
    (tmp_path / "runs.jsonl").write_text(call("export", key))
    call("export", key, str(tmp_path / "runs.jsonl"), "--parquet", str(folder))
    call("leaderboard", "--parquet", str(folder / "board.parquet"))
    runs, turns, standings = (pandas.read_parquet(folder / f"{name}.parquet") for name in ("runs", "turns", "board"))
    assert len(runs) == runs.run_id.nunique() == board["done"] == 12
    assert set(runs.tournament_id) == {key}
    assert set(turns.run_id) == set(runs.run_id)
    assert turns.groupby("run_id").size().sum() == (runs.turns_a + runs.turns_b).sum()
    for row in board["standings"]:
        sides = [runs[runs[f"label_{seat}"] == row["agent"]][f"surplus_{seat}"] for seat in ("a", "b")]
        assert pandas.concat(sides).mean() == pytest.approx(row["these_scenarios"]["surplus"]["mean"], abs=1e-5)
    assert list(standings.columns) == list(COLUMNS)
    whole = standings[standings.scenario.isna()]
    assert list(whole.agent) == [row["agent"] for row in board["standings"]]
    for name in ("runs", "board"):
        about = parquet.read_schema(folder / f"{name}.parquet").metadata
        assert (about[b"parley"], about[b"prompt_versions"]) == (
            __version__.encode(),
            str(prompts.VERSION).encode(),
        )
        assert set(json.loads(about[b"provenance"])["scenarios"]) == {"night_train", "company_car"}
    assert about[b"tournament_id"].decode() == key


def test_agents_keep_their_options(tmp_path: Path, run: Run) -> None:
    hard = replace(run, agents={**run.agents, "a": AgentConfig("boulware", {"exponent": 0.1})})
    write_parquet({(path := tmp_path / "runs.parquet"): (RUN, [run_row(hard)])}, {})
    (row,) = parquet.read_table(path).to_pylist()
    assert (row["agent_a"], json.loads(row["options_a"]), row["options_b"]) == ("boulware", {"exponent": 0.1}, "{}")
