"""Logs that Inspect reads back, and Parley's scenarios played as a task of Inspect, with inspect-ai itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as evaluate
from inspect_ai.event import InfoEvent, ModelEvent, SpanBeginEvent
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents import prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.errors import UnknownAgent
from negotiation.game.measures import normalised
from negotiation.gym import SeatEnvironment
from negotiation.gym.inspect_task import OPTIONS, negotiate
from negotiation.live.fork import fork
from negotiation.runs.exports.columns import run_row
from negotiation.runs.exports.inspect_log import SCORES, write_logs
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario, Seat, load_scenario
from tests.support.finished import finished, played
from tests.support.server import ROOT

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]
PAGE = "https://parley.example/"
ACCEPT = json.dumps({"thought": "", "action": "accept", "offer": None, "message": "Agreed."})
LEAVE = ACCEPT.replace("accept", "walk_away")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(ROOT / "configs" / "scenarios" / "night_train.yaml")


@pytest.fixture(scope="module")
def runs(scenario: Scenario) -> list[Run]:
    """Two runs of a model against a script, one that failed, and one whose model only writes nonsense."""
    models: dict[str, Any] = {"left": {}, "mute": {"replies": ["I accept \ud83d!"]}}
    with LLMManager({name: {"type": "fake", **about} for name, about in models.items()}) as manager:
        catalog = Catalog(manager)
        lineups = [("left", "boulware"), ("left", "boulware"), ("mute", "conceder")]
        done = [
            played(
                Run(
                    run_id=f"{at:032x}",
                    scenario=scenario,
                    agents={"a": AgentConfig(a), "b": AgentConfig(b)},
                    seed=at,
                    created=1.7e9 + at,
                ),
                catalog,
            )
            for at, (a, b) in enumerate(lineups, 1)
        ]
    failed = replace(done[0], run_id="f" * 32, status="failed", reason="out \ud800", measures=None, agreement=None)
    return [*done, failed]


@pytest.fixture(scope="module")
def logs(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], EvalLog]:
    folder = tmp_path_factory.mktemp("logs")
    assert len(list(write_logs(folder, runs, PAGE))) == 2
    found = [read_eval_log(info, resolve_attachments=True) for info in list_eval_logs(str(folder))]
    return {(log.eval.task_args["a"], log.eval.task_args["b"]): log for log in found}


Logs = dict[tuple[str, str], EvalLog]


def test_each_pair_of_agents_has_a_log_with_a_sample_for_each_run(logs: Logs, runs: list[Run]) -> None:
    assert set(logs) == {("left", "boulware"), ("mute", "conceder")}
    log = logs["left", "boulware"]
    assert (log.status, log.eval.task, log.eval.model, log.eval.tags) == (
        "success",
        "parley/negotiation",
        "none/none",
        ["left", "boulware"],
    )
    assert log.samples is not None
    assert [sample.id for sample in log.samples] == [runs[0].run_id, runs[1].run_id, runs[3].run_id]
    assert log.results is not None
    assert (log.results.total_samples, log.results.completed_samples) == (3, 2)


def test_scores_are_the_measures_of_the_run(logs: Logs, runs: list[Run]) -> None:
    log = logs["left", "boulware"]
    assert log.samples is not None
    assert log.results is not None
    rows = {run.run_id: run_row(run) for run in runs}
    for sample in log.samples:
        row = rows[str(sample.id)]
        assert {name: score.value for name, score in (sample.scores or {}).items()} == {
            name: float(row[name]) for name in SCORES if row[name] is not None
        }
    means = {score.name: score.metrics["mean"].value for score in log.results.scores}
    assert means["gain_a"] == pytest.approx(sum(rows[run.run_id]["gain_a"] for run in runs[:2]) / 2)


def test_a_sample_leads_back_to_the_replay_and_carries_the_provenance(logs: Logs, runs: list[Run]) -> None:
    samples = logs["left", "boulware"].samples
    assert samples is not None
    about = samples[0].metadata
    assert about["replay"] == f"{PAGE}?run={runs[0].run_id}"
    assert runs[0].provenance is not None
    assert about["provenance"] == runs[0].provenance.model_dump(mode="json")
    first = samples[0].events[0]
    assert isinstance(first, InfoEvent)
    assert first.data == f"[Replay]({about['replay']})"
    assert (about["scenario"], about["seed"], about["agent_a"], about["agents"]["b"]["agent"]) == (
        "night_train",
        1,
        "left",
        "boulware",
    )


def test_models_turns_are_model_events_and_all_turns_are_messages(logs: Logs, runs: list[Run]) -> None:
    samples, run = logs["left", "boulware"].samples, runs[0]
    assert samples is not None
    sample, own = samples[0], [turn for turn in run.turns if turn.seat == "a"]
    events = [event for event in sample.events if isinstance(event, ModelEvent)]
    assert [event.output.completion for event in events] == [turn.raw for turn in own]
    assert [len(event.input) for event in events] == [2 * number for number in range(1, len(own) + 1)]
    assert events[-1].input[0].text == own[0].prompt[0]["content"]
    assert {event.role for event in events} == {"a"}
    assert events[0].config.temperature is not None
    assert sample.model_usage["left"].output_tokens == sum(turn.tokens for turn in own)
    assert sum(isinstance(event, SpanBeginEvent) for event in sample.events) == len(run.turns)
    said = sample.messages[1:]
    assert [message.role for message in said] == [{"a": "assistant", "b": "user"}[turn.seat] for turn in run.turns]
    assert all(turn.message in message.text for turn, message in zip(run.turns, said, strict=True))
    assert run.scenario.roles["a"].briefing not in "".join(message.text for message in sample.messages)


def test_what_went_wrong_is_told(logs: Logs) -> None:
    samples = logs["left", "boulware"].samples
    assert samples is not None
    assert samples[2].error is not None
    assert samples[2].error.message == "out \ufffd"
    assert not samples[2].scores
    nonsense = logs["mute", "conceder"].samples
    assert nonsense is not None
    invalid = [e for e in nonsense[0].events if isinstance(e, InfoEvent) and e.source == "invalid reply"]
    assert [event.data["kind"] for event in invalid] == ["not_json"] * 3
    (asked,) = [event for event in nonsense[0].events if isinstance(event, ModelEvent)]
    assert [message.role for message in asked.input] == ["system", "user", *["assistant", "user"] * 2]


def test_hidden_parameters_do_not_part_logs_and_seats_do(scenario: Scenario, tmp_path: Path) -> None:
    hidden = AgentConfig("boulware", {"hidden": True})
    runs = []
    for seed in (1, 2, 3):
        run = replace(finished(scenario, "boulware", "linear"), seed=seed, created=1.7e9)
        first, second = hidden.settled(scenario.scenario_id, seed), AgentConfig("linear")
        runs += [replace(run, agents={"a": first, "b": second})]
        runs += [replace(run, run_id=f"{seed:032x}", agents={"a": second, "b": first})]
    logs = [read_eval_log(str(path)) for path in write_logs(tmp_path, runs, PAGE)]
    assert [(log.eval.task_args["a"], log.eval.dataset.samples) for log in logs] == [(hidden.label, 3), ("linear", 3)]


def test_a_fork_tells_what_its_own_model_read_and_used(scenario: Scenario, tmp_path: Path) -> None:
    with LLMManager({name: {"type": "fake"} for name in ("left", "right")}) as manager:
        catalog = Catalog(manager)
        agents: dict[Seat, AgentConfig] = {"a": AgentConfig("left"), "b": AgentConfig("micro")}
        first = played(Run(run_id="1" * 32, scenario=scenario, agents=agents, seed=1, created=1.7e9), catalog)
        begun = fork(first, 2, {**agents, "a": catalog.complete(AgentConfig("right"))})
        forked = played(replace(begun, run_id="2" * 32, created=1.7e9), catalog)
    (path,) = write_logs(tmp_path, [forked], PAGE)
    (sample,) = read_eval_log(str(path), resolve_attachments=True).samples or []
    own = [turn for turn in forked.turns[2:] if turn.seat == "a"]
    events = [event for event in sample.events if isinstance(event, ModelEvent)]
    assert [len(event.input) for event in events] == [4 + 2 * number for number in range(len(own))]
    assert {name: used.output_tokens for name, used in sample.model_usage.items()} == {
        "right": sum(turn.tokens for turn in own)
    }


def test_a_log_is_not_overwritten(runs: list[Run], tmp_path: Path) -> None:
    (path,) = write_logs(tmp_path, runs[:1], PAGE)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="already exists"):
        list(write_logs(tmp_path, [runs[2], runs[0]], PAGE))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no other log was written first"


def test_times_that_no_date_can_hold_are_refused(runs: list[Run], tmp_path: Path) -> None:
    turns = tuple(replace(turn, seconds=1e15) for turn in runs[0].turns)
    with pytest.raises(ConfigError, match="cannot hold one of the runs"):
        list(write_logs(tmp_path, [replace(runs[0], turns=turns)], PAGE))
    assert not list(tmp_path.iterdir())


# -- the task --------------------------------------------------------------------------------------------------


def answers(*texts: str) -> Any:
    """A model that gives these answers."""
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=outputs)


def evaluated(task: Any, model: Any, folder: Path) -> EvalLog:
    (log,) = evaluate(task, model=model, log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return read_eval_log(log.location, resolve_attachments=True)


def test_the_task_plays_and_scores_as_the_gym_does(scenario: Scenario, tmp_path: Path) -> None:
    gym = SeatEnvironment(OPTIONS)
    seen = gym.reset(scenario, "b", "conceder", 1)
    assert seen is not None
    end = gym.step(ACCEPT)
    task = negotiate(scenario="night_train", opponent="conceder", seat="b")
    log = evaluated(task, answers("Fine.", ACCEPT), tmp_path)
    assert log.samples is not None
    (sample,) = log.samples
    assert sample.scores is not None
    values = sample.scores["outcome"].value
    assert isinstance(values, dict)
    assert sample.scores["outcome"].explanation == "seat b accepted"
    assert end.measures is not None
    assert values["gain"] == end.reward
    assert values["surplus"] == normalised(Analyser(scenario), "b", end.measures.utility_b)
    assert (values["agreed"], values["invalid"]) == (1.0, 1.0)
    assert log.results is not None
    assert {score.name for score in log.results.scores} == set(values)
    metrics = {name for score in log.results.scores for name in score.metrics}
    assert metrics == {"mean"}, "one scenario says nothing about how scenarios differ"
    models = [event for event in sample.events if isinstance(event, ModelEvent)]
    assert [message.text for message in models[0].input] == [message["content"] for message in seen.messages]
    assert models[1].input[-1].text.endswith("Reply again, with exactly one JSON object.")
    assert [message.role for message in sample.messages] == ["system", "user", "assistant"]
    assert sample.metadata["prompt_version"] == prompts.VERSION


def test_replies_that_stay_invalid_walk_away(tmp_path: Path) -> None:
    log = evaluated(negotiate(seat="a", retries=1), answers("Hm.", "Hm."), tmp_path)
    assert log.samples is not None
    assert log.samples[0].scores is not None
    score = log.samples[0].scores["outcome"]
    assert isinstance(score.value, dict)
    assert (score.answer, score.value["gain"], score.value["agreed"]) == ("no deal", 0.0, 0.0)
    assert score.explanation == "seat a walked away"


def test_the_task_is_known_by_name(tmp_path: Path) -> None:
    """As `inspect eval parley/negotiate` finds it. Scenarios may be drawn, and lists may be texts with commas."""
    arguments = {"scenario": "integrative:7,night_train", "opponent": ["boulware", "micro"], "seeds": 2, "seat": "a"}
    (log,) = evaluate(
        "parley/negotiate",
        model=answers(*[LEAVE] * 8),
        task_args=arguments,
        log_dir=str(tmp_path),
        display="none",
    )
    assert (log.status, log.eval.task) == ("success", "parley/negotiate")
    assert log.results is not None
    assert {name for score in log.results.scores for name in score.metrics} == {"mean", "stderr"}
    assert log.samples is not None
    assert {sample.id for sample in log.samples} == {
        f"{played} a {opponent} {seed}"
        for played in ("integrative_7_1", "night_train")
        for opponent in ("boulware", "micro")
        for seed in (1, 2)
    }


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown scenario 'nowhere'"):
        negotiate(scenario="nowhere")
    with pytest.raises(ConfigError, match="seat: 'c'"):
        negotiate(seat="c")
    with pytest.raises(ConfigError, match="opponent: 'boulware' is given twice"):
        negotiate(opponent="boulware, micro,boulware")
    with pytest.raises(UnknownAgent, match="unknown strategy 'nobody'"):
        negotiate(opponent="nobody")
