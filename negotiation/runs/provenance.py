"""Provenance: what a run was played with, as far as it can be known, so that others can cite and reproduce it.

It names programs, models and settings, but nothing private: no addresses, keys or paths.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib import metadata
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

import negotiation
from manager.identity import Identity, Words
from negotiation.agents import prompts
from negotiation.game.events import Writer
from negotiation.scenario.model import Origin, Scenario, Seat

MOST_USES = 500
"""A run has at most 200 turns, so at most as many changes of models and programs."""


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Program(_Recorded):
    """The software that played, and the machine's kind."""

    parley: Words
    prompt_version: int
    python: Words
    torch: Words | None
    transformers: Words | None
    platform: Words


class ModelUse(_Recorded):
    """The model that wrote a seat's turns from `first_turn` on, and its sampling settings."""

    first_turn: Annotated[int, Field(ge=0)]
    identity: Identity
    sampling: Annotated[dict[str, Any], Field(max_length=100)]


class Provenance(_Recorded):
    """What a run was played with.

    A seat without `models` was played by a scripted strategy, which belongs to the program, or by a person.
    """

    scenario_sha256: Words
    drawn_from: Origin | None = None  # the scenario's family, seed and number, if it was drawn from one
    program: Program
    continued_by: Annotated[tuple[Program, ...], Field(max_length=MOST_USES)] = ()  # programs that differ, in order
    models: dict[Seat, Annotated[tuple[ModelUse, ...], Field(max_length=MOST_USES)]] = {}

    @classmethod
    def begun(cls, scenario: Scenario) -> Provenance:
        """Return the provenance of a run of `scenario` that this program begins."""
        return cls(scenario_sha256=scenario.sha256, drawn_from=scenario.drawn_from, program=this_program())

    def continued(self) -> Provenance:
        """Return the provenance of a run that this program continues."""
        last = (self.program, *self.continued_by)[-1]
        if last == this_program():
            return self
        return self.model_copy(update={"continued_by": (*self.continued_by, this_program())})

    def written(self, seat: Seat, turn: int, writer: Writer | None) -> Provenance:
        """Return the provenance after a turn that `writer` wrote; None for a turn that no model wrote."""
        if writer is None:
            return self
        use = ModelUse(first_turn=turn, identity=writer.identity, sampling=dict(writer.sampling))
        known = self.models.get(seat, ())
        if known and known[-1].model_copy(update={"first_turn": turn}) == use:
            return self
        return self.model_copy(update={"models": {**self.models, seat: (*known, use)}})

    def of_turn(self, seat: Seat, turn: int) -> ModelUse | None:
        """Return the model that wrote a turn of a seat; None if none did."""
        return next((use for use in reversed(self.models.get(seat, ())) if use.first_turn <= turn), None)


@lru_cache
def this_program() -> Program:
    """Return the versions of this program and of the libraries that models run on. Imports none of them."""
    return Program(
        parley=negotiation.__version__,
        prompt_version=prompts.VERSION,
        python=platform.python_version(),
        torch=_version("torch"),
        transformers=_version("transformers"),
        platform=f"{platform.system()} {platform.machine()}",
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
