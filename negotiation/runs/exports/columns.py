"""Runs as tables: one row per turn, and one row per run, with typed columns.

Utilities are from 0 to 1, `gain_` is what a seat got beyond its reservation value, and `surplus_` the same on the scale
that ends at the best outcome the other side could accept (game/measures.py). What is not known is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum
from typing import Any

from manager.identity import ServerReport
from negotiation.game.events import Turn
from negotiation.game.measures import measure_turns, normalised, total_cost
from negotiation.runs.provenance import ModelUse
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import PLACES, SEATS, Offer, Seat

Row = dict[str, Any]
Columns = Mapping[str, type]
"""The type of each column: str, int, float, bool, datetime, or list for a list of texts."""

_PROGRAM = {"parley": str, "prompt_version": int, "torch": str, "transformers": str, "scenario_sha256": str}
TURN: Columns = {
    "run_id": str,
    "scenario": str,
    "seed": int,
    "status": str,
    "round": int,
    "seat": str,
    "agent": str,
    "action": str,
    "offer": str,
    "message": str,
    "thought": str,
    "utility_a": float,
    "utility_b": float,
    "invalid": int,
    "tokens": int,
    "seconds": float,
    "prompt_tokens": int,
    "cost": float,
    "notes": list,
    "model": str,
    "revision": str,
    "sha256": str,
    "dtype": str,
    "quantization": str,
    "device": str,
    "server_model": str,
    "server_fingerprint": str,
    **_PROGRAM,
}
"""What is stored of a turn. `offer` is JSON, since its keys are the scenario's; `invalid` is a number of replies."""
MEASURED_TURN: Columns = {**TURN, "turn": int, "concession": float, "regret": float}
"""The same with the number of the turn, from 0, and what it conceded and cost (game/measures.py)."""
_OF_SEAT = {
    "label": str,
    "agent": str,
    "options": str,
    "model": str,
    "revision": str,
    "sha256": str,
    "dtype": str,
    "device": str,
    "reservation": float,
    "utility": float,
    "gain": float,
    "surplus": float,
    "rational": bool,
    "turns": int,
    "invalid": int,
    "tokens": int,
    "seconds": float,
    "cost": float,
}
RUN: Columns = {
    "run_id": str,
    "tournament_id": str,
    "created": datetime,
    "scenario": str,
    "title": str,
    "rounds": int,
    "discount": float,
    "family": str,
    "family_seed": int,
    "family_index": int,
    "seed": int,
    "status": str,
    "reason": str,
    "ending": str,
    "ended_by": str,
    "last_round": int,
    "agreed": bool,
    "agreement": str,
    "welfare_share": float,
    "pareto_distance": float,
    "nash_distance": float,
    "forked_turns": int,
    **{f"{name}_{seat}": kind for seat in SEATS for name, kind in _OF_SEAT.items()},
    **_PROGRAM,
}
"""What is known of a run. `agreement` and `options_` are JSON; the model of a seat is the first that wrote in it.

`label_` names the agent with its options, as leaderboards do. Turns that a fork begins with are not in what it took.
"""


@dataclass(frozen=True)
class RunPlace:
    """The tournament that a run is part of, if any, and the names of its agents there."""

    tournament_id: str | None
    labels: Mapping[Seat, str]


def place_outside(run: Run) -> RunPlace:
    """Return the place of a run of no tournament. Its agents have the names that they would have in one."""
    configs = {seat: run.agents[seat].unsettled(run.scenario.scenario_id, run.seed) for seat in SEATS}
    return RunPlace(None, {seat: config.label for seat, config in configs.items()})


def turn_row(run: Run, turn: Turn) -> Row:
    """Return a turn as a row of the columns TURN."""
    return {
        "run_id": run.run_id,
        "scenario": run.scenario.scenario_id,
        "seed": run.seed,
        "status": run.status,
        "round": turn.round,
        "seat": turn.seat,
        "agent": turn.agent,
        "action": str(turn.action),
        "offer": _offer(turn.offer),
        "message": turn.message,
        "thought": turn.thought,
        "utility_a": turn.utility_a,
        "utility_b": turn.utility_b,
        "invalid": len(turn.invalid),
        "tokens": turn.tokens,
        "seconds": turn.seconds,
        "prompt_tokens": turn.prompt_tokens,
        "cost": turn.cost,
        "notes": list(turn.notes),
        **_model(run.provenance.of_turn(turn.seat, turn.index) if run.provenance is not None else None),
        **_played_with(run),
    }


