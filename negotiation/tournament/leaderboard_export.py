"""A leaderboard as JSON and as a CSV table, exported by the page and the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from negotiation.figures.statistics import Interval
from negotiation.tournament.leaderboard import MEASURES, Cell, Leaderboard, Standing
from negotiation.tournament.provenance import PlayedWith
from negotiation.tournament.store import TournamentRow


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
    """Return the standings over all scenarios (`scenario` is empty) and on each, one row per agent."""
    parts = ("mean", "low", "high")
    columns = [f"{name}_{part}" for name in ("rating", *MEASURES) for part in parts]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = ["rank", "agent", "tied", "games", "wins", "draws", "losses", "tokens", "cost"]
    writer.writerow(["scenario", *about, *columns])
    for scenario_id, rows in {"": board.standings, **board.by_scenario}.items():
        for row in rows:
            figures = [_interval(row.rating), *(_interval(row.measures[name]) for name in MEASURES)]
            values = ["" if figure is None else figure[part] for figure in figures for part in parts]
            facts = [row.rank, row.agent, "; ".join(row.tied), row.games, row.wins, row.draws, row.losses]
            facts += [row.tokens, "" if row.cost is None else row.cost]
            writer.writerow([scenario_id, *facts, *values])
    return out.getvalue()


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {key: round(getattr(interval, key), 6) for key in ("mean", "low", "high")}


def _intervals(measures: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    return {name: _interval(interval) for name, interval in measures.items()}


def _row(row: Standing) -> dict[str, Any]:
    return {
        "agent": row.agent,
        "rank": row.rank,
        "tied": list(row.tied),
        "rating": _interval(row.rating),
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
            column: {"utility": _interval(cell.utility), "games": cell.games, "runs": list(cell.run_ids)}
            for column, cell in cells.items()
        }
        for row, cells in table.items()
    }
