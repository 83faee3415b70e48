"""Parley's scenarios as a task of Inspect (inspect_ai): a model in one seat, a scripted strategy in the other.

    inspect eval parley/negotiate --model openai/gpt-4o-mini -T scenario=company_car,integrative:7 -T opponent=boulware

The model reads what Parley's own agents read, and its replies are read as strictly. Scores are those of
`negotiation.gym` and of exported runs. Needs the extra `inspect`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from manager.errors import ConfigError
from manager.generation.request import Message
from negotiation.agents import prompts
from negotiation.agents.options import ModelOptions
from negotiation.families.generate import found_or_drawn
from negotiation.game.agent import Decision
from negotiation.game.events import Ended, InvalidReply
from negotiation.game.measures import normalised
from negotiation.game.protocol import Ending
from negotiation.gym.table import Episode, Observation, Table
from negotiation.replies.reader import well_formed
from negotiation.runs.codec import scenario_to_json
from negotiation.runs.provenance import Provenance
from negotiation.scenario.analysers import analyser_of
from negotiation.scenario.model import SEATS, Scenario, Seat, parse_scenario
from negotiation.scenario.source import SHIPPED

try:
    from inspect_ai import Task, task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
    from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
    from inspect_ai.solver import Generate, Solver, TaskState, solver
except ImportError as missing:
    remedy = "install it with `pip install 'parley[inspect]'`"
    raise ConfigError(f"Parley's task for Inspect needs inspect-ai ({missing}); {remedy}") from None

OPTIONS = ModelOptions(guard="free")
"""Nothing enforces the form of replies here, so prompts describe it in full."""
RESULT = "parley"
"""Where the solver leaves the result in the sample's store."""
Function = TypeVar("Function", bound=Callable[..., Any])
CHAT: dict[str, type[Any]] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


def _of_parley(function: Function) -> Function:
    """Let Inspect take names as they are given, instead of putting the import package `negotiation` before them."""
    function.__module__ = "parley"
    return function


@task(name="parley/negotiate")  # type: ignore[untyped-decorator]
@_of_parley
def negotiate(
    scenario: str | Sequence[str] = "company_car",
    opponent: str | Sequence[str] = "boulware",
    seat: str = "both",
    seeds: int = 1,
    retries: int = 2,
) -> Task:
    """Negotiate with scripted strategies.

    Args:
        scenario: Scenarios, each the id of a shipped one, the path of a YAML file, or FAMILY:SEED[:NUMBER] to draw one.
        opponent: The strategies to negotiate with.
        seat: The seat that the model plays: a, b, or both.
        seeds: How many seeds to play, from 1 on. They matter to opponents that draw by chance.
        retries: How often the model is asked again after an invalid reply.
    """
    if seat not in (*SEATS, "both"):
        raise ConfigError(f"seat: '{seat}' is not one of a, b and both")
    if seeds < 1:
        raise ConfigError(f"seeds: {seeds} is less than 1")
    names, opponents = _listed("scenario", scenario), _listed("opponent", opponent)
    scenarios = [found_or_drawn(name, SHIPPED / "scenarios", SHIPPED / "families") for name in names]
    seats: Iterable[Seat] = [each for each in SEATS if seat in (each, "both")]
    episodes = (
        Episode(played, own, script, seed)
        for played, script, own, seed in itertools.product(scenarios, opponents, seats, range(1, seeds + 1))
    )
    samples = [_sample(episode) for episode in episodes]
    # The standard error is that of scenarios, and one scenario would have an error of 0.
    metrics = {"*": [mean(), *([stderr(cluster="scenario")] if len(scenarios) > 1 else [])]}
    dataset = MemoryDataset(samples, name="parley")
    return Task(dataset=dataset, solver=negotiator(retries), scorer=outcome(), metrics=metrics)


