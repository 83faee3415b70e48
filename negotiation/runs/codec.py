"""The stored form of a run: one codec for the database, journals and exports.

The dataclasses are the schema; pydantic takes the fields and their types from them. A field that stored data lacks
takes its default, so whatever an earlier version wrote stays readable, and fields that a newer version added are
ignored. Wrong types are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from manager.config.strict_yaml import shown
from negotiation.errors import StoreError
from negotiation.game.events import Measures, Turn
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import STORED, Run
from negotiation.scenario.model import Scenario

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)
"""Errors that nonsensical data causes while it is read; pydantic's ValidationError is a ValueError."""

_RUN = TypeAdapter(Run)
_TURNS = TypeAdapter(tuple[Turn, ...], config=STORED)
_MEASURES = TypeAdapter(Measures | None, config=STORED)
_PROVENANCE = TypeAdapter(Provenance | None)


def run_to_json(run: Run) -> dict[str, Any]:
    """Return the fields of a run without its turns; the scenario's id is beside its definition."""
    fields: dict[str, Any] = _RUN.dump_python(run, mode="json", exclude={"scenario", "turns"})
    return {**fields, "scenario_id": run.scenario.scenario_id, "scenario": scenario_to_json(run.scenario)}


def run_from_json(data: Mapping[str, Any], turns: Iterable[Any] = ()) -> Run:
    """Return the run that `run_to_json` wrote, with its stored `turns`; other keys and nulls are skipped.

    Raises:
        StoreError: The data is no run; the message names the run and the key.
    """
    try:
        given = {key: data[key] for key in Run.__dataclass_fields__ if data.get(key) is not None}
        given["scenario"] = {**data["scenario"], "scenario_id": data["scenario_id"]}
        return _RUN.validate_python({**given, "turns": list(turns)})
    except UNREADABLE as error:
        raise unreadable(data.get("run_id"), error) from None


def turns_to_json(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Return turns as data that `json` can write."""
    # Not mode="json", which damages keys with characters that are no valid Unicode.
    return list(_TURNS.dump_python(tuple(turns)))


def turns_from_json(run_id: str, data: Iterable[Any]) -> tuple[Turn, ...]:
    """Return the turns of a run, in their order; raises StoreError if they cannot be read."""
    try:
        return _TURNS.validate_python(tuple(data))
    except UNREADABLE as error:
        raise unreadable(run_id, error) from None


def measures_from_json(run_id: str, data: Any) -> Measures | None:
    """Return the measures of a run; raises StoreError if they cannot be read."""
    try:
        return _MEASURES.validate_python(data)
    except UNREADABLE as error:
        raise unreadable(run_id, error) from None


def provenance_from_json(run_id: str, data: Any) -> Provenance | None:
    """Return the provenance of a run, None if it has none; raises StoreError if it cannot be read."""
    try:
        return _PROVENANCE.validate_python(data)
    except UNREADABLE as error:
        raise unreadable(run_id, error) from None


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario's definition, without its id."""
    return scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)


def unreadable(run_id: object, error: Exception) -> StoreError:
    """Return the error for a run that cannot be read, with the first reason in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        reason = f"key '{'.'.join(map(str, first['loc']))}': {first['msg']}"
    elif isinstance(error, KeyError):
        reason = f"key {error} is missing"
    else:
        reason = str(error).strip().partition("\n")[0]
    return StoreError(
        f"run {shown(run_id, 80)} cannot be read ({reason[:300]}); another version of Parley may have written it"
    )
