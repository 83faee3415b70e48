"""The command line: results go to standard output, everything else to standard error, errors take one line."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from manager.errors import ConfigError
from negotiation.agents import model as llm
from negotiation.agents import prompts
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.cli import main as cli
from negotiation.cli import runs
from negotiation.cli.tournament import COLUMNS
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.tournament.leaderboard import MEASURES

OFFER = json.dumps(
    {"thought": "Hm.", "action": "offer", "offer": {"price": 20000}, "message": "Voilà 🚀\nround 9: deal!"}
)
MODELS: dict[str, Any] = {
    "left": {"type": "fake"},
    "right": {"type": "fake", "label": "The right one", "size": "1B", "license": "MIT", "model_name": "fakes/right"},
    "talker": {"type": "fake", "replies": [OFFER]},
    "boaster": {"type": "fake", "replies": [OFFER.replace("round 9: deal!", "The price is €23,000.")]},
    "mute": {"type": "fake", "replies": ["I accept \ud83d!"]},
    "broken": {"type": "fake", "fail_loads": 9},
    "slow": {"type": "fake", "tokens_per_second": 5},
    "heavy": {"type": "fake", "load_seconds": 0.3, "size_bytes": 5_000_000},
}
RUN_KEYS = {
    "run_id", "scenario", "seed", "agents", "turns", "agreement", "utility_a", "utility_b", "pareto_distance",
    "nash_distance",
}  # fmt: skip
HOW_IT_ENDED = {"status", "reason", "ending", "welfare_share", "rational_a", "rational_b", "cost", "provenance"}
TURN_KEYS = {
    "round", "agent", "action", "offer", "message", "thought", "utility_a", "utility_b", "invalid", "seconds", "tokens",
    "concession", "regret",
}  # fmt: skip

ROOT = Path(__file__).resolve().parents[4]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder with some fake models; data goes to a folder of this test."""
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    monkeypatch.setenv("PARLEY_CONFIG", str(folder))
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    for variable in ("PORT", "HOST", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def call(configs: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command; return the exit status, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def negotiation(a: str = "left", b: str = "right", scenario: str = "company_car", seed: int = 1) -> list[str]:
    return ["run", "--scenario", scenario, "--a", a, "--b", b, "--seed", str(seed)]


# -- reproduce -------------------------------------------------------------------------------------------------


def exported(call: Call, a: str, b: str) -> dict[str, Any]:
    """Run a negotiation and return its export."""
    _, out, _ = call(*negotiation(a, b), "--json", "-")
    _, line, _ = call("export", json.loads(out)["run_id"])
    data: dict[str, Any] = json.loads(line)
    return data


@pytest.mark.parametrize("agents", [("micro", "conceder"), ("left", "boulware")])
def test_a_run_is_reproduced_by_its_id_and_from_its_export(call: Call, tmp_path: Path, agents: tuple[str, str]) -> None:
    data = exported(call, *agents)
    file = tmp_path / "run.jsonl"
    file.write_text(json.dumps(data))
    for name in (data["run_id"], str(file)):
        status, out, err = call("reproduce", name)
        assert (status, out.splitlines()) == (
            0,
            ["same: all versions and settings", f"{data['run_id']}: identical"],
        )
        assert err.count(": same\n") == len(data["turns"])


def test_a_tampered_export_is_not_reproduced(call: Call, tmp_path: Path) -> None:
    data = exported(call, "left", "boulware")
    data["turns"][1]["message"] = "I never said this."
    data["provenance"]["program"]["torch"] = "1.0"
    file = tmp_path / "run.jsonl"
    file.write_text(json.dumps(data))
    status, out, err = call("reproduce", str(file), "--json", "-")
    result = json.loads(out)
    assert status == 1
    assert (result["identical"], result["first_difference"]) == (False, 1)
    assert [turn["same"] for turn in result["turns"][:3]] == [True, False, True]
    assert result["turns"][1]["differs"] == ["message"]
    assert [entry["name"] for entry in result["settings"] if not entry["same"]] == ["torch"]
    assert "round 1, Engineer: differs (message)" in err
    _, out, _ = call("reproduce", str(file))
    assert "differs: torch: '1.0' recorded, " in out
    assert "first difference: round 1, Engineer" in out
    assert "message: 'I never said this.' recorded, " in out


def test_an_export_without_an_agent_is_refused(call: Call, tmp_path: Path) -> None:
    data = exported(call, "micro", "conceder")
    del data["agents"]["b"]
    (tmp_path / "run.jsonl").write_text(json.dumps(data))
    status, _, err = call("reproduce", str(tmp_path / "run.jsonl"))
    assert (status, "each run must name an agent for each seat" in err) == (1, True)


@pytest.mark.parametrize("content", ["", "no json", "[1]", '{"run_id": "x", "turns": []}', "\xff", "[" * 100_000])
def test_a_file_without_exported_runs_is_refused(call: Call, tmp_path: Path, content: str) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(content.encode("latin-1"))
    status, _, err = call("reproduce", str(file))
    assert status == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1


# -- run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["company_car", "compute_split", "joint_venture"])
def test_a_run_prints_one_json_object_with_these_keys(call: Call, scenario: str) -> None:
    status, out, err = call(*negotiation(scenario=scenario, seed=5), "--json", "-")
    assert status == 0
    assert out.count("\n") == 1
    result = json.loads(out)
    assert set(result) == RUN_KEYS | HOW_IT_ENDED
    assert (result["scenario"], result["seed"], result["agents"]) == (scenario, 5, {"a": "left", "b": "right"})
    assert (result["status"], result["reason"]) == ("done", "")
    assert len(result["turns"]) > 0
    for place, turn in enumerate(result["turns"]):
        assert set(turn) == TURN_KEYS
        assert (turn["round"], turn["agent"]) == (place // 2 + 1, "ab"[place % 2])
        assert (turn["offer"] is not None) == (turn["action"] == "offer")
        assert turn["invalid"] == []
        assert turn["tokens"] > 0
    last = result["turns"][-1]
    assert (result["agreement"] is not None) == (last["action"] == "accept") == (result["ending"] == "agreement")
    assert f"ended: {result['ending']}\n" in err


def test_options_of_an_agent_are_recorded_and_printed(call: Call) -> None:
    given = ["--a-option", "guard=rational", "--a-option", "persona=Polite.", "--b-option", "narrates=linear"]
    result = json.loads(call(*negotiation(), *given, "--json", "-")[1])
    assert set(result) == RUN_KEYS | HOW_IT_ENDED | {"options"}
    assert result["options"] == {"a": {"guard": "rational", "persona": "Polite."}, "b": {"narrates": "linear"}}
    assert json.loads(call("show", result["run_id"], "--json", "-")[1]) == result


def test_remarks_on_replies_are_printed_in_plain_words(call: Call) -> None:
    status, out, err = call(*negotiation("boaster", "hardliner"), "--json", "-")
    result = json.loads(out)
    assert status == 0
    assert result["turns"][2]["notes"] == ["repeated", "other_values"]
    shown = call("show", result["run_id"])[1]
    for printed in (err, shown):
        assert "\n  (This message repeats the speaker's last one word for word.)\n" in printed
        assert "\n  (This message names other values than its offer.)\n" in printed


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--a-option", "guard=none"], "agent 'left': key 'guard'"),
        (["--b-option", "guard"], "--b-option: 'guard' is not of the form KEY=VALUE"),
        (["--b", "human"], "--b: people play on the page"),
        (
            ["--b", "micro", "--b-option", "guard=free"],
            "agent 'micro': key 'guard': unknown key (known: gives_in, ",
        ),
    ],
)
def test_an_invalid_agent_or_option_is_named(call: Call, given: list[str], says: str) -> None:
    check_error(call(*negotiation(), *given), says)


def test_a_deal_is_printed_with_its_utilities(call: Call) -> None:
    result = json.loads(call(*negotiation("boulware", "conceder", "joint_venture"), "--json", "-")[1])
    assert result["turns"][-1]["action"] == "accept"
    assert result["agreement"] == result["turns"][-2]["offer"]
    for seat in ("utility_a", "utility_b"):
        assert result[seat] == result["turns"][-1][seat] == result["turns"][-2][seat]
    assert result["pareto_distance"] >= 0
    assert result["nash_distance"] >= result["pareto_distance"]


def test_no_deal_is_worth_the_reservation_values(call: Call) -> None:
    result = json.loads(call(*negotiation("mute", "left"), "--json", "-")[1])
    assert (result["ending"], result["agreement"]) == ("walked_away", None)
    assert (result["utility_a"], result["utility_b"]) == (0.25, 0.2)


def test_an_invalid_reply_is_printed_verbatim(call: Call) -> None:
    """Even a lone surrogate, which no text stream can encode, survives the round trip through JSON."""
    _, out, err = call(*negotiation("mute", "left"), "--json", "-")
    (turn,) = json.loads(out)["turns"]
    assert turn["action"] == "walk_away"
    assert [(entry["kind"], entry["outcome"], entry["raw"]) for entry in turn["invalid"]] == [
        ("not_json", "gave_up", "I accept \ud83d!")
    ] * 3
    assert err.count("invalid reply (not_json)") == 3


def test_progress_goes_to_standard_error_only(call: Call) -> None:
    status, out, err = call(*negotiation("boulware", "conceder"))
    assert status == 0
    (line,) = out.splitlines()
    assert re.search(r"; points out of 100: Fleet manager \d+, Engineer \d+$", line)
    first, *progress = err.splitlines()
    assert re.fullmatch("run [0-9a-f]{32}", first), "so that an interrupted run can be found"
    assert progress[-1] == "ended: agreement"
    assert facts(err)[0].startswith("round 1: Fleet manager (boulware): offer Price: €24,000  “")
    assert all(entry.startswith("round ") for entry in progress[:-1])


def facts(err: str) -> list[str]:
    """Return the lines about turns and the ending, without those about who is to move."""
    return [line for line in err.splitlines()[1:] if not line.endswith("to move")]


def test_progress_is_printed_even_if_the_run_ends_before_it_is_watched(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = facts(call(*negotiation("boulware", "conceder"))[2])

    def too_late(self: LiveRuns, run_id: str) -> None:
        for thread in [thread for thread in threading.enumerate() if thread.name == f"run {run_id}"]:
            thread.join()

    monkeypatch.setattr(LiveRuns, "watch", too_late)
    assert facts(call(*negotiation("boulware", "conceder"))[2]) == expected


def test_a_models_message_stays_on_its_line(call: Call) -> None:
    status, _, err = call(*negotiation("talker", "boulware"))
    assert status == 0
    assert "“Voilà 🚀 round 9: deal!”" in err
    assert not any(line.startswith("round 9") for line in err.splitlines())


def test_loading_progress_is_printed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "POLL_SECONDS", 0.01)
    status, _, err = call(*negotiation("heavy", "boulware"))
    assert status == 0
    assert re.search(r"^  loading: \d of 5 MB$", err, re.MULTILINE)


def test_the_same_seed_gives_the_same_text(call: Call) -> None:
    texts = []
    for seed in (1, 1, 2):
        result = json.loads(call(*negotiation(scenario="compute_split", seed=seed), "--json", "-")[1])
        run_id = result.pop("run_id")
        assert len(run_id) >= 16
        for turn in result["turns"]:
            turn.pop("seconds")
        texts.append(json.dumps(result))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2].replace('"seed": 2', '"seed": 1')


