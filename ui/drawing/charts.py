"""Plots as SVG: drawn on the server, coloured by the page's theme, readable without colour.

An SVG in the page follows light and dark by itself, updates without a flicker and weighs a few kilobytes; the chart
libraries at hand (Plotly, Altair) redraw a canvas and bring megabytes of script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from negotiation.figures.statistics import Interval
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import SEATS, Scenario, Seat
from ui.drawing.outcome_space import Pair, Space
from ui.kit import text
from ui.kit.html import esc, number, tag

WIDTH = 250
FRONTIER_MOST = 300
"""A frontier of more points is drawn through so many of them."""


@dataclass(frozen=True)
class Frame:
    """Where a plot's values lie on its canvas; x goes from `x0` to `x1`, y from 0 to 1."""

    height: int
    x0: float = 0.0
    x1: float = 1.0
    left: int = 38
    right: int = 10
    top: int = 10
    bottom: int = 36

    def x(self, value: float) -> float:
        """A value's place from the left."""
        return round(self.left + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - self.left - self.right), 1)

    def y(self, utility: float) -> float:
        """A utility's place from the top."""
        return round(self.height - self.bottom - utility * (self.height - self.top - self.bottom), 1)

    def points(self, pairs: Iterable[Pair]) -> str:
        """Points of a line."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in pairs)

    def grid(self, x_ticks: Sequence[float], x_name: str, x_class: str, y_name: str, y_class: str) -> str:
        """Lines, ticks and what the axes mean."""
        parts = []
        for tick in x_ticks:
            x = self.x(tick)
            parts.append(tag("line", "", "grid", x1=x, x2=x, y1=self.y(0), y2=self.y(1)))
            parts.append(tag("text", f"{tick:g}", "tick", x=x, y=self.y(0) + 13, text_anchor="middle"))
        for tick in (0.0, 0.5, 1.0):
            y = self.y(tick)
            parts.append(tag("line", "", "grid", x1=self.x(self.x0), x2=self.x(self.x1), y1=y, y2=y))
            parts.append(tag("text", f"{tick:g}", "tick", x=self.left - 6, y=y + 4, text_anchor="end"))
        middle = (self.x(self.x0) + self.x(self.x1)) / 2
        parts.append(tag("text", esc(x_name), f"axis {x_class}", x=middle, y=self.height - 6, text_anchor="middle"))
        y = (self.y(0) + self.y(1)) / 2
        turned = f"rotate(-90 12 {y})"
        parts.append(tag("text", esc(y_name), f"axis {y_class}", x=12, y=y, text_anchor="middle", transform=turned))
        return "".join(parts)


SQUARE = Frame(height=232)
THUMB = Frame(height=170, left=6, right=6, top=6, bottom=6)


def utility_space(space: Space, turns: Sequence[Turn], agreed: bool) -> str:
    """The plane of both utilities: all outcomes, the frontier, the Nash point, and the path of each side's offers."""
    scenario = space.scenario
    offers = [turn for turn in turns if turn.action is Action.OFFER]
    name_a, name_b = (text.PLOT_AXIS.format(name=scenario.roles[seat].name) for seat in SEATS)
    parts = [SQUARE.grid((0.0, 0.5, 1.0), name_a, "seat-a", name_b, "seat-b"), _background(space, SQUARE)]
    for seat in SEATS:
        points = [_both(turn) for turn in offers if turn.seat == seat]
        if points:
            parts.append(tag("polyline", "", f"path seat-{seat}", points=SQUARE.points(points)))
            parts += [_mark(SQUARE, seat, x, y) for x, y in points]
    if offers:
        x, y = _both(offers[-1])
        parts.append(tag("circle", "", f"latest seat-{offers[-1].seat}", cx=SQUARE.x(x), cy=SQUARE.y(y), r=8))
    if agreed:
        x, y = _both(turns[-1])
        parts.append(tag("path", "", "deal", d=_star(SQUARE.x(x), SQUARE.y(y), 9)))
    signs = [*_seat_signs(scenario, text.PLOT_LEGEND["offers"]), *_SIGNS]
    return _figure(text.PLOT_TITLE, _described(scenario, offers), SQUARE, parts, signs)


