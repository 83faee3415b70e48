"""Negotiations as an environment of the real package `verifiers`, with a stand-in for the model server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import verifiers.v1 as vf

from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Decision
from negotiation.gym import Observation, SeatEnvironment, Table
from negotiation.gym.verifiers import OPTIONS, BargainingEnv, BargainingTask, load_environment
from negotiation.scenario.model import SEATS, Scenario, Seat, parse_scenario
from tests.support.remote_server import Behaviour, Call, FaultyServer, refuses
from tests.support.server import ROOT

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    made = FaultyServer()
    yield made
    made.close()


def replies(text: str) -> Behaviour:
    """Answer in one piece, as a server does unless it is asked to stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}

    def behave(call: Call) -> None:
        call.start(200, "application/json").raw(json.dumps(body).encode())

    return behave


def written(decision: Decision) -> str:
    """Return a decision as a model writes it."""
    offer = None if decision.offer is None else dict(decision.offer)
    return json.dumps({"thought": "", "action": decision.action, "offer": offer, "message": decision.message})


def as_linear(seen: Observation) -> str:
    """Return the reply of a model that plays like a script."""
    return written(STRATEGIES["linear"].decide(seen.view))


def played(env: BargainingEnv, task: BargainingTask, server: FaultyServer, *texts: str) -> vf.Episode:
    """Run an episode in which the model writes these texts."""
    server.behaviours = [replies(text) for text in texts] or server.behaviours
    server.calls.clear()
    client = vf.EvalClientConfig(base_url=server.base_url, api_key_var="NO_SUCH_KEY")

    async def run() -> vf.Episode:
        async with env.serving():
            return await env.run_episode(task, vf.ModelContext(model="m", client=client))

    return asyncio.run(run())


def scenario_of(task: BargainingTask) -> Scenario:
    return parse_scenario(task.data.scenario_id, task.data.scenario, "task")


def test_prompts_and_rewards_are_those_of_the_gym(server: FaultyServer) -> None:
    env = load_environment(scenarios=["night_train", "integrative"], opponents=["conceder", "random"])
    agreed = []
    for task in env.taskset.take(8):
        gym, data = SeatEnvironment(OPTIONS), task.data
        observation = gym.reset(scenario_of(task), data.seat, data.opponent, data.seed)
        prompts, texts = [], []
        while observation is not None:
            prompts.append(list(observation.messages))
            texts.append(as_linear(observation))
            step = gym.step(texts[-1])
            observation = step.observation
        episode = played(env, task, server, *texts)
        assert episode.ok, episode.errors
        (trace,) = episode.traces
        assert [call.body["messages"] for call in server.calls] == prompts
        assert trace.reward == step.reward
        assert trace.metrics["invalid"] == 0
        assert step.measures is not None
        assert trace.metrics["welfare_share"] == step.measures.welfare_share
        agreed.append(trace.metrics["agreement"])
        assert bool(agreed[-1]) == (trace.info["agreement"] is not None)
    assert any(agreed)


@pytest.mark.parametrize("seat", SEATS)
def test_two_agents_negotiate_and_both_are_paid(server: FaultyServer, seat: Seat) -> None:
    env = load_environment({"opponent": {"model": "other"}}, scenarios=["price"], opponents=["model"], seats=[seat])
    (task,) = env.taskset.take(1)
    table = Table(scenario_of(task), seed=task.data.seed, options=OPTIONS)
    prompts, texts = [], []
    while table.observation is not None:
        prompts.append(list(table.observation.messages))
        texts.append(as_linear(table.observation))
        table.move(texts[-1])
    episode = played(env, task, server, *texts)
    assert episode.ok, episode.errors
    assert [call.body["messages"] for call in server.calls] == prompts
    traces = {trace.task.data.seat: trace for trace in episode.traces}
    assert {seat: trace.reward for seat, trace in traces.items()} == {seat: table.reward(seat) for seat in SEATS}
    assert traces[seat].agent.name == "negotiator"
    assert {trace.agent.name: trace.agent.trainable for trace in episode.traces} == {
        "negotiator": True,
        "opponent": False,  # it has a model of its own
    }
    assert {call.body["model"] for call in server.calls} == {"m", "other"}


def test_an_unusable_reply_and_a_limit_walk_away(server: FaultyServer) -> None:
    settings: dict[str, Any] = {"scenarios": ["night_train"], "opponents": ["boulware"], "seats": ["a"]}
    (task,) = load_environment(**settings).taskset.take(1)
    observation = SeatEnvironment(OPTIONS).reset(scenario_of(task), "a", "boulware")
    assert observation is not None
    offer = as_linear(observation)
    (babbled,) = played(load_environment(**settings), task, server, "Let us talk about the weather.").traces
    (limited,) = played(load_environment({"negotiator": {"max_turns": 1}}, **settings), task, server, offer).traces
    assert (babbled.stop_condition, limited.stop_condition) == ("user_closed", "max_turns")
    assert (babbled.metrics["invalid"], limited.metrics["invalid"]) == (1, 0)
    for trace in (babbled, limited):
        assert trace.ok
        assert trace.reward == 0
        assert trace.metrics["agreement"] == 0


def test_a_negotiation_that_a_failing_server_cut_short_is_not_rewarded(server: FaultyServer) -> None:
    env = load_environment(scenarios=["night_train"], seats=["a"])
    (task,) = env.taskset.take(1)
    server.behaviours = [refuses(400, "no such model")]
    episode = played(env, task, server)
    assert not episode.ok
    (trace,) = episode.traces
    assert "no such model" in trace.errors[-1].message
    assert not trace.rewards


def test_tasks_are_the_same_each_time_and_each_has_a_key_of_its_own() -> None:
    one, two = (list(load_environment().taskset.take(30)) for _ in range(2))
    assert [task.data for task in one] == [task.data for task in two]
    assert len({task.key for task in one}) == 30
    assert {task.data.scenario["drawn_from"]["seed"] for task in one} == {1, 2}
    assert all(task.data.prompt for task in one)


def test_the_packages_own_command_finds_and_runs_it(server: FaultyServer, tmp_path: Path) -> None:
    server.behaviours = [replies('{"thought": "", "action": "walk_away", "offer": null, "message": "Goodbye."}')]
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("vf-eval"), "parley-bargaining", "-n", "3", "-m", "m"),
            *("--client.base-url", server.base_url, "--client.api-key-var", "NO_SUCH_KEY"),
            *("--no-push", "--no-rich", "--output-dir", str(tmp_path), "--env.taskset.scenarios", "casino"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = tmp_path.rglob("traces.jsonl")
    episodes = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(episodes) == 3
    assert {trace["metrics"]["agreement"] for episode in episodes for trace in episode["traces"]} == {0}