def test_the_default_seed_is_1(call: Call) -> None:
    assert json.loads(call(*negotiation()[:-2], "--json", "-")[1])["seed"] == 1


def test_a_failed_run_is_reported_and_has_exit_status_1(call: Call) -> None:
    status, out, err = call(*negotiation("broken", "left"), "--json", "-")
    result = json.loads(out)
    assert status == 1
    assert set(result) == RUN_KEYS | HOW_IT_ENDED
    assert (result["status"], result["turns"], result["ending"]) == ("failed", [], None)
    assert "fails (key 'fail_loads')" in result["reason"]
    assert [result[key] for key in ("agreement", "utility_a", "utility_b", "pareto_distance")] == [None] * 4
    assert err.splitlines()[-1] == f"failed: {result['reason']}"


def test_ctrl_c_stops_the_run_and_records_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "_show_progress", interrupted)
    status, out, err = call(*negotiation("boulware", "conceder"))
    assert (status, out, err) == (130, "", "stopped\n")
    monkeypatch.undo()


# -- destination of results ------------------------------------------------------------------------------------------


def test_json_goes_to_the_named_file(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old and very long " * 5000)
    status, out, _ = call(*negotiation(), "--json", str(target))
    assert (status, out) == (0, "")
    assert set(json.loads(target.read_text(encoding="utf-8"))) == RUN_KEYS | HOW_IT_ENDED


@pytest.mark.parametrize("spoilt", [["--a", "nobody"], ["--scenario", "nowhere"], ["--seed", "1" + "0" * 30]])
def test_an_error_costs_no_earlier_result(call: Call, tmp_path: Path, spoilt: list[str]) -> None:
    target = tmp_path / "result.json"
    target.write_text("precious")
    assert call(*negotiation(), *spoilt, "--json", str(target))[0] == 1
    assert target.read_text() == "precious"


def test_an_unwritable_file_is_reported_before_the_work_begins(call: Call, tmp_path: Path) -> None:
    status, out, err = call(*negotiation(), "--json", str(tmp_path / "missing" / "result.json"))
    assert (status, out) == (1, "")
    assert err == f"error: --json: cannot write '{tmp_path}/missing/result.json' (No such file or directory)\n"


def test_a_full_disk_is_an_error_on_one_line(call: Call) -> None:
    status, out, err = call("scenarios", "--json", "/dev/full")
    assert (status, out) == (1, "")
    assert err == "error: --json: cannot write '/dev/full' (No space left on device)\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_any_terminal_can_show_the_results(call: Call, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    run_id = json.loads(call(*negotiation("talker", "boulware"), "--json", "-")[1])["run_id"]
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert cli.main(["show", run_id, *(["--json", "-"] if as_json else [])]) == 0
    terminal.seek(0)
    text = terminal.read()
    if as_json:
        assert "Voilà 🚀" in json.loads(text)["turns"][0]["message"]
    else:
        assert r"\u20ac20,000" in text
        assert r"Voil\xe0 \U0001f680" in text


# -- show, scenarios, models -----------------------------------------------------------------------------------


def test_a_stored_run_is_shown_as_it_was_first_printed(call: Call) -> None:
    first = call(*negotiation("boulware", "conceder"), "--json", "-")[1]
    result = json.loads(first)
    status, out, err = call("show", result["run_id"], "--json", "-")
    assert (status, out, err) == (0, first, "")
    lines = call("show", result["run_id"])[1].splitlines()
    assert len(lines) == len(result["turns"]) + 1
    assert lines[0] == f"1. Fleet manager: offer Price: €24,000  “{result['turns'][0]['message']}”"
    assert lines[-1].startswith(f"{result['run_id']}: Price: €")


def test_an_interrupted_run_is_shown_as_interrupted(call: Call, make_run: Callable[..., Run]) -> None:
    parley = Parley.open(read_settings())
    run_id = parley.live.start(make_run(a="slow", b="slow"), background=True)
    parley.close()
    result = json.loads(call("show", run_id, "--json", "-")[1])
    assert (result["status"], result["reason"]) == ("interrupted", "the program was shut down")
    assert call("show", run_id)[1] == f"{run_id}: interrupted (the program was shut down)\n"


def test_scenarios_are_listed(call: Call) -> None:
    listed = json.loads(call("scenarios", "--json", "-")[1])
    outcomes = {entry["scenario"]: entry["outcomes"] for entry in listed}
    assert outcomes.items() >= {"company_car": 41, "compute_split": 567, "joint_venture": 81}.items()
    assert all(set(entry) == {"scenario", "title", "outcomes", "rounds"} for entry in listed)
    status, out, err = call("scenarios")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == [entry["scenario"] for entry in listed]
    assert "The company car (41 outcomes, 8 rounds)" in out


def test_custom_scenarios_replace_the_shipped_ones(call: Call, configs: Path, bike_data: dict[str, Any]) -> None:
    (configs / "scenarios").mkdir()
    (configs / "scenarios" / "bike.yaml").write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    assert [entry["scenario"] for entry in json.loads(call("scenarios", "--json", "-")[1])] == ["bike"]
    assert call(*negotiation("boulware", "conceder", "bike"))[0] == 0


def test_models_and_strategies_are_listed(call: Call) -> None:
    listed = json.loads(call("models", "--json", "-")[1])
    assert list(listed) == [*sorted(MODELS), *STRATEGIES]  # in the order of the file
    assert (listed["right"]["model_name"], listed["right"]["is_loaded"]) == ("fakes/right", False)
    assert listed["boulware"] == {"type": "strategy"}
    out = call("models")[1]
    assert [line.split()[0] for line in out.splitlines()] == list(listed)
    assert "fakes/right, 1B, MIT" in out
    assert re.search("^boulware +strategy: The Hardhead, holds out, then gives in late$", out, re.MULTILINE)


# -- errors ----------------------------------------------------------------------------------------------------


def check_error(result: tuple[int, str, str], *says: str) -> None:
    """Check that an error is one line on standard error, with exit status 1 and no result."""
    status, out, err = result
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in says:
        assert part in err


def test_an_unknown_scenario_is_named_with_the_known_ones(call: Call) -> None:
    check_error(call(*negotiation(scenario="nowhere")), "--scenario: unknown scenario 'nowhere'", "company_car")


def test_a_scenario_may_be_a_file(call: Call, tmp_path: Path, bike_data: dict[str, Any]) -> None:
    path = tmp_path / "bike.yaml"
    path.write_text(yaml.safe_dump(bike_data), encoding="utf-8")
    result = json.loads(call(*negotiation("boulware", "conceder", str(path)), "--json", "-")[1])
    assert result["scenario"] == "bike"
    assert call("show", result["run_id"])[0] == 0
    check_error(call(*negotiation(scenario=str(tmp_path / "missing.yaml"))), "missing.yaml: no such file")


def test_an_unknown_agent_is_named_with_the_known_ones(call: Call) -> None:
    check_error(call(*negotiation(b="nobody")), "'nobody' is neither a model nor a strategy", "left", "boulware")


@pytest.mark.parametrize("run_id", ["missing", "\udcff", "", "a\nb"])
def test_an_unknown_run_is_named(call: Call, run_id: str) -> None:
    check_error(call("show", run_id), "there is no run ", "check the link")


def test_a_seed_that_is_too_large_is_named(call: Call) -> None:
    check_error(call(*negotiation(seed=10**30)), f"seed '{10**30}' is too large", "use one below 2^63")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("models.yaml", "left: {type: fake, colour: red}", "models.yaml: model 'left': key 'colour': unknown key"),
        ("models.yaml", "left: {model_name: 5, pinned: maybe}", "; "),
        ("models.yaml", "left: [", "models.yaml, line 1"),
        ("models.yaml", "left: {type: fake}\nleft: {type: fake}", "duplicate key 'left'"),
        ("models.yaml", "boulware: {type: fake}", "model 'boulware' has the name of a scripted strategy"),
        ("app.yaml", "max_loaded_models: none", "app.yaml: key 'max_loaded_models'"),
        ("scenarios/bad.yaml", "title: Bad\nrounds: 0", "bad.yaml: key 'rounds'"),
        ("scenarios/bad.txt", "title: Bad", "no scenario (*.yaml) in this folder"),
    ],
)
def test_a_broken_file_is_named_with_its_error(call: Call, configs: Path, name: str, content: str, says: str) -> None:
    (configs / name).parent.mkdir(exist_ok=True)
    (configs / name).write_text(content)
    check_error(call("scenarios"), says)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PORT", "http", "PORT: 'http' is not a port number"),
        ("PARLEY_CONFIG", "/missing", "PARLEY_CONFIG: '/missing' is not a folder"),
        ("PARLEY_HOME", "/dev/null", "PARLEY_HOME: cannot write into '/dev/null/data'"),
        ("DATABASE_URL", "sqlite:////missing/parley.db", "could not open the database: unable to open"),
        ("DATABASE_URL", "cuneiform://tablet", "could not open the database"),
    ],
)
def test_a_bad_variable_is_named(
    call: Call, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    check_error(call("scenarios"), says)


def test_a_failed_start_leaves_no_thread_running(configs: Path) -> None:
    (configs / "models.yaml").write_text("boulware: {type: fake}")
    before = set(threading.enumerate())
    with pytest.raises(ConfigError):
        Parley.open(read_settings())
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--scenario", "x"],
        ["show"],
        ["scenarios", "x"],
        ["leaderboard", "--csv", "--votes"],
        ["leaderboard", "--latex", "--parquet", "x"],
        ["export", "x", "--page", "https://parley.example/"],
    ],
)
def test_mistaken_arguments_print_the_usage(
    configs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Usage: parley" in printed.err


def test_it_runs_as_a_module(configs: Path) -> None:
    """In a separate process, which it ends at once."""
    command = [sys.executable, "-m", "negotiation", "scenarios"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "company_car" in done.stdout


# -- compare ---------------------------------------------------------------------------------------------------


def comparing(first: str, second: str, opponent: str = "boulware", pairs: int = 2, *more: str) -> list[str]:
    agents = ["--model-1", first, "--model-2", second, "--opponent", opponent]
    return ["compare", "--scenario", "company_car", *agents, "--pairs", str(pairs), *more]


def test_two_agents_are_compared(call: Call) -> None:
    status, out, err = call(*comparing("left", "right", pairs=3), "--json", "-")
    result = json.loads(out)
    assert status == 0
    assert (result["pairs"], result["negotiations"]) == (3, 12)
    assert result["difference"]["low"] <= result["difference"]["mean"] <= result["difference"]["high"]
    for number, name in ((1, "left"), (2, "right")):
        about = result["agents"][f"model_{number}"]
        assert about["agent"] == name
        assert 0 <= about["utility"] <= 1
        assert 0 <= about["agreement"]["low"] <= about["agreement"]["rate"] <= about["agreement"]["high"] <= 1
        assert about["invalid"] == 0
        assert about["anchors"]["offered_anchored"] <= about["anchors"]["offered"]
    utilities = [result["agents"][f"model_{number}"]["utility"] for number in (1, 2)]
    assert result["difference"]["mean"] == pytest.approx(utilities[0] - utilities[1])
    assert "more_pairs_needed" in result
    assert "12/12: difference" in err


def test_a_comparison_in_words(call: Call) -> None:
    status, out, _ = call(*comparing("mute", "left"))
    assert status == 0
    assert re.search(r"mute: \d+ points out of 100", out)
    assert "invalid replies: not_json 12" in out
    assert "numbers from its own prompt" in out
    assert call(*comparing("left", "left"))[1].endswith("both agents made exactly the same moves\n")
    assert "all pairs repeat the same moves" in call(*comparing("boulware", "conceder"))[1]


def test_a_comparison_with_failures_says_so_and_exits_with_1(call: Call) -> None:
    status, out, err = call(*comparing("left", "broken", "boulware", 1, "--one-seat"), "--json", "-")
    result = json.loads(out)
    assert status == 1
    assert (result["pairs"], result["difference"], len(result["failed"])) == (0, None, 1)
    assert "failed: fake load 1 of 'broken' fails" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (comparing("nobody", "left"), "'nobody' is neither"),
        (comparing("left", "right", pairs=0), "at least one pair"),
        (["compare", "--scenario", "none", *comparing("left", "right")[3:]], "unknown scenario 'none'"),
    ],
)
def test_bad_comparisons_are_refused_in_one_line(call: Call, arguments: list[str], why: str) -> None:
    status, out, err = call(*arguments, "--json", "-")
    assert (status, out) == (1, "")
    assert why in err
    assert err.count("\n") == 1


