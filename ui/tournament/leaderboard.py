"""Draws a leaderboard: standings, seats, heatmaps that lead to their runs, and people's preferences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from negotiation.agents.strategies import STRATEGIES
from negotiation.comparison.votes import Preference
from negotiation.figures.bradley_terry import Place, Tally
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import SEATS
from negotiation.tournament.leaderboard import MEASURES, Cell, Leaderboard, Standing
from ui.drawing.turns import Labels
from ui.kit.templates import render
from ui.kit.units import dollars, points
from ui.tournament import text

WIDTH = 150
"""The width of a rating's plot."""
RUNS_SHOWN = 200
REASONS_SHOWN = 5
Columns = Mapping[str, str]
"""The titles of a heatmap's columns, by key."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval, in words."""

    mean: str
    low: str
    high: str


@dataclass(frozen=True)
class Rating:
    """A rating in words, and where its mean and interval lie in a plot over all ratings."""

    words: Estimate
    x: float
    x_low: float
    x_high: float


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """One agent's place in the standings or among people's preferences."""

    agent: str
    about: str  # what a scripted strategy does; empty for a model
    rank: str
    tied: str
    rating: Rating
    tally: Tally
    measures: Sequence[Estimate | None] = ()
    tokens: int = 0
    cost: str = ""


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heatmap. Its key names it by places, because names may hold anything."""

    key: str
    words: str
    title: str
    heat: float
    look: str


@dataclass(frozen=True)
class RunRow:
    """A run that a cell comes from."""

    run_id: str
    cells: tuple[str, ...]


def board_html(board: Leaderboard, where: str, labels: Labels) -> Markup:
    """Draw the standings in all scenarios or in one, and how each agent did in both seats."""
    if not board.figures:
        return render("empty", words=text.NOTHING)
    seats = [
        (agent_name(row.agent, labels), [_points(board.by_seat[row.agent][seat]["utility"]) for seat in SEATS])
        for row in board.standings
    ]
    return render(
        "tournament/board",
        text=text,
        width=WIDTH,
        rows=_standings(board.by_scenario.get(where, board.standings), labels),
        measures=[text.MEASURES[measure] for measure in MEASURES],
        failures=text.FAILURES.format(count=len(board.failed)) if board.failed else "",
        reasons=sorted({played.reason for played in board.failed})[:REASONS_SHOWN],
        seat_names=[text.SEAT.format(seat=seat) for seat in SEATS],
        seats=seats,
    )


def heat_html(table: Mapping[str, Mapping[str, Cell]], columns: Columns, key: str, labels: Labels) -> Markup:
    """Draw a heatmap; pressing a cell sends `key`:row:column."""
    rows = []
    for place, (agent, cells) in enumerate(table.items()):
        name = agent_name(agent, labels)
        line = [
            _cell(cells[where], name, title, f"{key}:{place}:{column}") if where in cells else None
            for column, (where, title) in enumerate(columns.items())
        ]
        rows.append((name, STRATEGIES[agent].label if agent in STRATEGIES else name, line))
    return render("tournament/heat", columns=columns.values(), rows=rows)


def runs_html(board: Leaderboard, agent: str, title: str, cell: Cell | None, labels: Labels) -> Markup:
    """Draw the list of runs that a cell comes from, each with its link."""
    wanted = set(cell.run_ids) if cell else set()
    figures = {figure.run_id: figure for figure in board.figures if figure.agent == agent and figure.run_id in wanted}
    games = [played for played in board.games if played.run_id in figures]
    name = agent_name(agent, labels)
    rows = []
    for played in games[:RUNS_SHOWN]:
        game, figure = played.game, figures[played.run_id]
        outcome = points(figure.utility) + ("" if figure.agreed else f" ({text.NO_DEAL})")
        scenario = board.tournament.scenarios[game.scenario_id].title
        players = agent_name(game.a, labels), agent_name(game.b, labels)
        rows.append(RunRow(played.run_id, (scenario, *players, str(game.seed), outcome)))
    return render(
        "tournament/cell_runs",
        text=text,
        title=text.RUNS.format(row=name, column=title, count=len(games)),
        columns=[each.format(agent=name) for each in text.RUNS_COLUMNS],
        rows=rows,
        more=text.RUNS_MORE.format(count=len(games) - RUNS_SHOWN) if len(games) > RUNS_SHOWN else "",
    )


def votes_html(rows: Sequence[Preference], labels: Labels) -> Markup:
    """Draw whom people prefer; nothing without votes."""
    if not rows:
        return Markup()
    low, high = _range(row.place.rating for row in rows)
    listed = [_row(row.agent, row.place, row.tally, low, high, labels) for row in rows]
    return render("tournament/votes", text=text, width=WIDTH, rows=listed)


def agent_name(agent: str, labels: Labels) -> str:
    """Return an agent's label with the model's name for people; options stay as they are written."""
    base, opening, rest = agent.partition(" (")
    if base in STRATEGIES:
        return agent
    return labels.get(base, base) + opening + rest


def _standings(standings: Sequence[Standing], labels: Labels) -> list[AgentRow]:
    low, high = _range(row.rating for row in standings)
    rows = []
    for standing in standings:
        place = Place(standing.rank, standing.tied, standing.rating)
        tally = Tally(standing.wins, standing.draws, standing.losses)
        row = _row(standing.agent, place, tally, low, high, labels)
        measures = [(_points if measure == "utility" else _percent)(standing.measures[measure]) for measure in MEASURES]
        cost = "" if standing.cost is None else dollars(standing.cost)
        rows.append(replace(row, measures=measures, tokens=standing.tokens, cost=cost))
    return rows


def _row(agent: str, place: Place, tally: Tally, low: float, high: float, labels: Labels) -> AgentRow:
    """Return a row; ratings from `low` to `high` fill its plot."""

    def x(value: float) -> float:
        return round(6 + (value - low) / max(high - low, 1.0) * (WIDTH - 12), 1)

    rating = place.rating
    words = _estimate(rating, lambda value: f"{value:.0f}")
    names = ", ".join(agent_name(name, labels) for name in place.tied)
    return AgentRow(
        agent=agent_name(agent, labels),
        about=STRATEGIES[agent].plain_name if agent in STRATEGIES else "",
        rank=f"{place.rank}{'=' if place.tied else ''}",
        tied=text.TIED.format(names=names) if place.tied else "",
        rating=Rating(words, x(rating.mean), x(rating.low), x(rating.high)),
        tally=tally,
    )


def _range(intervals: Iterable[Interval]) -> tuple[float, float]:
    listed = list(intervals)
    return min(each.low for each in listed), max(each.high for each in listed)


def _cell(cell: Cell, row: str, column: str, key: str) -> HeatCell:
    found = cell.utility
    mean, low, high = points(found.mean), points(found.low), points(found.high)
    title = text.CELL.format(row=row, column=column, mean=mean, low=low, high=high, games=cell.games)
    return HeatCell(key, mean, title, min(1.0, abs(found.mean)), "up" if found.mean >= 0 else "down")


def _estimate(interval: Interval, shown: Callable[[float], str]) -> Estimate:
    return Estimate(shown(interval.mean), shown(interval.low), shown(interval.high))


def _points(interval: Interval | None) -> Estimate | None:
    return None if interval is None else _estimate(interval, points)


def _percent(share: Interval | None) -> Estimate | None:
    return None if share is None else _estimate(share, lambda value: f"{value:.0%}")
