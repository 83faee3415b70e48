"""The commands about families: families, draw, and scenarios named as FAMILY:SEED:NUMBER."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from negotiation.cli import main as cli
from negotiation.families.family import FAMILIES, family_names, load_family
from negotiation.families.generate import draw_scenario
from negotiation.scenario.model import load_scenario

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command; return the exit status, standard output and standard error."""
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    for variable in ("PARLEY_CONFIG", "PORT", "HOST", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        status = cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_families_are_listed_with_what_they_promise(call: Call) -> None:
    status, out, err = call("families")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == family_names(FAMILIES)
    assert "Several issues to trade (opposition 0.25–0.5, zone 0.15–0.45, 6–10 rounds)" in out
    listed = {entry["family"]: entry for entry in json.loads(call("families", "--json", "-")[1])}
    assert listed["casino"]["source"].startswith("Chawla")
    assert listed["integrative"]["zone"] == [0.15, 0.45]
    assert listed["integrative"]["sha256"] == load_family("integrative").sha256


def test_a_scenario_is_drawn_to_standard_output_or_a_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    status, out, err = call("draw", "integrative", "--seed", 3, "--index", 2)
    assert (status, err) == (0, "")
    assert call("draw", "integrative", "--seed", 3, "--index", 2, "--output", path) == (0, "", "")
    assert path.read_text() == out
    drawn = draw_scenario(load_family("integrative"), 3, 2)
    assert load_scenario(path) == drawn.model_copy(update={"scenario_id": "mine"})


def test_several_scenarios_are_drawn_into_a_folder(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    status, out, err = call("draw", "price", "--seed", 7, "--count", 3, "--output", folder)
    assert (status, out, err) == (0, "", f"wrote 3 scenarios to {folder}\n")
    assert sorted(path.stem for path in folder.iterdir()) == ["price_7_1", "price_7_2", "price_7_3"]
    assert call("lint", folder) == (0, "", "")
    status, _, err = call("draw", "price", "--seed", 7, "--count", 3, "--output", folder)
    assert status == 1
    assert "price_7_1.yaml: already exists" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prise",), "FAMILY: unknown family 'prise'; choose from: casino, "),
        (("price", "--seed", -1), "give a seed from 0"),
        (("price", "--index", 0), "a number from 1"),
        (("price", "--count", 2), "--count: give at least 1, a folder with --output, and no --index"),
        (("price", "--count", 0, "--output", "x"), "--count: give at least 1"),
        (("price", "--count", 2, "--index", 2, "--output", "x"), "--count: give at least 1"),
    ],
)
def test_a_wrong_draw_is_an_error_on_one_line(call: Call, arguments: tuple[object, ...], says: str) -> None:
    status, out, err = call("draw", *arguments)
    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_negotiation_is_played_on_a_drawn_scenario_and_records_it(call: Call) -> None:
    strategies = ("--a", "boulware", "--a-option", "hidden=true", "--b", "conceder", "--seed", 5)
    status, out, _ = call("run", "--scenario", "integrative:3:2", *strategies, "--json", "-")
    assert status == 0
    played = json.loads(out)
    assert played["scenario"] == "integrative_3_2"
    origin = played["provenance"]["drawn_from"]
    assert (origin["family"], origin["seed"], origin["index"]) == ("integrative", 3, 2)
    assert set(played["options"]["a"]) == {"hidden", "exponent", "margin"}
    exported = json.loads(call("export", played["run_id"])[1])
    drawn = draw_scenario(load_family("integrative"), 3, 2)
    assert exported["scenario_definition"] == drawn.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)
    assert call("reproduce", played["run_id"])[0] == 0


def test_every_command_with_a_scenario_can_draw_one(call: Call) -> None:
    found = json.loads(call("analyze", "price:7", "--json", "-")[1])
    assert found["outcomes"] == draw_scenario(load_family("price"), 7, 1).outcomes
    assert 0.2 <= found["zone"] <= 0.5
    both = ("--model-1", "boulware", "--model-2", "conceder", "--opponent", "linear", "--pairs", 1)
    assert json.loads(call("compare", "--scenario", "price:7", *both, "--json", "-")[1])["scenario"] == "price_7_1"


@pytest.mark.parametrize("name", ["prise:1", "price:x", "price:", "price:1:0"])
def test_a_wrong_name_of_a_drawn_scenario_is_an_error_on_one_line(call: Call, name: str) -> None:
    status, out, err = call("analyze", name)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "unknown" in err or "a number from 1" in err


def test_a_tournament_is_played_on_a_family(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "cup.yaml"
    path.write_text("title: Cup\nbaselines: [boulware, conceder]\nfamily: price\ncount: 2\npairs: 1\n")
    status, out, _ = call("tournament", path, "--json", "-")
    assert status == 0
    board = json.loads(out)
    assert set(board["by_scenario"]) == {"price_1_1", "price_1_2"}
    assert board["done"] == 4
    path.write_text(path.read_text().replace("count: 2", "count: 3"))
    status, out, _ = call("tournament", path, "--resume", "--json", "-")
    assert (status, json.loads(out)["done"]) == (0, 6)
