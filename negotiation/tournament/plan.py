"""The plan of a tournament: its file (configs/tournaments/*.yaml) and the games that follow from it."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from manager.config.strict_yaml import read_yaml, validate
from manager.errors import ConfigError
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.runs.codec import scenario_to_json
from negotiation.scenario.model import MOST_ROUNDS, Scenario, Seat, parse_scenario

_listed = BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
Name = Annotated[str, Field(min_length=1, max_length=100)]
Names = Annotated[Literal["all"] | tuple[Name, ...], _listed]
MODEL_ROUNDS = 100
"""The most rounds that models can play; their conversations grow with every turn."""
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], _listed]


class _StrictPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AgentEntry(_StrictPart):
    """A model or a script with options (agents/options.py)."""

    agent: Name
    options: dict[str, Any] = Field(default_factory=dict)


class TournamentLimits(_StrictPart):
    """How many games run at a time, how often failed ones are retried, and when to stop."""

    at_once: Annotated[int, Field(ge=1, le=256)] = 16
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    retry_seconds: Annotated[float, Field(ge=0)] = 5.0
    minutes: Annotated[float, Field(gt=0)] | None = None


class Adaptive(_StrictPart):
    """Play where it reduces uncertainty most: first `first_pairs` seeds everywhere, then where ranks are unsettled."""

    first_pairs: Annotated[int, Field(ge=1)] = 1
    close_points: Annotated[float, Field(ge=0, le=200)] = 3.0
    negotiations: Annotated[int, Field(ge=1)] | None = None


class TournamentFile(_StrictPart):
    """The keys of a tournament file; configs/tournaments/example.yaml explains them."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    models: Annotated[Literal["all"] | tuple[Name | AgentEntry, ...], _listed] = ()
    constrained: bool = True
    baselines: Annotated[Literal["all"] | tuple[Name | AgentEntry, ...], _listed] = ()
    scenarios: Names = "all"
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] | None = None
    mirrored: bool = True
    pairs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    seeds: Seeds | None = None
    limits: TournamentLimits = TournamentLimits()
    adaptive: Adaptive | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> TournamentFile:
        if (self.pairs is None) == (self.seeds is None):
            raise ValueError("give either pairs (a number of seeds, starting at 1) or seeds (a list)")
        for key in ("models", "baselines", "scenarios", "seeds"):
            given = getattr(self, key)
            twice = next((each for each in given if given.count(each) > 1), None) if isinstance(given, tuple) else None
            if twice is not None:
                raise ValueError(f"key '{key}': '{twice}' is listed twice")
        if self.scenarios == () or self.seeds == ():
            raise ValueError(f"key '{'seeds' if self.seeds == () else 'scenarios'}': the list is empty")
        return self


@dataclass(frozen=True, order=True)
class Game:
    """One negotiation of a tournament: a scenario, the agents in seats a and b, and a seed."""

    scenario_id: str
    a: str
    b: str
    seed: int

    @property
    def meeting(self) -> Meeting:
        """The meeting of this game: the same two agents, scenario and seed."""
        return Meeting(self.scenario_id, min(self.a, self.b), max(self.a, self.b), self.seed)

    def seat(self, agent: str) -> Seat:
        """Return the seat that an agent plays."""
        return "a" if self.a == agent else "b"


@dataclass(frozen=True, order=True)
class Meeting:
    """Two agents in the order of their names, a scenario and a seed: one game, or two with mirrored seats."""

    scenario_id: str
    first: str
    second: str
    seed: int


@dataclass(frozen=True)
class Tournament:
    """A tournament with its agents and scenarios. Tournaments with the same `digest` can be resumed as this one."""

    title: str
    agents: Mapping[str, AgentConfig]
    scenarios: Mapping[str, Scenario]
    seeds: tuple[int, ...]
    mirrored: bool = True
    limits: TournamentLimits = field(default_factory=TournamentLimits)
    adaptive: Adaptive | None = None
    digest: str = ""

    def games(self) -> Iterator[Game]:
        """Yield every game: by scenario, pairing, seed and seats."""
        for scenario_id, pair in itertools.product(self.scenarios, itertools.combinations(sorted(self.agents), 2)):
            for seed in self.seeds:
                yield from self.games_of(Meeting(scenario_id, *pair, seed))

    def games_of(self, meeting: Meeting) -> list[Game]:
        """Return the games of a meeting. Unless seats are mirrored, the agent listed first in the file has seat a."""
        x, y = sorted((meeting.first, meeting.second), key=list(self.agents).index)
        there = Game(meeting.scenario_id, x, y, meeting.seed)
        return [there, Game(meeting.scenario_id, y, x, meeting.seed)] if self.mirrored else [there]

    @cached_property
    def size(self) -> int:
        """The number of games."""
        pairings = len(self.agents) * (len(self.agents) - 1) // 2
        return len(self.scenarios) * pairings * len(self.seeds) * (2 if self.mirrored else 1)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            "title": self.title,
            "agents": {name: config.to_json() for name, config in self.agents.items()},
            "scenarios": {key: scenario_to_json(scenario) for key, scenario in self.scenarios.items()},
            "seeds": list(self.seeds),
            "mirrored": self.mirrored,
            "limits": self.limits.model_dump(mode="json"),
            "adaptive": self.adaptive.model_dump(mode="json") if self.adaptive else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], digest: str) -> Tournament:
        """Return the tournament that `to_json` wrote."""
        scenarios = {key: parse_scenario(key, about, "a stored tournament") for key, about in data["scenarios"].items()}
        return cls(
            title=data["title"],
            agents={name: AgentConfig.from_json(config) for name, config in data["agents"].items()},
            scenarios=scenarios,
            seeds=tuple(data["seeds"]),
            mirrored=data["mirrored"],
            limits=TournamentLimits(**data["limits"]),
            adaptive=_adaptive(data["adaptive"]) if data["adaptive"] else None,
            digest=digest,
        )


