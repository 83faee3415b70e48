"""The commands about scenarios: analyze, lint, schema, import-genius and export-genius."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from negotiation.cli import main as cli
from negotiation.scenario.model import load_scenario
from negotiation.scenario.source import schema_text

SAMPLES = Path(__file__).parents[1] / "scenario" / "genius"
BAKERY = [str(SAMPLES / name) for name in ("bakery_domain.xml", "bakery_baker.xml", "bakery_miller.xml")]
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


@pytest.fixture
def bike_file(tmp_path: Path, bike_data: dict[str, Any]) -> Path:
    path = tmp_path / "bike.yaml"
    path.write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    return path


# -- analyze ---------------------------------------------------------------------------------------------------

OPTIMAL = {
    "outcomes",
    "pareto",
    "nash",
    "kalai_smorodinsky",
    "egalitarian",
    "max_welfare",
    "opposition",
    "zone",
    "deadline",
}


def test_an_analysis_is_one_json_object_with_these_keys(call: Call, bike_file: Path) -> None:
    """Of 11 prices with and without the lock, worked out by hand.

    With the lock, a gets 0.0075 (p - 100), b 1 - 0.002 (p - 100) up to 150, from where it is 0.9 - 0.008 (p - 150).
    Without it a has 0.25 more and b 0.5 less. Gains over (0.2, 0.3), with the lock:
    p = 150: 0.175 x 0.6 = 0.105; 160: 0.25 x 0.52 = 0.13; 170: 0.325 x 0.44 = 0.143; 180: 0.4 x 0.36 = 0.144;
    190: 0.475 x 0.28 = 0.133.
    """
    status, out, err = call("analyze", bike_file, "--json", "-")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert set(result) == OPTIMAL
    assert result["outcomes"] == 22
    assert result["nash"] == {"offer": {"price": 180, "lock": "with"}, "utility_a": 0.6, "utility_b": 0.66}
    assert result["max_welfare"] == {"offer": {"price": 150, "lock": "with"}, "utility_a": 0.375, "utility_b": 0.9}
    assert result["deadline"]["rounds"] == 4
    assert "boulware" in result["deadline"]["judges"]
    assert "micro" in result["deadline"]["cannot_judge"]
    for point in [*result["pareto"], result["kalai_smorodinsky"], result["egalitarian"]]:
        assert set(point) == {"offer", "utility_a", "utility_b"}
    assert result["pareto"][0] == {"offer": {"price": 200, "lock": "without"}, "utility_a": 1.0, "utility_b": 0.0}


def test_an_analysis_is_undiscounted(call: Call, tmp_path: Path, bike_file: Path, bike_data: dict[str, Any]) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text(yaml.safe_dump({**bike_data, "discount": 0.5}), encoding="utf-8")
    assert call("analyze", path, "--json", "-") == call("analyze", bike_file, "--json", "-")


def test_a_shipped_scenario_is_known_by_its_id(call: Call) -> None:
    result = json.loads(call("analyze", "supply_contract", "--json", "-")[1])
    assert result["outcomes"] == 127_260
    assert set(result["nash"]["offer"]) == {"price", "tonnes", "shipping", "payment", "late"}
    lines = call("analyze", "company_car")[1].splitlines()
    assert lines[0].startswith("The company car: 41 outcomes, 41 of them Pareto-optimal (none better for one side")
    assert [line.split()[0] for line in lines[1:]] == [
        "points", "nash", "kalai_smorodinsky", "egalitarian", "max_welfare", "opposition", "zone", "deadline",
    ]  # fmt: skip
    judges = "boulware, linear, conceder, nice_tit_for_tat"
    assert lines[-1].endswith(f"8 rounds, enough to judge {judges}; MiCRO needs 21 to agree with itself")


def test_a_scenario_without_possible_agreement_has_no_nash_point(
    call: Call, tmp_path: Path, bike_data: dict[str, Any]
) -> None:
    bike_data["roles"]["a"]["reservation"] = bike_data["roles"]["b"]["reservation"] = 0.95
    path = tmp_path / "bike.yaml"
    path.write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    result = json.loads(call("analyze", path, "--json", "-")[1])
    assert (result["nash"], result["kalai_smorodinsky"], result["egalitarian"]) == (None, None, None)
    assert result["max_welfare"] is not None
    assert call("analyze", path)[1].splitlines()[2].split() == ["nash", "none"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "SCENARIO: unknown scenario 'nowhere'; choose from: books_hats_balls, "),
        ("no/where.yaml", "no such file"),
    ],
)
def test_an_unknown_scenario_is_an_error_on_one_line(call: Call, name: str, says: str) -> None:
    status, out, err = call("analyze", name)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert says in err


# -- lint ------------------------------------------------------------------------------------------------------


def test_a_clean_scenario_has_status_0(call: Call, bike_file: Path) -> None:
    assert call("lint", bike_file) == (0, "", "")


def test_findings_give_status_1_and_a_line_each(call: Call, bike_file: Path, bike_data: dict[str, Any]) -> None:
    bike_data["roles"]["a"]["reservation"] = 0.0
    bike_data["story"] = "It cost\n150."
    bike_file.write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    status, out, err = call("lint", bike_file)
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        f"{bike_file}:roles.a.reservation: every outcome reaches 0, so any deal is at least as good as no deal; "
        "set it above 0",
        f"{bike_file}:story: the number 150 is a possible offer for 'price' and anchors it; leave it out",
    ]
    result = json.loads(call("lint", bike_file, "--json", "-")[1])
    assert [sorted(entry) for entry in result] == [["file", "key", "message"]] * 2
    assert result[1]["key"] == "story"


def test_unreadable_files_give_status_2_and_the_rest_is_still_checked(
    call: Call, tmp_path: Path, bike_file: Path, bike_data: dict[str, Any]
) -> None:
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    bike_data["roles"]["a"]["reservation"] = 0.0
    bike_file.write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    status, out, err = call("lint", tmp_path, tmp_path / "missing.yaml")
    assert status == 2
    assert out.startswith(f"{bike_file}:roles.a.reservation: ")
    assert [line.split(":")[1].strip() for line in err.splitlines()] == [
        f"{tmp_path}/bad.yaml, line 1, column 5", f"{tmp_path}/missing.yaml",
    ]  # fmt: skip


def test_a_folder_without_scenarios_is_an_error(call: Call, tmp_path: Path) -> None:
    assert call("lint", tmp_path) == (2, "", f"error: {tmp_path}: no scenario (*.yaml) in this folder\n")


def test_the_schema_is_printed(call: Call) -> None:
    assert call("schema") == (0, schema_text(), "")


# -- GENIUS ----------------------------------------------------------------------------------------------------


def test_a_genius_domain_is_printed_as_yaml(call: Call, tmp_path: Path) -> None:
    status, out, err = call("import-genius", *BAKERY)
    assert (status, err) == (0, "")
    (tmp_path / "bakery.yaml").write_text(out, encoding="utf-8")
    assert list(load_scenario(tmp_path / "bakery.yaml").issues) == ["flour", "sacks_a_week", "delivery"]


def test_what_was_read_over_in_a_genius_file_is_noted_on_standard_error(call: Call) -> None:
    folder = SAMPLES / "field" / "04_duplicate_option"
    status, out, err = call("import-genius", folder / "domain.xml", folder / "a.xml", folder / "b.xml")
    assert status == 0
    assert yaml.safe_load(out)["issues"]["roof"]["options"] == ["tin", "tiles"]
    assert [line.split(":")[0] for line in err.splitlines()] == ["note"] * 3


def test_a_genius_domain_is_written_to_a_new_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "new" / "bakery.yaml"
    assert call("import-genius", *BAKERY, "--output", path) == (0, "", "")
    text = path.read_text(encoding="utf-8")
    assert load_scenario(path).title == "Bakery"
    status, _, err = call("import-genius", *BAKERY, "--output", path)
    assert (status, err) == (1, f"error: {path}: already exists; move it away or choose another path\n")
    assert path.read_text(encoding="utf-8") == text


def test_export_and_import_give_the_same_utilities(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    status, out, _ = call("export-genius", "job_offer", folder)
    assert (status, out) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == ["a.xml", "b.xml", "domain.xml"]
    back = tmp_path / "back.yaml"
    call("import-genius", folder / "domain.xml", folder / "a.xml", folder / "b.xml", "--output", back)
    assert call("analyze", back, "--json", "-") == call("analyze", "job_offer", "--json", "-")


def test_an_export_overwrites_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.xml").write_text("precious")
    status, _, err = call("export-genius", "company_car", tmp_path)
    assert (status, err) == (1, f"error: {tmp_path}/b.xml: already exists; move it away or choose another path\n")
    assert (tmp_path / "b.xml").read_text() == "precious"
    assert not (tmp_path / "domain.xml").exists()


def test_a_folder_that_cannot_be_created_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    status, _, err = call("export-genius", "company_car", tmp_path / "file" / "folder")
    assert (status, err.count("\n")) == (1, 1)
    assert f"{tmp_path}/file" in err


def test_a_missing_file_is_an_error_on_one_line(call: Call, tmp_path: Path) -> None:
    status, out, err = call("import-genius", BAKERY[0], BAKERY[1], tmp_path / "missing.xml")
    assert (status, out) == (1, "")
    assert err == f"error: {tmp_path}/missing.xml: cannot be read (No such file or directory)\n"