def measured_turns(run: Run) -> Iterator[Row]:
    """Yield the turns of a run as rows of the columns MEASURED_TURN."""
    measured = measure_turns(Analyser(run.scenario), run.turns)
    for turn in run.turns:
        concession, regret = measured[turn.index]
        yield {**turn_row(run, turn), "turn": turn.index, "concession": concession, "regret": regret}


def run_row(run: Run, place: RunPlace | None = None) -> Row:
    """Return a run as a row of the columns RUN; without its `place`, as one of no tournament."""
    place = place or place_outside(run)
    scenario, measures, origin = run.scenario, run.measures, run.scenario.drawn_from
    analyser = Analyser(scenario)
    return {
        "run_id": run.run_id,
        "tournament_id": place.tournament_id,
        "created": datetime.fromtimestamp(run.created, UTC) if run.created else None,
        "scenario": scenario.scenario_id,
        "title": scenario.title,
        "rounds": scenario.rounds,
        "discount": scenario.discount,
        "family": origin.family if origin else None,
        "family_seed": origin.seed if origin else None,
        "family_index": origin.index if origin else None,
        "seed": run.seed,
        "status": run.status,
        "reason": run.reason,
        "ending": None if run.ending is None else str(run.ending),
        "ended_by": run.ended_by,
        "last_round": run.turns[-1].round if run.turns else None,
        "agreed": None if measures is None else run.agreement is not None,
        "agreement": _offer(run.agreement),
        "welfare_share": measures.welfare_share if measures else None,
        "pareto_distance": measures.pareto_distance if measures else None,
        "nash_distance": measures.nash_distance if measures else None,
        "forked_turns": run.forked_turns,
        **{
            f"{name}_{seat}": value
            for seat in SEATS
            for name, value in {"label": place.labels[seat], **_seat_row(run, seat, analyser)}.items()
        },
        **_played_with(run),
    }


def _seat_row(run: Run, seat: Seat, analyser: Analyser) -> Row:
    own = [turn for turn in run.turns[run.forked_turns or 0 :] if turn.seat == seat]
    reservation, measures = run.scenario.roles[seat].reservation, run.measures
    uses = run.provenance.models.get(seat, ()) if run.provenance is not None else ()
    row = {
        "agent": run.agents[seat].agent,
        "options": json.dumps(run.agents[seat].chosen, ensure_ascii=False),
        **{name: value for name, value in _model(uses[0] if uses else None).items() if name in _OF_SEAT},
        "reservation": reservation,
        **dict.fromkeys(("utility", "gain", "surplus", "rational")),
        "turns": len(own),
        "invalid": sum(len(turn.invalid) for turn in own),
        "tokens": sum(turn.tokens for turn in own),
        "seconds": fsum(turn.seconds for turn in own),
        "cost": total_cost(turn.cost for turn in own),
    }
    if measures is not None:
        utility = measures.utility_a if seat == "a" else measures.utility_b
        row |= {
            "utility": utility,
            "gain": round(utility - reservation, PLACES),
            "surplus": normalised(analyser, seat, utility),
            "rational": measures.rational_a if seat == "a" else measures.rational_b,
        }
    return row


def _offer(offer: Offer | None) -> str | None:
    return None if offer is None else json.dumps(offer, ensure_ascii=False)


def _model(use: ModelUse | None) -> dict[str, str | None]:
    """Return a model as columns; all None if there is none."""
    names = ("model", "revision", "sha256", "dtype", "quantization", "device", "server_model", "server_fingerprint")
    if use is None:
        return dict.fromkeys(names)
    it, server = use.identity, use.identity.server or ServerReport()
    weights = (it.model_name, it.revision, it.sha256, it.dtype, it.quantization, it.device)
    return dict(zip(names, (*weights, server.model, server.fingerprint), strict=True))


def _played_with(run: Run) -> Row:
    if run.provenance is None:
        return dict.fromkeys(_PROGRAM)
    program = run.provenance.program
    versions = (program.parley, program.prompt_version, program.torch, program.transformers)
    return dict(zip(_PROGRAM, (*versions, run.provenance.scenario_sha256), strict=True))