def _adaptive(data: Mapping[str, Any]) -> Adaptive:
    """Return the stored settings; `close_enough`, in points of an earlier rating, no longer has a meaning."""
    return Adaptive(**{key: value for key, value in data.items() if key != "close_enough"})


def load_tournament(path: Path, catalog: Catalog, scenarios: Mapping[str, Scenario]) -> Tournament:
    """Return the tournament in a file; raises ConfigError naming the file and the key."""
    return resolve(read_tournament(path), catalog, scenarios, str(path))


def read_tournament(path: Path) -> TournamentFile:
    """Read a tournament file; raises ConfigError naming the file and the key."""
    return validate(TournamentFile, read_yaml(path), str(path))


def resolve(
    given: TournamentFile, catalog: Catalog, scenarios: Mapping[str, Scenario], where: str = "tournament"
) -> Tournament:
    """Look up the agents and scenarios of a tournament file; raises ConfigError naming `where` and the key."""
    models = _models(given, catalog, f"{where}: key 'models'")
    baselines = _baselines(given, catalog, f"{where}: key 'baselines'")
    chosen = _picked("scenario", given.scenarios, list(scenarios), f"{where}: key 'scenarios'")
    agents = {config.label: config for config in (*models, *baselines)}
    if len(agents) < len(models) + len(baselines):
        raise ConfigError(f"{where}: an agent is listed twice with the same options; keep one")
    if len(agents) < 2:
        raise ConfigError(f"{where}: a tournament needs at least two agents; name them under models and baselines")
    if given.rounds and given.rounds > MODEL_ROUNDS and models:
        raise ConfigError(
            f"{where}: key 'rounds': models can play at most {MODEL_ROUNDS} rounds; only tournaments of scripts alone "
            f"can have up to {MOST_ROUNDS:,}"
        )
    tournament = Tournament(
        title=given.title,
        agents=agents,
        scenarios={name: _with_rounds(scenarios[name], given.rounds) for name in chosen},
        seeds=given.seeds or tuple(range(1, (given.pairs or 0) + 1)),
        mirrored=given.mirrored,
        limits=given.limits,
        adaptive=given.adaptive,
    )
    return replace(tournament, digest=digest_of(tournament, catalog))


def _models(given: TournamentFile, catalog: Catalog, where: str) -> list[AgentConfig]:
    """Return the models with all their options; raises ConfigError."""
    known = list(catalog.manager.list_models())
    guard = {} if given.constrained else {"guard": "free"}
    entries = _entries("model", given.models, known, where)
    return [catalog.complete(AgentConfig(entry.agent, {**guard, **entry.options})) for entry in entries]


def _baselines(given: TournamentFile, catalog: Catalog, where: str) -> list[AgentConfig]:
    """Return the scripts with their options; raises ConfigError."""
    entries = _entries("strategy", given.baselines, list(STRATEGIES), where)
    return [catalog.complete(AgentConfig(entry.agent, entry.options)) for entry in entries]


def _entries(kind: str, given: tuple[str | AgentEntry, ...] | str, known: list[str], where: str) -> list[AgentEntry]:
    """Return the agents of a list, or all that are known; raises ConfigError if one is not."""
    listed: Iterable[str | AgentEntry] = known if isinstance(given, str) else given
    entries = [AgentEntry(agent=entry) if isinstance(entry, str) else entry for entry in listed]
    _picked(kind, tuple(entry.agent for entry in entries), known, where)
    return entries


def _with_rounds(scenario: Scenario, rounds: int | None) -> Scenario:
    return scenario if rounds is None else scenario.model_copy(update={"rounds": rounds})


def _picked(kind: str, names: tuple[str, ...] | str, known: list[str], where: str) -> list[str]:
    if isinstance(names, str):
        return known
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: unknown {kind} '{name}'; choose from: {', '.join(known)}")
    return list(names)


def digest_of(tournament: Tournament, catalog: Catalog) -> str:
    """Return a hash of everything that affects a game. Seeds and limits do not: played games stay valid.

    Raises:
        UnknownModel: A model is no longer registered.
    """
    data = tournament.to_json()
    models = [config.agent for config in tournament.agents.values() if config.agent not in STRATEGIES]
    about = {"label", "license", "size", "pinned", "idle_seconds", "price"}
    data["specs"] = {name: catalog.manager.spec(name).model_dump(mode="json", exclude=about) for name in models}
    for key in ("seeds", "limits", "adaptive"):
        del data[key]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
