"""What a tournament was played with: the programs, scenarios and models of all its games."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

import negotiation
from negotiation.runs.provenance import ModelUse, Program, Provenance
from negotiation.tournament.plan import Game


class PlayedWith(BaseModel):
    """Everything that took part in at least one game, in order of appearance.

    More than one program, digest of a scenario or model of an agent means that not all games were played alike.
    """

    model_config = ConfigDict(frozen=True)

    programs: tuple[Program, ...]
    scenarios: dict[str, tuple[str, ...]]  # digests by scenario
    models: dict[str, tuple[ModelUse, ...]]  # by agent; scripted strategies have none
    unrecorded: int  # games of versions that recorded nothing

    @property
    def prompt_versions(self) -> tuple[int, ...]:
        """The versions of the prompts, in ascending order."""
        return tuple(sorted({program.prompt_version for program in self.programs}))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data. `first_turn` says nothing about a whole tournament and is left out."""
        return self.model_dump(mode="json", exclude={"models": {"__all__": {"__all__": {"first_turn"}}}})

    def to_metadata(self) -> dict[str, str]:
        """Return it as metadata of a file: the version that writes it, the versions of the prompts, and everything."""
        return {
            "parley": negotiation.__version__,
            "prompt_versions": ", ".join(map(str, self.prompt_versions)),
            "provenance": json.dumps(self.to_json()),
        }


def played_with(games: Iterable[tuple[Game, Provenance | None]]) -> PlayedWith:
    """Return what the games were played with."""
    programs: dict[Program, None] = {}
    scenarios: dict[str, dict[str, None]] = {}
    models: dict[str, list[ModelUse]] = {}
    unrecorded = 0
    for game, found in games:
        if found is None:
            unrecorded += 1
            continue
        programs.update(dict.fromkeys((found.program, *found.continued_by)))
        scenarios.setdefault(game.scenario_id, {})[found.scenario_sha256] = None
        for seat, uses in found.models.items():
            known = models.setdefault(game.a if seat == "a" else game.b, [])
            for use in uses:
                anywhere = use.model_copy(update={"first_turn": 0})
                if anywhere not in known:
                    known.append(anywhere)
    return PlayedWith(
        programs=tuple(programs),
        scenarios={name: tuple(digests) for name, digests in scenarios.items()},
        models={agent: tuple(uses) for agent, uses in models.items()},
        unrecorded=unrecorded,
    )