# -- tournament ------------------------------------------------------------------------------------------------


@pytest.fixture
def cup(tmp_path: Path) -> Callable[..., str]:
    """Write a tournament file; return its path."""

    def write(**about: Any) -> str:
        given = {"title": "Cup", "baselines": ["boulware", "conceder"], "scenarios": ["company_car"], "pairs": 2}
        (tmp_path / "cup.yaml").write_text(yaml.safe_dump({**given, **about}))
        return str(tmp_path / "cup.yaml")

    return write


def test_a_tournament_is_run_and_its_leaderboard_printed(call: Call, cup: Callable[..., str]) -> None:
    status, out, err = call("tournament", cup(models=["left"]), "--json", "-")
    result = json.loads(out)
    assert status == 0
    assert (result["status"], result["negotiations"], result["done"], result["failed"]) == ("done", 12, 12, [])
    assert {row["agent"] for row in result["standings"]} == {"left", "boulware", "conceder"}
    assert "12/12" in err
    played = result["provenance"]
    assert [program["prompt_version"] for program in played["programs"]] == [prompts.VERSION]
    assert [use["identity"]["model_name"] for use in played["models"]["left"]] == ["left"]
    assert (list(played["scenarios"]), played["unrecorded"]) == (["company_car"], 0)
    assert json.loads(call("leaderboard", "--json", "-")[1]) == result
    assert json.loads(call("leaderboard", result["tournament_id"], "--json", "-")[1]) == result
    assert call("leaderboard", "--csv")[1].startswith("scenario,agent,games")
    tables = call("leaderboard", "--latex")[1]
    assert f"prompt version {prompts.VERSION}" in tables
    assert tables.count("\\end{tabular}") == 2
    runs_of_it = [json.loads(line)["run_id"] for line in call("export", *[result["tournament_id"]] * 2)[1].splitlines()]
    played_in = {run for cells in result["model_by_scenario"].values() for run in cells["company_car"]["runs"]}
    assert (len(runs_of_it), set(runs_of_it)) == (12, played_in)
    assert "Cup" in call("tournaments")[1]
    assert [row["title"] for row in json.loads(call("tournaments", "--json", "-")[1])] == ["Cup"]


