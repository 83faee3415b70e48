"""Plots as SVG: drawn on the server, coloured by the page's theme, readable without colour.

An SVG in the page follows light and dark mode by itself, updates without flicker and weighs a few kilobytes; chart
libraries (Plotly, Altair) redraw a canvas and bring megabytes of script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from negotiation.figures.statistics import Interval
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.scenario.model import SEATS, Scenario, Seat
from ui.drawing.outcome_space import Pair, Space
from ui.kit import text
from ui.kit.templates import element, render
from ui.kit.units import in_points, points

WIDTH = 250
FRONTIER_MOST = 300
"""The most points a frontier is drawn through."""


@dataclass(frozen=True)
class Axis:
    """An axis: its name, the name's classes, and its ticks with their labels."""

    name: str
    ticks: Sequence[tuple[float, str]]
    classes: str = ""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where values lie on a plot's canvas, in SVG units; x goes from `x0` to `x1`, y from 0 to 1."""

    height: int
    width: int = WIDTH
    x0: float = 0.0
    x1: float = 1.0
    left: int = 46
    right: int = 13
    top: int = 10
    bottom: int = 36

    def x(self, value: float) -> float:
        """Return a value's distance from the left edge."""
        return round(self.left + (value - self.x0) / (self.x1 - self.x0) * (self.width - self.left - self.right), 1)

    def y(self, utility: float) -> float:
        """Return a utility's distance from the top edge."""
        return round(self.height - self.bottom - utility * (self.height - self.top - self.bottom), 1)

    def line(self, pairs: Iterable[Pair]) -> str:
        """Return a polyline's `points`."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in pairs)

    def across(self, utility: float, classes: str) -> Markup:
        """Draw a horizontal line."""
        y = self.y(utility)
        return element("line", classes, x1=self.x(self.x0), x2=self.x(self.x1), y1=y, y2=y)

    def down(self, value: float, classes: str) -> Markup:
        """Draw a vertical line."""
        x = self.x(value)
        return element("line", classes, x1=x, x2=x, y1=self.y(0), y2=self.y(1))

    def mark(self, seat: Seat, at: Pair, tip: str, kind: str = "mark") -> Markup:
        """Draw a circle for side a, a square for side b, with a tooltip."""
        x, y, title = self.x(at[0]), self.y(at[1]), element("title", "", tip)
        if seat == "a":
            return element("circle", f"{kind} seat-a", title, cx=x, cy=y, r=4)
        return element("rect", f"{kind} seat-b", title, x=x - 3.5, y=y - 3.5, width=7, height=7)

    def grid(self, across: Axis, up: Axis) -> list[Markup]:
        """Draw lines, ticks and the names of the axes."""
        parts = []
        for tick, label in across.ticks:
            parts.append(self.down(tick, "grid"))
            parts.append(element("text", "tick", label, x=self.x(tick), y=self.y(0) + 13, text_anchor="middle"))
        for tick, label in up.ticks:
            parts.append(self.across(tick, "grid"))
            parts.append(element("text", "tick", label, x=self.left - 6, y=self.y(tick) + 4, text_anchor="end"))
        x, y = (self.x(self.x0) + self.x(self.x1)) / 2, (self.y(0) + self.y(1)) / 2
        at_x = {"x": x, "y": self.height - 6}
        at_y = {"x": 11, "y": y, "transform": f"rotate(-90 11 {y})"}
        for axis, place in ((across, at_x), (up, at_y)):
            parts.append(element("text", f"axis {axis.classes}", axis.name, text_anchor="middle", **place))
        return parts


SQUARE = Frame(height=232)
THUMB = Frame(height=170, left=6, right=6, top=6, bottom=6)
WORTH_TICKS = tuple((utility, points(utility)) for utility in (0.0, 0.5, 1.0))


def utility_space(space: Space, turns: Sequence[Turn], agreed: bool) -> Markup:
    """Draw the plane of both utilities: all outcomes, the frontier, the Nash point and the path of each side's offers.

    Args:
        agreed: Whether the last turn made a deal, which is marked.
    """
    scenario = space.scenario
    offers = _offers(turns)
    across, up = (
        Axis(text.PLOT_AXIS.format(name=scenario.roles[seat].name), WORTH_TICKS, f"seat-{seat}") for seat in SEATS
    )
    parts = [*SQUARE.grid(across, up), *_background(space, SQUARE)]
    for seat in SEATS:
        own = [turn for turn in offers if turn.seat == seat]
        if own:
            parts.append(element("polyline", f"path seat-{seat}", points=SQUARE.line(map(_both, own))))
            parts += [SQUARE.mark(seat, _both(turn), _tip(scenario, turn)) for turn in own]
    if offers:
        x, y = _both(offers[-1])
        parts.append(element("circle", f"latest seat-{offers[-1].seat}", cx=SQUARE.x(x), cy=SQUARE.y(y), r=8))
    if agreed:
        x, y = _both(turns[-1])
        parts.append(element("path", "deal", d=_star(SQUARE.x(x), SQUARE.y(y), 9)))
    signs = [*_seat_signs(scenario, text.PLOT_LEGEND["offers"]), FRONTIER, NASH, DEAL, NO_DEAL]
    return _figure(text.PLOT_TITLE, SQUARE, parts, scenario, offers, signs)


def utility_rounds(space: Space, turns: Sequence[Turn]) -> Markup:
    """Draw, for each round, what each side asks for itself and what the other side's offers are worth to it."""
    scenario = space.scenario
    frame = Frame(height=160, x0=0.5, x1=scenario.rounds + 1.0)
    step = max(1, -(-scenario.rounds // 8))
    rounds = [(float(number), str(number)) for number in range(1, scenario.rounds + 1, step)]
    parts = frame.grid(Axis(text.ROUNDS_AXIS, rounds), Axis(text.ROUNDS_Y, WORTH_TICKS))
    parts += [frame.across(scenario.roles[seat].reservation, f"reservation seat-{seat}") for seat in SEATS]
    offers = _offers(turns)
    for seat in SEATS:
        at = {turn.index: (_when(turn), _own(turn, seat)) for turn in offers}
        asked = [turn for turn in offers if turn.seat == seat]
        if len(asked) > 1:
            parts.append(element("polyline", f"path seat-{seat}", points=frame.line(at[turn.index] for turn in asked)))
        for turn in sorted(offers, key=lambda turn: turn.seat == seat):  # its own offers on top
            kind = "mark" if turn.seat == seat else "given"
            parts.append(frame.mark(seat, at[turn.index], _point(scenario, turn), kind))
    signs = [*_seat_signs(scenario, text.ROUNDS_LEGEND["asks"]), Sign("", "○□", text.ROUNDS_LEGEND["given"]), NO_DEAL]
    return _figure(text.ROUNDS_TITLE, frame, parts, scenario, offers, signs)


def thumbnail(space: Space) -> Markup:
    """Draw a small picture of an outcome space, without axes."""
    left, right, low, high = THUMB.x(0), THUMB.x(1), THUMB.y(0), THUMB.y(1)
    frame = element("path", "frame", d=f"M{left} {high}V{low}H{right}")
    view = f"0 0 {WIDTH} {THUMB.height}"
    return element("svg", "plot thumb", frame, *_background(space, THUMB, most=90), viewBox=view, aria_hidden="true")


def _background(space: Space, frame: Frame, most: int | None = None) -> list[Markup]:
    """Draw all outcomes (a sample of `most`), no deal, the frontier and the Nash point."""
    outcomes = space.outcomes if most is None else space.sample(most)
    dots = "".join(f"M{frame.x(a)} {frame.y(b)}h0" for a, b in outcomes)
    frontier = space.frontier
    if len(frontier) > FRONTIER_MOST:
        places = np.linspace(0, len(frontier) - 1, FRONTIER_MOST).astype(int)
        frontier = [frontier[place] for place in places]
    roles = space.scenario.roles
    parts = [
        frame.down(roles["a"].reservation, "reservation"),
        frame.across(roles["b"].reservation, "reservation"),
        element("path", "outcomes", d=dots),
        element("polyline", "frontier", points=frame.line(frontier)),
    ]
    if space.nash is not None:
        x, y = frame.x(space.nash[0]), frame.y(space.nash[1])
        diamond = f"M{x} {y - 7}L{x + 7} {y}L{x} {y + 7}L{x - 7} {y}Z"
        parts.append(element("path", "nash", d=diamond))
    return parts


@dataclass(frozen=True)
class Sign:
    """An entry of a plot's legend, with an explanation of its term."""

    look: str
    mark: str
    label: str
    about: str = ""


FRONTIER = Sign("frontier", "━", text.PLOT_LEGEND["frontier"], text.FRONTIER_ABOUT)
NASH = Sign("nash", "◇", text.PLOT_LEGEND["nash"], text.NASH_ABOUT)
DEAL = Sign("deal", "★", text.PLOT_LEGEND["deal"])
NO_DEAL = Sign("reservation", "┄", text.PLOT_LEGEND["reservation"], text.RESERVATION_ABOUT)


def _seat_signs(scenario: Scenario, words: str) -> list[Sign]:
    a, b = (words.format(name=scenario.roles[seat].name) for seat in SEATS)
    return [Sign("seat-a", "●", a), Sign("seat-b", "■", b)]


def _figure(
    title: str, frame: Frame, parts: Sequence[Markup], scenario: Scenario, offers: Sequence[Turn], signs: Sequence[Sign]
) -> Markup:
    described = element("title", "", title), element("desc", "", _described(scenario, offers))
    view = f"0 0 {WIDTH} {frame.height}"
    svg = element("svg", "plot", *described, *parts, viewBox=view, role="img", aria_label=title)
    return render("figure", title=title, plot=svg, signs=signs)


def _described(scenario: Scenario, offers: Sequence[Turn]) -> str:
    """Describe a plot in words."""
    return "; ".join(_point(scenario, turn) for turn in offers)


def _point(scenario: Scenario, turn: Turn) -> str:
    a, b = (
        text.WORTH_TO.format(worth=points(worth), name=scenario.roles[seat].name)
        for seat, worth in zip(SEATS, _both(turn), strict=True)
    )
    return text.PLOT_POINT.format(name=scenario.roles[turn.seat].name, round=turn.round, a=a, b=b)


def _tip(scenario: Scenario, turn: Turn) -> str:
    """Return the tooltip of a turn's point."""
    return f"{_point(scenario, turn)}\n{scenario.show(turn.offer or {})}"


def _offers(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.action is Action.OFFER]


def _both(turn: Turn) -> Pair:
    return turn.utility_a or 0.0, turn.utility_b or 0.0


def _own(turn: Turn, seat: Seat) -> float:
    return _both(turn)[SEATS.index(seat)]


def _when(turn: Turn) -> float:
    """Return a turn's place on the axis of rounds: side b moves half a round after side a."""
    return turn.round + (0.5 if turn.seat == "b" else 0.0)


def _star(x: float, y: float, radius: float) -> str:
    corners = []
    for corner in range(10):
        angle = np.pi * (corner / 5 - 0.5)
        reach = radius if corner % 2 == 0 else radius * 0.45
        corners.append(f"{x + reach * np.cos(angle):.1f} {y + reach * np.sin(angle):.1f}")
    return "M" + "L".join(corners) + "Z"


def interval_plot(found: Interval, first: str, second: str) -> Markup:
    """Draw a difference in utility with its 95 % interval, from -1 (all for `second`) to 1 (all for `first`)."""
    frame = Frame(height=72, width=520, x0=-1.0, x1=1.0, left=20, right=20, top=8, bottom=28)
    middle = 26
    parts = []
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        parts.append(frame.down(tick, "grid"))
        label = f"{'+' if tick > 0 else ''}{points(tick)}"
        parts.append(element("text", "tick", label, x=frame.x(tick), y=62, text_anchor="middle"))
    parts.append(element("line", "zero", x1=frame.x(0), x2=frame.x(0), y1=4, y2=48))
    parts.append(element("line", "interval", x1=frame.x(found.low), x2=frame.x(found.high), y1=middle, y2=middle))
    parts.append(element("circle", "estimate", cx=frame.x(found.mean), cy=middle, r=8))
    words = text.INTERVAL_TITLE.format(mean=in_points(found.mean), low=points(found.low), high=points(found.high))
    svg = element(
        "svg",
        "plot interval",
        element("title", "", words),
        *parts,
        viewBox=f"0 0 {frame.width} {frame.height}",
        role="img",
    )
    return render("interval", plot=svg, first=first, second=second)
