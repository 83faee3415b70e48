"""The plan of a tournament: its agents, scenarios and seeds, and the games that follow from them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.families.people import People
from negotiation.runs.codec import scenario_to_json
from negotiation.scenario.model import Scenario, Seat, parse_scenario


class StrictPart(BaseModel):
    """A part of a tournament file: immutable, without unknown keys and without converted types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TournamentLimits(StrictPart):
    """How many games run at a time, how often failed ones are retried, and when to stop."""

    at_once: Annotated[int, Field(ge=1, le=256)] = 16
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    retry_seconds: Annotated[float, Field(ge=0)] = 5.0
    minutes: Annotated[float, Field(gt=0)] | None = None


class Adaptive(StrictPart):
    """Play where it reduces uncertainty most: first `first_pairs` seeds everywhere, then where ranks are unsettled."""

    first_pairs: Annotated[int, Field(ge=1)] = 1
    close_points: Annotated[float, Field(ge=0, le=200)] = 3.0
    negotiations: Annotated[int, Field(ge=1)] | None = None


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
    """A tournament with its agents and scenarios. `digest` covers what affects a game."""

    title: str
    agents: Mapping[str, AgentConfig]
    scenarios: Mapping[str, Scenario]
    seeds: tuple[int, ...]
    mirrored: bool = True
    limits: TournamentLimits = field(default_factory=TournamentLimits)
    adaptive: Adaptive | None = None
    people: People | None = None  # what people reached in these scenarios, if that is known
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

    def continues(self, before: Tournament) -> bool:
        """Return whether the games of an earlier tournament are valid in this one; it may draw more scenarios."""
        shared = self.scenarios.keys() & before.scenarios.keys()
        return self.digest == before.digest and all(self.scenarios[it] == before.scenarios[it] for it in shared)

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
            "people": self.people.model_dump(mode="json") if self.people else None,
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
            people=People(**data["people"]) if data.get("people") else None,
            digest=digest,
        )


def _adaptive(data: Mapping[str, Any]) -> Adaptive:
    """Return the stored settings; `close_enough`, in points of an earlier rating, no longer has a meaning."""
    return Adaptive(**{key: value for key, value in data.items() if key != "close_enough"})


def digest_of(tournament: Tournament, catalog: Catalog) -> str:
    """Return a hash of everything that affects a game. Seeds, limits and the number of scenarios drawn do not.

    A tournament with more or fewer of them is the same one, and the games that were played stay valid.

    Raises:
        UnknownModel: A model is no longer registered.
    """
    data = tournament.to_json()
    models = [config.agent for config in tournament.agents.values() if config.agent not in STRATEGIES]
    about = {"label", "license", "size", "pinned", "idle_seconds", "price"}
    data["specs"] = {name: catalog.manager.spec(name).model_dump(mode="json", exclude=about) for name in models}
    for key in ("seeds", "limits", "adaptive", "people"):
        del data[key]
    origins = [scenario.drawn_from for scenario in tournament.scenarios.values()]
    if all(origins):
        data["scenarios"] = sorted({(origin.family, origin.seed, origin.sha256) for origin in origins if origin})
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