@solver(name="parley/negotiator")  # type: ignore[untyped-decorator]
@_of_parley
def negotiator(retries: int = 2) -> Solver:
    """Play the negotiation of a sample to its end.

    Args:
        retries: How often the model is asked again, after which an invalid reply counts as walking away.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = _episode(state.metadata)
        table = Table(episode.scenario, episode.agents, episode.seed, OPTIONS)
        talk: list[ChatMessage] = []
        while (seen := table.observation) is not None:
            state.messages = talk = [*talk, *_chat(seen.added)]
            state, decision = await _decide(state, seen, generate, retries)
            talk = [*talk, state.messages[-1]]  # without corrections, as Parley's own agents go on
            table.move(decision)
        state.messages = talk or state.messages
        state.store.set(RESULT, _result(table, episode.seat))
        state.completed = True
        return state

    return solve


@scorer(metrics={"*": [mean()]}, name="parley/outcome")  # type: ignore[untyped-decorator]
@_of_parley
def outcome() -> Scorer:
    """Score what the model got out of the negotiation; nothing if it was cut off."""

    async def score(state: TaskState, target: Target) -> Score | None:
        found = state.store.get(RESULT)
        if found is None:
            return None
        return Score(
            value=found["values"], answer=found["deal"], explanation=found["ending"], metadata=found["metadata"]
        )

    return score


async def _decide(state: TaskState, seen: Observation, generate: Generate, retries: int) -> tuple[TaskState, Decision]:
    """Ask the model, again after invalid replies, and return its decision with all of them."""
    invalid: list[InvalidReply] = []
    while True:
        state = await generate(state)
        decision = seen.decision(state.output.completion)
        if not decision.invalid:
            repaired = tuple(replace(entry, outcome="repaired") for entry in invalid)
            return state, replace(decision, invalid=repaired)
        invalid += decision.invalid
        if len(invalid) > retries:
            return state, replace(decision, invalid=tuple(invalid))
        fault = f"{decision.invalid[-1].detail} Reply again, with exactly one JSON object."
        state.messages.append(ChatMessageUser(content=fault))


def _sample(episode: Episode) -> Sample:
    table = Table(episode.scenario, episode.agents, episode.seed, OPTIONS)
    scenario, seat, first = table.scenario, episode.seat, table.observation
    return Sample(
        id=f"{scenario.scenario_id} {seat} {episode.opponent} {episode.seed}",
        input=_chat(first.added) if first is not None else scenario.story,
        metadata={
            "scenario": scenario.scenario_id,
            "title": scenario.title,
            "seat": seat,
            "opponent": episode.opponent,
            "seed": episode.seed,
            "prompt_version": prompts.VERSION,
            "provenance": Provenance.begun(scenario).model_dump(mode="json"),
            "scenario_definition": scenario_to_json(scenario),
        },
    )


def _episode(about: dict[str, Any]) -> Episode:
    scenario = parse_scenario(about["scenario"], about["scenario_definition"], "the sample's metadata")
    return Episode(scenario, about["seat"], about["opponent"], about["seed"])


def _result(table: Table, seat: Seat) -> dict[str, Any]:
    """Return the scores of a finished negotiation, and what explains them."""
    ended, scenario = table.ended, table.scenario
    assert ended is not None
    measures = ended.measures
    worth: dict[Seat, float] = {"a": measures.utility_a, "b": measures.utility_b}
    invalid = measures.seats[seat].invalid if measures.seats else {}
    return {
        "values": {
            "gain": table.reward(seat),
            "surplus": normalised(analyser_of(scenario), seat, worth[seat]),
            "utility": worth[seat],
            "agreed": float(ended.agreement is not None),
            "welfare_share": measures.welfare_share,
            "pareto_distance": measures.pareto_distance,
            "rational": float(measures.rational_a if seat == "a" else measures.rational_b),
            "invalid": float(sum(invalid.values())),
        },
        "deal": _deal(scenario, ended.agreement),
        "ending": _ending(ended),
        "metadata": {
            "agreement": None if ended.agreement is None else dict(ended.agreement),
            "utility_a": measures.utility_a,
            "utility_b": measures.utility_b,
            "nash_distance": measures.nash_distance,
            "invalid": dict(invalid),
        },
    }


def _ending(ended: Ended) -> str:
    if ended.by is None:
        return str(ended.ending)
    return f"seat {ended.by} {'walked away' if ended.ending is Ending.WALKED_AWAY else 'accepted'}"


def _deal(scenario: Scenario, agreement: Any) -> str:
    return "no deal" if agreement is None else scenario.show(agreement)


def _chat(messages: Iterable[Message]) -> list[ChatMessage]:
    return [CHAT[message["role"]](content=well_formed(message["content"])) for message in messages]


def _listed(argument: str, names: str | Sequence[str]) -> list[str]:
    """Return names that are given as a list, or as a text with commas; raises ConfigError if one is there twice."""
    texts = [names] if isinstance(names, str) else names
    listed = [name.strip() for text in texts for name in str(text).split(",")]
    if twice := [name for name in listed if listed.count(name) > 1]:
        raise ConfigError(f"{argument}: '{twice[0]}' is given twice; keep one")
    return listed
