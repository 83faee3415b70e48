"""A run from a line of a journal, accepted only if this program could have written it.

Anyone who can write to the volume or the dataset with the journal can have written anything. Runs from it are shown,
listed, counted and continued, so they must have the expected types and sizes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from negotiation.runs.codec import UNREADABLE, run_from_json, unreadable
from negotiation.runs.owners import without_secret
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS


def run_from_line(line: Mapping[str, Any]) -> Run:
    """Return the run in a line, with its turns; raises StoreError if it cannot be one."""
    try:
        run = run_from_json(line, line["turns"])
        run = replace(run, owner=run.owner and without_secret(run.owner))
        if problem := next(_problems(run), None):
            raise ValueError(problem)
    except UNREADABLE as error:
        raise unreadable(line.get("run_id"), error) from None
    return run


def _problems(run: Run) -> Iterator[str]:
    """Yield what is wrong with a run whose types are right."""
    names = {"run_id": run.run_id, "owner": run.owner, "comparison": run.comparison, "forked_from": run.forked_from}
    numbers = {"lane": run.lane, "forked_turns": run.forked_turns}
    yield from (f"key '{key}': not an id" for key, name in names.items() if name is not None and not _is_id(name))
    yield from (f"key '{key}': out of range" for key, number in numbers.items() if not 0 <= (number or 0) < 2**31)
    if not 0 <= run.created < 1e11:
        yield "key 'created': not a valid time"
    if run.status == "running":
        yield "key 'status': runs in a journal must have ended"
    if len(run.reason) > 20_000 or len(run.scenario.scenario_id) > 1000:
        yield f"key '{'reason' if len(run.reason) > 20_000 else 'scenario_id'}': too long"
    if set(run.agents) != set(SEATS):
        yield "key 'agents': must name an agent for each seat"
    if run.status == "done" and (run.measures is None or run.ending is None):
        yield "key 'status': done, but the ending or the measures are missing"
    offers = [run.agreement, *(turn.offer for turn in run.turns)]
    yield from (problem for offer in offers if offer is not None and (problem := run.scenario.problem(offer)))
    if [turn.index for turn in run.turns] != list(range(len(run.turns))):
        yield "key 'turns': not in sequence"


def _is_id(name: str) -> bool:
    """Return whether a text can be the id of a run, a comparison or a visitor."""
    return name.isascii() and name.isprintable() and 1 <= len(name) <= 128


def read_line(raw: bytes) -> dict[str, Any]:
    """Return a line as a mapping with finite numbers; raises one of `UNREADABLE`."""
    found = json.loads(raw, parse_float=_finite, parse_constant=_finite)
    if not isinstance(found, dict):
        raise TypeError("a line must be a JSON object")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number
