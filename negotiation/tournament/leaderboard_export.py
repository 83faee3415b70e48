"""A leaderboard as JSON and as a CSV table, exported by the page and the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from negotiation.figures.statistics import Interval
from negotiation.tournament.leaderboard import MEASURES, Cell, Leaderboard, Placing, Standing
from negotiation.tournament.provenance import PlayedWith
from negotiation.tournament.store import TournamentRow

SCOPES = "these_scenarios", "scenarios_like_these"
"""The scopes of uncertainty: over the seeds of these scenarios, or over scenarios as a sample of their kind."""


def to_json(board: Leaderboard) -> dict[str, Any]:
    """Return all figures as plain data."""
    return {
        "standings": [_row(row) for row in board.standings],
        "by_scenario": {name: [_row(row) for row in rows] for name, rows in board.by_scenario.items()},
        "by_seat": {
            agent: {seat: _intervals(measures) for seat, measures in seats.items()}
            for agent, seats in board.by_seat.items()
        },
        "model_by_model": _cells(board.by_opponent),
        "model_by_scenario": _cells(board.by_agent_and_scenario),
        "too_short_for_micro": board.too_short_for_micro,
        "people": None if board.tournament.people is None else board.tournament.people.model_dump(mode="json"),
        "failed": [
            {
                "scenario": played.game.scenario_id,
                "a": played.game.a,
                "b": played.game.b,
                "seed": played.game.seed,
                "reason": played.reason,
                "attempts": played.attempts,
                "run_id": played.run_id,
            }
            for played in board.failed
        ],
    }


def describe(row: TournamentRow, board: Leaderboard, played: PlayedWith) -> dict[str, Any]:
    """Return a tournament, its leaderboard, and what it was played with as plain data."""
    done = sum(played.status == "done" for played in board.games)
    return {
        "tournament_id": row.tournament_id,
        "title": row.tournament.title,
        "status": row.status,
        "reason": row.reason,
        "negotiations": row.tournament.size,
        "done": done,
        **to_json(board),
        "provenance": played.to_json(),
    }


def to_csv(board: Leaderboard) -> str:
    """Return the standings over all scenarios (`scenario` is empty) and on each, one row per agent.

    People, if their figures are known, are the last row over all scenarios, without a rank.
    """
    parts = ("mean", "low", "high")
    columns = [f"{name}_{part}" for name in MEASURES for part in parts]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = ["agent", "games", "wins", "draws", "losses", "tokens", "cost"]
    placed = [f"{scope}_{part}" for scope in SCOPES for part in ("rank", "tied", "low", "high")]
    writer.writerow(["scenario", *about, "surplus", *placed, *columns])
    for scenario_id, rows in {"": board.standings, **board.by_scenario}.items():
        for row in rows:
            measures = [_interval(row.measures[name]) for name in MEASURES]
            values = ["" if measure is None else measure[part] for measure in measures for part in parts]
            facts = [row.agent, row.games, row.wins, row.draws, row.losses, row.tokens]
            surplus = row.these.surplus
            placed = [*_placed(row.these), *_placed(row.like_these)]
            cost, mean = ("" if row.cost is None else row.cost), ("" if surplus is None else round(surplus.mean, 6))
            writer.writerow([scenario_id, *facts, cost, mean, *placed, *values])
        if scenario_id == "" and (people := board.tournament.people) is not None:
            known = [people.measures.get(name, "") for name in MEASURES]
            values = [value if part == "mean" else "" for value in known for part in parts]
            ends = ["", "", people.low, people.high, *[""] * 4]
            facts = [people.label, people.negotiations, *[""] * 5]
            writer.writerow([scenario_id, *facts, people.surplus, *ends, *values])
    return out.getvalue()


def _placed(placing: Placing | None) -> list[Any]:
    """Return the columns of one scope."""
    if placing is None:
        return [""] * 4
    interval = _interval(placing.surplus)
    ends = ["", ""] if interval is None else [interval["low"], interval["high"]]
    return [placing.rank, "; ".join(placing.tied), *ends]


def _placing(placing: Placing | None) -> dict[str, Any] | None:
    if placing is None:
        return None
    return {"rank": placing.rank, "tied": list(placing.tied), "surplus": _interval(placing.surplus)}


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {key: round(getattr(interval, key), 6) for key in ("mean", "low", "high")}


def _intervals(measures: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    return {name: _interval(interval) for name, interval in measures.items()}


def _row(row: Standing) -> dict[str, Any]:
    return {
        "agent": row.agent,
        **{name: _placing(placing) for name, placing in zip(SCOPES, (row.these, row.like_these), strict=True)},
        "games": row.games,
        "wins": row.wins,
        "draws": row.draws,
        "losses": row.losses,
        "tokens": row.tokens,
        "cost": row.cost,
        **_intervals(row.measures),
    }


def _cells(table: Mapping[str, Mapping[str, Cell]]) -> dict[str, dict[str, Any]]:
    return {
        row: {
            column: {"surplus": _interval(cell.surplus), "games": cell.games, "runs": list(cell.run_ids)}
            for column, cell in cells.items()
        }
        for row, cells in table.items()
    }