def test_a_tournament_is_resumed(call: Call, cup: Callable[..., str]) -> None:
    first = json.loads(call("tournament", cup(), "--resume", "--json", "-")[1])
    again = json.loads(call("tournament", cup(pairs=3), "--resume", "--json", "-")[1])
    assert again["tournament_id"] == first["tournament_id"]
    assert (first["done"], again["done"]) == (4, 6)
    status, _, err = call("tournament", cup(mirrored=False), "--resume")
    assert status == 1
    assert "cannot be resumed" in err


def test_a_tournament_in_words(call: Call, cup: Callable[..., str]) -> None:
    _, out, _ = call("tournament", cup())
    assert re.search(r"(conceder|boulware) +\d+ +\[-?\d+, \d+\] +1= ", out)
    header = next(line for line in out.splitlines() if "points" in line)
    assert "these scenarios  rank" in header
    assert "like these" not in header  # there is only one scenario
    assert set(COLUMNS) == set(MEASURES)


def test_a_tournament_with_failures_says_so_and_exits_with_1(call: Call, cup: Callable[..., str]) -> None:
    path = cup(models=["broken"], pairs=1, limits={"retries": 1, "retry_seconds": 0})
    status, out, err = call("tournament", path, "--json", "-")
    result = json.loads(out)
    assert status == 1
    assert (result["done"], len(result["failed"])) == (2, 4)
    assert {failure["attempts"] for failure in result["failed"]} == {2}
    assert err.count("retrying: company_car") == 4
    assert "failed: company_car" in call("leaderboard")[1]


