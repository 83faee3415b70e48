"""A run from a line of a journal, believed only if it is one that this program could have written.

Whoever may write into the volume or the dataset that holds a journal may have written anything into it. What is read
back is shown, listed, counted and played on, so it must have the types and the sizes that are expected there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from manager.config.strict_yaml import shown
from negotiation.errors import StoreError
from negotiation.game.events import Measures, Turn
from negotiation.game.protocol import Ending
from negotiation.runs.record import Run, run_from_row
from negotiation.scenario.model import SEATS, Seat

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)
"""What reading something that makes no sense raises; pydantic's ValidationError is a ValueError."""

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+$")]
"""An id: of a run, a comparison or a visitor."""
TURNS = TypeAdapter(tuple[Turn, ...])
MEASURES = TypeAdapter(Measures)


class _Line(BaseModel):
    """The columns of a run that ended."""

    model_config = ConfigDict(strict=True)

    run_id: Name
    created: Annotated[float, Field(ge=0, lt=1e11)]  # a moment that a calendar has
    owner: Name | None
    published: bool
    status: Literal["done", "stopped", "interrupted", "failed"]
    reason: Annotated[str, Field(max_length=20_000)]
    scenario_id: Annotated[str, Field(max_length=1000)]
    scenario: dict[str, Any]
    seed: int
    agents: dict[Seat, Any]
    comparison: Name | None
    lane: int | None
    forked_from: Name | None
    forked_turns: int | None
    ending: str | None
    ended_by: Seat | None
    agreement: dict[str, str | int] | None
    measures: dict[str, Any] | None
    turns: list[Any]


def run_from_line(line: Mapping[str, Any]) -> Run:
    """The run with its turns; raises StoreError if it cannot be one."""
    try:
        row = _Line.model_validate(line)
        run = run_from_row(SimpleNamespace(**dict(row)))
        if set(run.agents) != set(SEATS):
            raise ValueError("it has not two agents")
        if run.status == "done" and (run.measures is None or run.ending is None):
            raise ValueError("it is done, and has no end")
        if run.ending is not None:
            Ending(run.ending)
        if row.measures is not None:
            MEASURES.validate_python(row.measures)
        turns = TURNS.validate_python(row.turns)
        offers = [run.agreement, *(turn.offer for turn in turns)]
        if wrong := [found for offer in offers if offer is not None and (found := run.scenario.problem(offer))]:
            raise ValueError(wrong[0])
        if [turn.index for turn in turns] != list(range(len(turns))):
            raise ValueError("its turns do not follow each other")
    except UNREADABLE as error:
        raise StoreError(f"run {shown(line.get('run_id'), 80)} cannot be read ({_why(error)})") from None
    return Run(**{**vars(run), "turns": turns})


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"key '{'.'.join(map(str, first['loc']))}': {first['msg']}"
    return str(error).strip().partition("\n")[0]


def read_line(raw: bytes) -> dict[str, Any]:
    """A line as a mapping, its numbers finite; raises one of `UNREADABLE`."""
    found = json.loads(raw, parse_float=_finite, parse_constant=_finite)
    if not isinstance(found, dict):
        raise TypeError("a line is no mapping")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number")
    return number
