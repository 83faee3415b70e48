"""Draws a leaderboard: standings, seats, heatmaps that lead to their runs, and people's preferences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from negotiation.agents.strategies import STRATEGIES
from negotiation.comparison.votes import Preference
from negotiation.families.people import People
from negotiation.figures.bradley_terry import Tally
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import SEATS
from negotiation.tournament.leaderboard import IN_POINTS, MEASURES, Cell, Leaderboard, Placing, Standing
from ui.drawing.turns import Labels
from ui.kit.templates import render
from ui.kit.units import dollars, points
from ui.tournament import text

WIDTH = 150
"""The width of an interval's plot."""
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
class Ranked:
    """A figure in words, where its mean and interval lie in a plot over all rows, and the rank that it gives."""

    words: Estimate
    x: float
    x_low: float
    x_high: float
    rank: str
    tied: str


@dataclass(frozen=True)
class Name:
    """An agent's name, and what it does if it is a script."""

    agent: str
    about: str


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """One agent's row of the standings."""

    name: Name
    points: str
    scopes: Sequence[Ranked | None]
    measures: Sequence[Estimate | None]
    tokens: int
    cost: str


@dataclass(frozen=True)
class PeopleRow:
    """What people reached among themselves, beside the standings."""

    label: str
    points: str
    ends: Estimate
    measures: Sequence[str]
    note: str


@dataclass(frozen=True)
class Preferred:
    """One agent's row among people's preferences."""

    name: Name
    rating: Ranked
    tally: Tally


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
        (agent_name(row.agent, labels), [_points(board.by_seat[row.agent][seat]["surplus"]) for seat in SEATS])
        for row in board.standings
    ]
    short = board.too_short_for_micro
    rows = board.by_scenario.get(where, board.standings)
    scopes = [text.THESE, text.LIKE_THESE] if any(row.like_these for row in rows) else [text.THESE]
    return render(
        "tournament/board",
        text=text,
        width=WIDTH,
        scopes=scopes,
        rows=_standings(rows, labels),
        people=_people(board.tournament.people) if where not in board.by_scenario else None,
        measures=[text.MEASURES[measure] for measure in MEASURES],
        one_seed=text.ONE_SEED if len({figure.seed for figure in board.figures}) == 1 else "",
        short=text.TOO_SHORT.format(count=len(short), total=len(board.tournament.scenarios)) if short else "",
        failures=text.FAILURES.format(count=len(board.failed)) if board.failed else "",
        reasons=sorted({played.reason for played in board.failed})[:REASONS_SHOWN],
        seat_names=[text.SEAT.format(seat=seat) for seat in SEATS],
        seats=seats,
    )


def _people(people: People | None) -> PeopleRow | None:
    if people is None:
        return None
    found = people.interval
    shares = [f"{people.measures[name]:.0%}" if name in people.measures else "" for name in MEASURES]
    ends = Estimate(points(found.mean), points(found.low), points(found.high))
    return PeopleRow(people.label, ends.mean, ends, shares, people.note)


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
        outcome = points(figure.surplus) + ("" if figure.agreed else f" ({text.NO_DEAL})")
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
    span = _span(row.place.rating for row in rows)
    listed = [
        Preferred(
            _name(row.agent, labels),
            _ranked(row.place.rating, row.place.rank, _tied(row.place.tied, labels), span, "{:.0f}".format),
            row.tally,
        )
        for row in rows
    ]
    return render("tournament/votes", text=text, width=WIDTH, rows=listed)


def agent_name(agent: str, labels: Labels) -> str:
    """Return an agent's label with the model's name for people; options stay as they are written."""
    base, opening, rest = agent.partition(" (")
    if base in STRATEGIES:
        return agent
    return labels.get(base, base) + opening + rest


def _standings(standings: Sequence[Standing], labels: Labels) -> list[AgentRow]:
    both = [placing for row in standings for placing in (row.these, row.like_these) if placing is not None]
    span = _span(placing.surplus for placing in both if placing.surplus is not None)

    def ranked(placing: Placing | None) -> Ranked | None:
        if placing is None or placing.surplus is None:
            return None
        return _ranked(placing.surplus, placing.rank, _tied(placing.tied, labels), span, points)

    rows = []
    for standing in standings:
        surplus = standing.these.surplus
        row = AgentRow(
            name=_name(standing.agent, labels),
            points="" if surplus is None else points(surplus.mean),
            scopes=[ranked(standing.these), ranked(standing.like_these)],
            measures=[(_points if name in IN_POINTS else _percent)(standing.measures[name]) for name in MEASURES],
            tokens=standing.tokens,
            cost="" if standing.cost is None else dollars(standing.cost),
        )
        rows.append(row)
    return rows


def _name(agent: str, labels: Labels) -> Name:
    return Name(agent_name(agent, labels), STRATEGIES[agent].plain_name if agent in STRATEGIES else "")


def _tied(names: Iterable[str], labels: Labels) -> str:
    listed = ", ".join(agent_name(name, labels) for name in names)
    return text.TIED.format(names=listed) if listed else ""


def _ranked(found: Interval, rank: int, tied: str, span: tuple[float, float], shown: Callable[[float], str]) -> Ranked:
    """Return a figure with its rank; figures within `span` fill its plot."""
    low, high = span

    def x(value: float) -> float:
        return round(6 + (value - low) / max(high - low, 1e-9) * (WIDTH - 12), 1)

    return Ranked(
        words=_estimate(found, shown),
        x=x(found.mean),
        x_low=x(found.low),
        x_high=x(found.high),
        rank=f"{rank}{'=' if tied else ''}",
        tied=tied,
    )


def _span(intervals: Iterable[Interval]) -> tuple[float, float]:
    listed = list(intervals)
    return min(each.low for each in listed), max(each.high for each in listed)


def _cell(cell: Cell, row: str, column: str, key: str) -> HeatCell:
    found = cell.surplus
    mean, low, high = points(found.mean), points(found.low), points(found.high)
    title = text.CELL.format(row=row, column=column, mean=mean, low=low, high=high, games=cell.games)
    return HeatCell(key, mean, title, min(1.0, abs(found.mean)), "up" if found.mean >= 0 else "down")


def _estimate(interval: Interval, shown: Callable[[float], str]) -> Estimate:
    return Estimate(shown(interval.mean), shown(interval.low), shown(interval.high))


def _points(interval: Interval | None) -> Estimate | None:
    return None if interval is None else _estimate(interval, points)


def _percent(share: Interval | None) -> Estimate | None:
    return None if share is None else _estimate(share, lambda value: f"{value:.0%}")