def test_bad_tournaments_are_refused_in_one_line(call: Call, cup: Callable[..., str]) -> None:
    for arguments, why in [
        (["tournament", cup(pair=1)], "key 'pair': unknown key"),
        (["tournament", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["leaderboard"], "there is no tournament yet"),
        (["leaderboard", "none"], "there is no tournament 'none'"),
    ]:
        status, out, err = call(*arguments)
        assert (status, out) == (1, "")
        assert why in err
        assert err.count("\n") == 1


# -- exports that need an extra --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["export", "{run}", "--parquet", "{folder}"], "pyarrow", "parquet"),
        (["export", "{run}", "--inspect", "{folder}"], "inspect_ai", "inspect"),
        (["leaderboard", "--parquet", "{folder}/board.parquet"], "pyarrow", "parquet"),
    ],
)
def test_a_missing_extra_is_named(
    call: Call,
    cup: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    package: str,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "negotiation.runs.exports.inspect_log", raising=False)
    result = json.loads(call("tournament", cup(pairs=1), "--json", "-")[1])
    (run_id,) = {run for cell in result["model_by_scenario"]["boulware"].values() for run in cell["runs"][:1]}
    folder = tmp_path / "exported"
    given = [argument.replace("{run}", run_id).replace("{folder}", str(folder)) for argument in arguments]
    status, out, err = call(*given)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"install it with `pip install 'parley[{extra}]'`" in err
    assert not folder.exists()


