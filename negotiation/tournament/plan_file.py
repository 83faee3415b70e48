"""The file of a tournament (configs/tournaments/*.yaml), and the plan that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manager.config.provider_models import PREFIX
from manager.config.strict_yaml import read_yaml, validate
from manager.errors import ConfigError
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.families.family import FAMILIES, find_family
from negotiation.families.generate import MOST_SEED, draw_scenarios
from negotiation.families.people import People
from negotiation.scenario.model import MOST_ROUNDS, Scenario
from negotiation.tournament.plan import Adaptive, StrictPart, Tournament, TournamentLimits, digest_of

MOST_DRAWN = 200
"""The most scenarios of a family in a tournament."""
MODEL_ROUNDS = 100
"""The most rounds that models can play; their conversations grow with every turn."""

_listed = BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
Name = Annotated[str, Field(min_length=1, max_length=100)]
Names = Annotated[Literal["all"] | tuple[Name, ...], _listed]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], _listed]


class AgentEntry(StrictPart):
    """A model or a script with options (agents/options.py)."""

    agent: Name
    options: dict[str, Any] = Field(default_factory=dict)


class TournamentFile(StrictPart):
    """The keys of a tournament file; configs/tournaments/example.yaml explains them."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    models: Annotated[Literal["all"] | tuple[Name | AgentEntry, ...], _listed] = ()
    constrained: bool = True
    baselines: Annotated[Literal["all"] | tuple[Name | AgentEntry, ...], _listed] = ()
    scenarios: Names = "all"
    family: Name | None = None
    count: Annotated[int, Field(ge=1, le=MOST_DRAWN)] | None = None
    draw_seed: Annotated[int, Field(ge=0, lt=MOST_SEED)] = 1
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
        if (self.family is None) != (self.count is None):
            raise ValueError("give family and count (the number of scenarios to draw) together, or neither")
        if self.family is not None and "scenarios" in self.model_fields_set:
            raise ValueError("give either scenarios (a list) or family and count")
        if self.family is None and "draw_seed" in self.model_fields_set:
            raise ValueError("key 'draw_seed': there is nothing to draw without family and count; remove it")
        if self.scenarios == () or self.seeds == ():
            raise ValueError(f"key '{'seeds' if self.seeds == () else 'scenarios'}': the list is empty")
        return self


def load_tournament(
    path: Path, catalog: Catalog, scenarios: Mapping[str, Scenario], families: Path = FAMILIES
) -> Tournament:
    """Return the tournament in a file; raises ConfigError naming the file and the key."""
    return resolve(read_tournament(path), catalog, scenarios, str(path), families)


def read_tournament(path: Path) -> TournamentFile:
    """Read a tournament file; raises ConfigError naming the file and the key."""
    return validate(TournamentFile, read_yaml(path), str(path))


def named_models(given: TournamentFile) -> list[str]:
    """Return the models that a tournament file names; none if it says `all`."""
    return [] if isinstance(given.models, str) else [_entry(entry).agent for entry in given.models]


def resolve(
    given: TournamentFile,
    catalog: Catalog,
    scenarios: Mapping[str, Scenario],
    where: str = "tournament",
    families: Path = FAMILIES,
) -> Tournament:
    """Look up the agents and scenarios of a tournament file, or draw the scenarios from a family in `families`.

    Raises:
        ConfigError: Something is wrong; names `where` and the key.
    """
    models = _models(given, catalog, f"{where}: key 'models'")
    baselines = _baselines(given, catalog, f"{where}: key 'baselines'")
    chosen, people = _scenarios(given, scenarios, where, families)
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
        scenarios={name: _with_rounds(scenario, given.rounds) for name, scenario in chosen.items()},
        seeds=given.seeds or tuple(range(1, (given.pairs or 0) + 1)),
        mirrored=given.mirrored,
        limits=given.limits,
        adaptive=given.adaptive,
        people=people,
    )
    return replace(tournament, digest=digest_of(tournament, catalog))


def _scenarios(
    given: TournamentFile, scenarios: Mapping[str, Scenario], where: str, families: Path
) -> tuple[dict[str, Scenario], People | None]:
    """Return the scenarios of a tournament, and what people reached in them; raises ConfigError."""
    if given.family is None or given.count is None:
        names = _picked("scenario", given.scenarios, list(scenarios), f"{where}: key 'scenarios'")
        return {name: scenarios[name] for name in names}, None
    family = find_family(given.family, families, f"{where}: key 'family'")
    drawn = draw_scenarios(family, given.draw_seed, given.count)
    return {scenario.scenario_id: scenario for scenario in drawn}, family.people


def _models(given: TournamentFile, catalog: Catalog, where: str) -> list[AgentConfig]:
    """Return the models with all their options; raises ConfigError."""
    known = list(catalog.manager.list_models())
    if not isinstance(given.models, str):
        lent = [name for name in named_models(given) if name.startswith(PREFIX) and name not in known]
        known += [name for name in lent if catalog.providers.find(name)]
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
    entries = [_entry(entry) for entry in listed]
    _picked(kind, tuple(entry.agent for entry in entries), known, where)
    return entries


def _entry(given: str | AgentEntry) -> AgentEntry:
    return AgentEntry(agent=given) if isinstance(given, str) else given


def _with_rounds(scenario: Scenario, rounds: int | None) -> Scenario:
    return scenario if rounds is None else scenario.model_copy(update={"rounds": rounds})


def _picked(kind: str, names: tuple[str, ...] | str, known: list[str], where: str) -> list[str]:
    if isinstance(names, str):
        return known
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: unknown {kind} '{name}'; choose from: {', '.join(known)}")
    return list(names)
