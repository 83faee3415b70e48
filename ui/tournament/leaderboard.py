"""What a leaderboard looks like: standings, seats, heatmaps that lead to their runs, people's preferences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from negotiation.agents.strategies import STRATEGIES
from negotiation.comparison.votes import Preference
from negotiation.figures.bradley_terry import Place, Tally
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import SEATS
from negotiation.tournament.leaderboard import MEASURES, Cell, Leaderboard, Standing
from ui.drawing.turns import Labels
from ui.kit.html import dollars, esc, number, tag
from ui.tournament import text

WIDTH, HEIGHT = 150, 18
RUNS_SHOWN = 200
Columns = Mapping[str, str]
"""What the columns of a heatmap are called, by key."""


def board_html(board: Leaderboard, where: str, labels: Labels) -> str:
    """The standings everywhere or on one scenario, and how each did in both seats."""
    if not board.figures:
        return tag("p", esc(text.NOTHING), "empty")
    rows = board.by_scenario.get(where, board.standings)
    parts = [_about(text.BOARD_ABOUT), _standings(rows, labels)]
    if board.failed:
        reasons = sorted({played.reason for played in board.failed})
        listed = "".join(tag("li", esc(reason)) for reason in reasons[:5])
        parts.append(tag("p", esc(text.FAILURES.format(count=len(board.failed))), "notice") + tag("ul", listed))
    parts += [tag("h3", esc(text.SEATS)), _about(text.SEATS_ABOUT), _seats(board, labels)]
    return tag("div", "".join(parts), "ladder")


def heat_html(table: Mapping[str, Mapping[str, Cell]], columns: Columns, key: str, labels: Labels) -> str:
    """A heatmap; pressing a cell tells `key`:row:column (by their places, since names may hold anything)."""
    head = tag("td") + "".join(tag("th", esc(name), scope="col", title=name) for name in columns.values())
    rows = []
    for place, (agent, cells) in enumerate(table.items()):
        name = agent_name(agent, labels)
        line = tag("th", esc(name), scope="row", title=name)
        for column, (where, title) in enumerate(columns.items()):
            content = _cell(cells[where], name, title, f"{key}:{place}:{column}") if where in cells else ""
            line += tag("td", content)
        rows.append(tag("tr", line))
    return tag("div", tag("table", tag("thead", tag("tr", head)) + tag("tbody", "".join(rows))), "ladder heat scroller")


def runs_html(board: Leaderboard, agent: str, title: str, cell: Cell | None, labels: Labels) -> str:
    """The runs that a cell comes from, each with its link."""
    wanted = set(cell.run_ids) if cell else set()
    figures = [figure for figure in board.figures if figure.agent == agent and figure.run_id in wanted]
    worth = {figure.run_id: figure for figure in figures}
    games = [played for played in board.games if played.run_id in worth]
    name = agent_name(agent, labels)
    head = [esc(each.format(agent=name)) for each in text.RUNS_COLUMNS]
    rows = []
    for played in games[:RUNS_SHOWN]:
        game, figure = played.game, worth[played.run_id]
        outcome = number(figure.utility) if figure.agreed else f"{number(figure.utility)} ({text.NO_DEAL})"
        cells = [board.tournament.scenarios[game.scenario_id].title, agent_name(game.a, labels)]
        cells += [agent_name(game.b, labels), str(game.seed), outcome]
        link = tag("a", esc(text.OPEN), href=f"?run={played.run_id}", target="_blank")
        rows.append([*map(esc, cells), link])
    parts = tag("h3", esc(text.RUNS.format(row=name, column=title, count=len(games))))
    parts += tag("div", _table(head, rows), "list")
    if len(games) > RUNS_SHOWN:
        parts += tag("p", esc(text.RUNS_MORE.format(count=len(games) - RUNS_SHOWN)))
    return tag("div", parts, "cell-runs ladder", role="status")


def votes_html(rows: Sequence[Preference], labels: Labels) -> str:
    """Whom people prefer; nothing without votes."""
    if not rows:
        return ""
    low, high = _range(row.place.rating for row in rows)
    lines = []
    for row in rows:
        rank, rating = _placed(row.place, low, high)
        lines.append([rank, tag("b", esc(agent_name(row.agent, labels))), rating, _tally(row.tally)])
    head = [esc(each) for each in (text.RANK, text.AGENT, text.RATING, text.TALLY)]
    about = tag("h3", esc(text.VOTES)) + _about(text.VOTES_ABOUT)
    return tag("div", about + tag("div", _table(head, lines), "scroller"), "ladder")


def agent_name(agent: str, labels: Labels) -> str:
    """An agent's label with the model's name for people; its options stay as they are written."""
    base, opening, rest = agent.partition(" (")
    if base in STRATEGIES:
        return agent
    return labels.get(base, base) + opening + rest


def _standings(rows: Sequence[Standing], labels: Labels) -> str:
    low, high = _range(row.rating for row in rows)
    head = [esc(each) for each in (text.RANK, text.AGENT, text.RATING, text.TALLY)]
    head += [tag("span", esc(name), title=about) for name, about in (*text.MEASURES.values(), text.TOKENS)]
    lines = []
    for row in rows:
        rank, rating = _placed(
            Place(row.rank, tuple(agent_name(name, labels) for name in row.tied), row.rating), low, high
        )
        name = tag("b", esc(agent_name(row.agent, labels)))
        measures = [_interval(row.measures[measure]) for measure in MEASURES]
        tally = _tally(Tally(row.wins, row.draws, row.losses))
        lines.append([rank, name, rating, tally, *measures, _spent(row)])
    return tag("div", _table(head, lines), "scroller standings-table")


def _seats(board: Leaderboard, labels: Labels) -> str:
    head = [esc(text.AGENT), *(esc(text.SEAT.format(seat=seat)) for seat in SEATS)]
    lines = []
    for agent in (row.agent for row in board.standings):
        seats = (_interval(board.by_seat[agent][seat]["utility"]) for seat in SEATS)
        lines.append([tag("b", esc(agent_name(agent, labels))), *seats])
    return tag("div", _table(head, lines), "scroller")


def _placed(place: Place, low: float, high: float) -> tuple[str, str]:
    """Rank and rating."""
    hint = text.TIED.format(names=", ".join(place.tied)) if place.tied else None
    rank = tag("span", f"{place.rank}{'=' if place.tied else ''}", "rank", title=hint)
    return rank, _rating_plot(place.rating, low, high) + _words(place.rating, lambda value: f"{value:.0f}")


def _rating_plot(rating: Interval, low: float, high: float) -> str:
    """A rating with its interval, on the range of all ratings."""

    def x(value: float) -> float:
        return round(6 + (value - low) / max(high - low, 1.0) * (WIDTH - 12), 1)

    middle = HEIGHT / 2
    parts = tag("line", "", "line", x1=0, x2=WIDTH, y1=middle, y2=middle)
    parts += tag("line", "", "reach", x1=x(rating.low), x2=x(rating.high), y1=middle, y2=middle)
    parts += tag("circle", "", "mean", cx=x(rating.mean), cy=middle, r=4.5)
    return tag("svg", parts, "rating", viewBox=f"0 0 {WIDTH} {HEIGHT}", aria_hidden="true")


def _range(intervals: Iterable[Interval]) -> tuple[float, float]:
    listed = list(intervals)
    return min(each.low for each in listed), max(each.high for each in listed)


def _cell(cell: Cell, row: str, column: str, key: str) -> str:
    found = cell.utility
    words = {"mean": number(found.mean), "low": number(found.low), "high": number(found.high), "games": cell.games}
    title = text.CELL.format(row=row, column=column, **words)
    heat = f"--heat:{min(1.0, abs(found.mean)):.2f}"
    look = "up" if found.mean >= 0 else "down"
    return tag(
        "button",
        number(found.mean),
        look,
        type="button",
        style=heat,
        title=title,
        aria_label=title,
        data_send="cell",
        data_value=key,
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = tag("thead", tag("tr", "".join(tag("th", cell, scope="col") for cell in head)))
    return tag(
        "table", top + tag("tbody", "".join(tag("tr", "".join(tag("td", cell) for cell in row)) for row in rows))
    )


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else number(interval.mean) + _words(interval, number)


def _words(interval: Interval, shown: Callable[[float], str]) -> str:
    mean = shown(interval.mean) + " " if shown is not number else ""
    return tag("small", esc(f"{mean}[{shown(interval.low)}, {shown(interval.high)}]"))


def _spent(row: Standing) -> str:
    return esc(f"{row.tokens:,}") + ("" if row.cost is None else tag("small", esc(f" {dollars(row.cost)}")))


def _tally(tally: Tally) -> str:
    return esc(f"{tally.wins}, {tally.draws}, {tally.losses}")


def _about(words: str) -> str:
    return tag("p", esc(words), "about-it")