# -- profile ---------------------------------------------------------------------------------------------------


def test_profiles_of_a_run_of_an_export_and_of_a_tournament(call: Call, tmp_path: Path) -> None:
    data = exported(call, "boaster", "boulware")
    (file := tmp_path / "runs.jsonl").write_text(json.dumps(data))
    (plan := tmp_path / "plan.yaml").write_text(
        "title: Two scripts\nbaselines: [boulware, linear]\nscenarios: [company_car]\npairs: 2\n"
    )
    status, _, err = call("profile")
    assert (status, err) == (
        1,
        "error: there is no tournament yet; name runs, or files that `parley export` wrote\n",
    )
    for source in (data["run_id"], str(file)):
        status, out, _ = call("profile", source, "--agent", "boaster", "--json", "-")
        (agent,) = json.loads(out)["agents"]
        assert (status, agent["negotiations"]) == (0, 1)
        assert agent["measures"]["other_values"]["these_scenarios"]["mean"] == 1.0
        assert agent["findings"][0] == {
            "run_id": data["run_id"],
            "round": 1,
            "measure": "other_values",
            "truth": "Price: the message says €23000, the offer €20,000",
        }
    tournament = json.loads(call("tournament", str(plan), "--json", "-")[1])
    for sources in ([], [tournament["tournament_id"]]):
        status, out, _ = call("profile", *sources, "--markdown")
        assert status == 0
        assert out.splitlines()[0].startswith("# How they bargain: ")
        assert [line for line in out.splitlines() if line.startswith("## ")] == ["## boulware", "## linear"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["nothing"], "nothing: there is no run, tournament or file of this name"),
        (["{run}", "--agent", "nobody"], "--agent: 'nobody' is none of the agents here: boulware, conceder"),
    ],
)
def test_a_profile_of_nothing_says_what_is_wrong(call: Call, given: list[str], says: str) -> None:
    run_id = json.loads(call(*negotiation("boulware", "conceder"), "--json", "-")[1])["run_id"]
    status, out, err = call("profile", *(part.replace("{run}", run_id) for part in given))
    assert (status, out, err) == (1, "", f"error: {says}\n")
