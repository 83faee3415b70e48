"""Negotiations as an environment of `verifiers`, to evaluate and train language models. Needs the extra `verifiers`.

A task is one negotiation. The agent `negotiator` plays one seat of it and reads what any model in that seat is prompted
with. A script plays the other seat, or the agent `opponent`, which is paid and measured in the same way.

The package's commands find the environment by its name: `vf-eval parley-bargaining`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import count, product
from typing import Any

import verifiers.v1 as vf
from openai import APIError, AsyncOpenAI
from pydantic import Field
from verifiers.v1.dialects.chat import message_to_wire

from negotiation.agents.options import ModelOptions
from negotiation.errors import ScenarioError
from negotiation.families.family import FAMILIES, Family, family_names, load_family
from negotiation.families.generate import draw_scenario
from negotiation.game.events import Measures
from negotiation.gym.table import WALK_AWAY, Episode, Observation, Table
from negotiation.scenario.model import SEATS, Scenario, Seat, parse_scenario
from negotiation.scenario.source import SHIPPED, find_scenario

NAME = "parley-bargaining"
"""The name of the environment: that of the module `parley_bargaining`."""
MODEL = "model"
"""The opponent that is the agent `opponent`."""
OPTIONS = ModelOptions(guard="free")
"""What prompts tell: the form of a reply in full, since no grammar enforces it."""


class BargainingData(vf.TaskData):  # type: ignore[misc]
    """A negotiation, with the complete scenario, so that a record of it needs no other file."""

    scenario_id: str
    scenario: dict[str, Any]
    seat: Seat
    opponent: str
    seed: int


class BargainingTask(vf.Task[BargainingData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
    """A negotiation to play. Its key names the scenario, the seat, the opponent and the seed."""

    @property
    def key(self) -> str:
        return str(self.data.name)


class BargainingConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which negotiations there are."""

    scenarios: list[str] = Field(["price", "integrative", "shared_pool"], min_length=1)
    """Names of families, ids of shipped scenarios, or paths of scenario files."""
    opponents: list[str] = Field(["conceder", "boulware", "linear", "tit_for_tat"], min_length=1)
    """Names of strategies, or `model` for the agent `opponent`."""
    seats: list[Seat] = Field(list(SEATS), min_length=1)
    """The seats to play."""
    seed: int = 1
    """The first seed. Each seed draws another scenario from every family."""


class BargainingTaskset(vf.Taskset[BargainingTask, BargainingConfig]):  # type: ignore[misc]
    """Negotiations without end: for each seed all scenarios, against all opponents, from all seats."""

    INFINITE = True

    def load(self) -> Iterator[BargainingTask]:
        config = self.config
        sources = [_source(name) for name in config.scenarios]
        for seed in count(config.seed):
            for source in sources:
                scenario = draw_scenario(source, seed) if isinstance(source, Family) else source
                for opponent, seat in product(config.opponents, config.seats):
                    yield BargainingTask(_data(scenario, seat, opponent, seed), config.task)


class ChatHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
    """Asks the model for its next reply within this process.

    The package's own harness for plain conversations, `null`, starts a Python program for each reply.
    """

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Have the next reply generated and recorded by the server at `endpoint`."""
        system, prompt = self.resolve_prompt(data)
        said = [vf.UserMessage(content=prompt)] if isinstance(prompt, str) else prompt
        messages = [message_to_wire(message) for message in (vf.SystemMessage(content=system), *said)]
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, timeout=None) as client:
            try:
                await client.chat.completions.create(model=ctx.model, messages=messages)
            except APIError as error:
                return vf.ProgramResult(1, "", str(error))
        return vf.ProgramResult(0, "", "")


class BargainingEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """Who plays. Both agents only talk, so they need no sandbox."""

    negotiator: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())
    opponent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class BargainingEnv(vf.Env[BargainingEnvConfig]):  # type: ignore[misc]
    """A negotiation between the agent `negotiator` and a script or the agent `opponent`.

    The reward of an agent is its gain over its reservation value, discounted, as everywhere in `negotiation.gym`. An
    agent that is stopped by a limit walks away, as does one whose reply cannot be used.
    """

    async def setup(self, agents: vf.Agents) -> None:
        """Train the opponent too, unless it has a model of its own."""
        agents.opponent.trainable = self.config.opponent.model is None

    async def run(self, task: BargainingTask, agents: vf.Agents) -> None:
        """Play a negotiation, and record rewards and measures unless an agent failed."""
        data = task.data
        scenario = parse_scenario(data.scenario_id, data.scenario, f"task '{data.name}'")
        table = _table(scenario, data.seat, data.opponent, data.seed)
        talks: dict[Seat, vf.Interaction] = {}
        async with AsyncExitStack() as stack:
            while (seen := table.observation) is not None:
                if seen.seat in talks:
                    segment = await talks[seen.seat].turn(seen.added[-1]["content"])
                else:
                    agent = agents.negotiator if seen.seat == data.seat else agents.opponent
                    talk = await stack.enter_async_context(agent.interaction(_seated(task, seen)))
                    segment = await talk.turn()
                    talks[seen.seat] = talk
                table.move(WALK_AWAY if segment.terminated else segment.last_reply)
        if all(talk.trace.ok for talk in talks.values()):
            for seat, talk in talks.items():
                _record(talk.trace, table, seat)


def load_environment(agents: Mapping[str, Any] | None = None, **settings: Any) -> BargainingEnv:
    """Return the environment.

    Args:
        agents: Settings of the agents by name, such as `{"opponent": {"model": "..."}}`.
        settings: What `BargainingConfig` takes, such as `scenarios=["night_train"]`.

    Raises:
        ValidationError: A setting is unknown or wrong.
    """
    config = vf.resolve_env_config({**(agents or {}), "taskset": {**settings, "id": NAME}})
    environment: BargainingEnv = vf.load_environment(config)
    return environment


def _source(name: str) -> Scenario | Family:
    if name in family_names(FAMILIES):
        return load_family(name)
    return find_scenario(name, SHIPPED / "scenarios", "scenarios")


def _table(scenario: Scenario, seat: Seat, opponent: str, seed: int) -> Table:
    agents = {} if opponent == MODEL else Episode(scenario, seat, opponent).agents
    return Table(scenario, agents, seed, OPTIONS)


def _data(scenario: Scenario, seat: Seat, opponent: str, seed: int) -> BargainingData:
    seen = _table(scenario, seat, opponent, seed).observation
    if seen is None:
        raise ScenarioError(f"scenario '{scenario.scenario_id}': {opponent} accepts nothing in it; leave it out")
    data = BargainingData(
        name=f"{scenario.scenario_id} {seat} {opponent} {seed}",
        description=scenario.title,
        scenario_id=scenario.scenario_id,
        scenario=scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True),
        seat=seat,
        opponent=opponent,
        seed=seed,
    )
    return data.model_copy(update=_prompts(seen)) if seen.seat == seat else data


def _prompts(seen: Observation) -> dict[str, str]:
    """Return what a seat is prompted with in its first turn."""
    system, first = seen.added
    return {"system_prompt": system["content"], "prompt": first["content"]}


def _seated(task: BargainingTask, seen: Observation) -> BargainingTask:
    """Return the task as the agent in a seat gets it. Prompts that the task has stand: they may have been replaced."""
    prompts = _prompts(seen)
    if seen.seat == task.data.seat:
        prompts = {key: getattr(task.data, key) or text for key, text in prompts.items()}
    seated: BargainingTask = task.with_data(seat=seen.seat, **prompts)
    return seated


def _record(trace: vf.Trace, table: Table, seat: Seat) -> None:
    assert table.ended is not None
    measures = table.ended.measures
    trace.info["agreement"] = None if table.ended.agreement is None else dict(table.ended.agreement)
    trace.record_reward("gain", table.reward(seat))
    trace.record_metrics(_metrics(measures, seat) | {"agreement": table.ended.agreement is not None})


def _metrics(measures: Measures, seat: Seat) -> dict[str, float]:
    mine = seat == "a"
    return {
        "utility": measures.utility_a if mine else measures.utility_b,
        "rational": measures.rational_a if mine else measures.rational_b,
        "invalid": sum(measures.seats[seat].invalid.values()),
        "welfare_share": measures.welfare_share,
        "pareto_distance": measures.pareto_distance,
    }
