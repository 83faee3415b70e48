"""A leaderboard as JSON and as a table with typed columns, exported by the page and the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from negotiation.figures.statistics import Interval
from negotiation.runs.exports.columns import Columns, Row
from negotiation.tournament.leaderboard import MEASURES, Cell, Leaderboard, Placing, Standing
from negotiation.tournament.provenance import PlayedWith
from negotiation.tournament.store import TournamentRow

_PLACED = {"rank": int, "tied": list, "low": float, "high": float}
SCOPES = "these_scenarios", "scenarios_like_these"
"""The scopes of uncertainty: over the seeds of these scenarios, or over scenarios as a sample of their kind."""
PARTS = "mean", "low", "high"
COLUMNS: Columns = {
    "scenario": str,
    "agent": str,
    "games": int,
    "wins": int,
    "draws": int,
    "losses": int,
    "tokens": int,
    "cost": float,
    "surplus": float,
    **{f"{scope}_{part}": kind for scope in SCOPES for part, kind in _PLACED.items()},
    **{f"{name}_{part}": float for name in MEASURES for part in PARTS},
}
"""The columns of the standings as a table, with their types."""


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
    """Return the rows of `table` as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table(board):
        writer.writerow("; ".join(value) if isinstance(value, list) else value for value in row.values())
    return out.getvalue()


def table(board: Leaderboard) -> Iterator[Row]:
    """Yield the standings over all scenarios (`scenario` is None) and on each, as rows of COLUMNS, one per agent.

    People, if their figures are known, are the last row over all scenarios, without a rank.
    """
    people = board.tournament.people
    yield from (_table_row(None, row) for row in board.standings)
    if people is not None:
        yield dict.fromkeys(COLUMNS) | {
            "agent": people.label,
            "games": people.negotiations,
            "surplus": people.surplus,
            f"{SCOPES[0]}_low": people.low,
            f"{SCOPES[0]}_high": people.high,
            **{f"{name}_mean": value for name, value in people.measures.items()},
        }
    for scenario_id, rows in board.by_scenario.items():
        yield from (_table_row(scenario_id, row) for row in rows)


def _table_row(scenario_id: str | None, row: Standing) -> Row:
    placings = zip(SCOPES, (row.these, row.like_these), strict=True)
    return {
        "scenario": scenario_id,
        "agent": row.agent,
        **_counts(row),
        "surplus": None if row.these.surplus is None else round(row.these.surplus.mean, 6),
        **{f"{scope}_{part}": value for scope, placing in placings for part, value in _placed(placing).items()},
        **{
            f"{name}_{part}": value
            for name in MEASURES
            for part, value in (_interval(row.measures[name]) or dict.fromkeys(PARTS)).items()
        },
    }


def _counts(row: Standing) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("games", "wins", "draws", "losses", "tokens", "cost")}


def _placed(placing: Placing | None) -> dict[str, Any]:
    """Return the columns of one scope."""
    if placing is None:
        return dict.fromkeys(_PLACED)
    interval = _interval(placing.surplus) or dict.fromkeys(PARTS)
    return {"rank": placing.rank, "tied": list(placing.tied), "low": interval["low"], "high": interval["high"]}


def _placing(placing: Placing | None) -> dict[str, Any] | None:
    if placing is None:
        return None
    return {"rank": placing.rank, "tied": list(placing.tied), "surplus": _interval(placing.surplus)}


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {key: round(getattr(interval, key), 6) for key in PARTS}


def _intervals(measures: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    return {name: _interval(interval) for name, interval in measures.items()}


def _row(row: Standing) -> dict[str, Any]:
    return {
        "agent": row.agent,
        **{name: _placing(placing) for name, placing in zip(SCOPES, (row.these, row.like_these), strict=True)},
        **_counts(row),
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