def utility_rounds(space: Space, turns: Sequence[Turn]) -> str:
    """What each side asks for itself in each round, and what the other side's offers are worth to it."""
    scenario = space.scenario
    frame = Frame(height=160, x0=0.5, x1=scenario.rounds + 1.0)
    step = max(1, -(-scenario.rounds // 8))
    ticks = list(range(1, scenario.rounds + 1, step))
    parts = [frame.grid(ticks, text.ROUNDS_AXIS, "", text.ROUNDS_Y, "")]
    for seat in SEATS:
        y = frame.y(scenario.roles[seat].reservation)
        line = tag("line", "", f"reservation seat-{seat}", x1=frame.x(frame.x0), x2=frame.x(frame.x1), y1=y, y2=y)
        parts.append(line)
    offers = [turn for turn in turns if turn.action is Action.OFFER]
    for seat in SEATS:
        asked = [(_when(turn), _own(turn, seat)) for turn in offers if turn.seat == seat]
        given = [(_when(turn), _own(turn, seat)) for turn in offers if turn.seat != seat]
        if len(asked) > 1:
            parts.append(tag("polyline", "", f"path seat-{seat}", points=frame.points(asked)))
        parts += [_mark(frame, seat, x, y, "given") for x, y in given]
        parts += [_mark(frame, seat, x, y) for x, y in asked]
    signs = [
        *_seat_signs(scenario, text.ROUNDS_LEGEND["asks"]),
        ("", "○□", text.ROUNDS_LEGEND["given"]),
        ("reservation", "┄", text.PLOT_LEGEND["reservation"]),
    ]
    return _figure(text.ROUNDS_TITLE, _described(scenario, offers), frame, parts, signs)


def thumbnail(space: Space) -> str:
    """A small picture of an outcome space, without axes."""
    left, right, low, high = THUMB.x(0), THUMB.x(1), THUMB.y(0), THUMB.y(1)
    frame = tag("path", "", "frame", d=f"M{left} {high}V{low}H{right}")
    content = frame + _background(space, THUMB, most=90)
    return tag("svg", content, "plot thumb", viewBox=f"0 0 {WIDTH} {THUMB.height}", aria_hidden="true")


def _background(space: Space, frame: Frame, most: int | None = None) -> str:
    """All outcomes (thinned out evenly), no deal, the frontier and the Nash point."""
    outcomes = space.outcomes if most is None else space.sample(most)
    dots = "".join(f"M{frame.x(a)} {frame.y(b)}h0" for a, b in outcomes)
    frontier = space.frontier
    if len(frontier) > FRONTIER_MOST:
        places = np.linspace(0, len(frontier) - 1, FRONTIER_MOST).astype(int)
        frontier = [frontier[place] for place in places]
    no_deal_a, no_deal_b = (space.scenario.roles[seat].reservation for seat in SEATS)
    x, y = frame.x(no_deal_a), frame.y(no_deal_b)
    parts = [
        tag("line", "", "reservation", x1=x, x2=x, y1=frame.y(0), y2=frame.y(1)),
        tag("line", "", "reservation", x1=frame.x(0), x2=frame.x(1), y1=y, y2=y),
        tag("path", "", "outcomes", d=dots),
        tag("polyline", "", "frontier", points=frame.points(frontier)),
    ]
    if space.nash is not None:
        x, y = frame.x(space.nash[0]), frame.y(space.nash[1])
        parts.append(tag("path", "", "nash", d=f"M{x} {y - 7}L{x + 7} {y}L{x} {y + 7}L{x - 7} {y}Z"))
    return "".join(parts)


def _figure(title: str, described: str, frame: Frame, parts: list[str], signs: Iterable[tuple[str, str, str]]) -> str:
    content = tag("title", esc(title)) + tag("desc", esc(described)) + "".join(parts)
    svg = tag("svg", content, "plot", viewBox=f"0 0 {WIDTH} {frame.height}", role="img", aria_label=title)
    entries = "".join(
        tag("span", tag("i", sign, classes, aria_hidden="true") + esc(label)) for classes, sign, label in signs
    )
    return tag("figure", tag("figcaption", esc(title)) + svg + tag("div", entries, "legend"), "figure")


_SIGNS = [
    ("frontier", "━", text.PLOT_LEGEND["frontier"]),
    ("nash", "◇", text.PLOT_LEGEND["nash"]),
    ("deal", "★", text.PLOT_LEGEND["deal"]),
    ("reservation", "┄", text.PLOT_LEGEND["reservation"]),
]


def _seat_signs(scenario: Scenario, words: str) -> list[tuple[str, str, str]]:
    names = [scenario.roles[seat].name for seat in SEATS]
    return [("seat-a", "●", words.format(name=names[0])), ("seat-b", "■", words.format(name=names[1]))]


def _both(turn: Turn) -> Pair:
    return turn.utility_a or 0.0, turn.utility_b or 0.0


def _own(turn: Turn, seat: Seat) -> float:
    return _both(turn)[SEATS.index(seat)]


def _when(turn: Turn) -> float:
    """Side b moves half a round after side a."""
    return turn.round + (0.5 if turn.seat == "b" else 0.0)


def _mark(frame: Frame, seat: Seat, x: float, y: float, kind: str = "mark") -> str:
    """A circle for side a, a square for side b."""
    if seat == "a":
        return tag("circle", "", f"{kind} seat-a", cx=frame.x(x), cy=frame.y(y), r=4)
    return tag("rect", "", f"{kind} seat-b", x=frame.x(x) - 3.5, y=frame.y(y) - 3.5, width=7, height=7)


def _star(x: float, y: float, radius: float) -> str:
    points = []
    for corner in range(10):
        angle = np.pi * (corner / 5 - 0.5)
        reach = radius if corner % 2 == 0 else radius * 0.45
        points.append(f"{x + reach * np.cos(angle):.1f} {y + reach * np.sin(angle):.1f}")
    return "M" + "L".join(points) + "Z"


def _described(scenario: Scenario, offers: Sequence[Turn]) -> str:
    """The plot in words."""
    return "; ".join(
        text.PLOT_POINT.format(
            name=scenario.roles[turn.seat].name,
            round=turn.round,
            a=number(turn.utility_a or 0.0),
            b=number(turn.utility_b or 0.0),
        )
        for turn in offers
    )


def interval_plot(found: Interval, first: str, second: str) -> str:
    """A difference with its 95 % interval, from -1 (all for the second) to 1 (all for the first)."""
    frame = Frame(height=44, x0=-1.0, x1=1.0, left=10, right=10, top=4, bottom=22)
    middle = 13
    parts = []
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        parts.append(tag("line", "", "grid", x1=frame.x(tick), x2=frame.x(tick), y1=4, y2=22))
        parts.append(tag("text", f"{tick:+g}" if tick else "0", "tick", x=frame.x(tick), y=38, text_anchor="middle"))
    parts.append(tag("line", "", "zero", x1=frame.x(0), x2=frame.x(0), y1=2, y2=24))
    left, right = frame.x(found.low), frame.x(found.high)
    parts.append(tag("line", "", "interval", x1=left, x2=right, y1=middle, y2=middle))
    parts.append(tag("circle", "", "estimate", cx=frame.x(found.mean), cy=middle, r=4.5))
    title = text.INTERVAL_TITLE.format(low=number(found.low), high=number(found.high), mean=number(found.mean))
    svg = tag("svg", tag("title", esc(title)) + "".join(parts), "plot interval", viewBox=f"0 0 {WIDTH} 44", role="img")
    ends = tag("span", "← " + esc(second)) + tag("span", esc(first) + " →")
    return tag("div", svg + tag("div", ends, "ends"), "interval-figure")
