"""Plots as SVG: drawn on the server, coloured by the page's theme, readable without colour.

An SVG in the page follows light and dark by itself, updates without a flicker and weighs a few kilobytes; the chart
libraries at hand (Plotly, Altair) redraw a canvas and bring megabytes of script.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from negotiation.analysis import Analyser
from negotiation.events import Turn
from negotiation.protocol import Action
from negotiation.scenario import Scenario
from ui import text
from ui.html import esc, tag

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 300, 46, 12, 12, 42
MOST_DOTS = 400

Pair = tuple[float, float]


def _x(utility: float) -> float:
    return round(LEFT + utility * (WIDTH - LEFT - RIGHT), 1)


def _y(utility: float) -> float:
    return round(HEIGHT - BOTTOM - utility * (HEIGHT - TOP - BOTTOM), 1)


def utility_space(scenario: Scenario, analyser: Analyser, turns: Sequence[Turn], agreed: bool) -> str:
    """The plane of both utilities: all outcomes, the frontier, the Nash point, and the path of each side's offers."""
    offers = [turn for turn in turns if turn.action is Action.OFFER]
    parts = [_axes(scenario), _background(analyser)]
    for seat in ("a", "b"):
        points = [_point(turn) for turn in offers if turn.seat == seat]
        parts.append(_path(points, seat))
    if offers:
        last = offers[-1]
        x, y = _point(last)
        parts.append(tag("circle", "", f"latest seat-{last.seat}", cx=_x(x), cy=_y(y), r=8))
    if agreed:
        x, y = _point(turns[-1])
        parts.append(tag("path", "", "deal", d=_star(_x(x), _y(y), 9)))
    title = tag("title", esc(text.PLOT_TITLE)) + tag("desc", esc(_described(scenario, offers)))
    svg = tag(
        "svg", title + "".join(parts), "plot", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=text.PLOT_TITLE
    )
    return tag("div", svg + _legend(scenario), "panel")


def _point(turn: Turn) -> Pair:
    return turn.utility_a or 0.0, turn.utility_b or 0.0


def _axes(scenario: Scenario) -> str:
    lines = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        lines.append(tag("line", "", "grid", x1=_x(tick), x2=_x(tick), y1=_y(0), y2=_y(1)))
        lines.append(tag("line", "", "grid", x1=_x(0), x2=_x(1), y1=_y(tick), y2=_y(tick)))
        if tick in (0.0, 0.5, 1.0):
            lines.append(tag("text", f"{tick:g}", "tick", x=_x(tick), y=HEIGHT - BOTTOM + 14, text_anchor="middle"))
            lines.append(tag("text", f"{tick:g}", "tick", x=LEFT - 6, y=_y(tick) + 4, text_anchor="end"))
    name_a, name_b = (esc(text.PLOT_AXIS.format(name=scenario.roles[seat].name)) for seat in ("a", "b"))
    lines.append(tag("text", name_a, "axis seat-a", x=(_x(0) + _x(1)) / 2, y=HEIGHT - 8, text_anchor="middle"))
    middle = (_y(0) + _y(1)) / 2
    lines.append(
        tag("text", name_b, "axis seat-b", x=14, y=middle, text_anchor="middle", transform=f"rotate(-90 14 {middle})")
    )
    no_deal_a, no_deal_b = scenario.roles["a"].reservation, scenario.roles["b"].reservation
    lines.append(tag("line", "", "reservation", x1=_x(no_deal_a), x2=_x(no_deal_a), y1=_y(0), y2=_y(1)))
    lines.append(tag("line", "", "reservation", x1=_x(0), x2=_x(1), y1=_y(no_deal_b), y2=_y(no_deal_b)))
    return "".join(lines)


def _background(analyser: Analyser) -> str:
    """All outcomes (thinned out evenly), the frontier and the Nash point."""
    a, b = analyser.space.utilities("a"), analyser.space.utilities("b")
    shown = np.unique(np.linspace(0, len(a) - 1, min(MOST_DOTS, len(a))).astype(int))
    dots = "".join(f"M{_x(float(a[i]))} {_y(float(b[i]))}h0" for i in shown)
    frontier = " ".join(f"{_x(float(a[i]))},{_y(float(b[i]))}" for i in analyser.frontier)
    parts = [tag("path", "", "outcomes", d=dots), tag("polyline", "", "frontier", points=frontier)]
    if analyser.nash is not None:
        x, y = _x(float(a[analyser.nash])), _y(float(b[analyser.nash]))
        parts.append(tag("path", "", "nash", d=f"M{x} {y - 7}L{x + 7} {y}L{x} {y + 7}L{x - 7} {y}Z"))
    return "".join(parts)


def _path(points: list[Pair], seat: str) -> str:
    if not points:
        return ""
    line = " ".join(f"{_x(x)},{_y(y)}" for x, y in points)
    mark = _circle if seat == "a" else _square
    return tag("polyline", "", f"path seat-{seat}", points=line) + "".join(mark(x, y, seat) for x, y in points)


def _circle(x: float, y: float, seat: str) -> str:
    return tag("circle", "", f"mark seat-{seat}", cx=_x(x), cy=_y(y), r=4)


def _square(x: float, y: float, seat: str) -> str:
    return tag("rect", "", f"mark seat-{seat}", x=_x(x) - 4, y=_y(y) - 4, width=8, height=8)


def _star(x: float, y: float, radius: float) -> str:
    points = []
    for corner in range(10):
        angle = np.pi * (corner / 5 - 0.5)
        reach = radius if corner % 2 == 0 else radius * 0.45
        points.append(f"{x + reach * np.cos(angle):.1f} {y + reach * np.sin(angle):.1f}")
    return "M" + "L".join(points) + "Z"


def _described(scenario: Scenario, offers: Sequence[Turn]) -> str:
    """The plot in words."""
    lines = [
        f"{scenario.roles[turn.seat].name} in round {turn.round}: {turn.utility_a:.2f} and {turn.utility_b:.2f}"
        for turn in offers
        if turn.utility_a is not None and turn.utility_b is not None
    ]
    return "; ".join(lines)


def _legend(scenario: Scenario) -> str:
    name_a, name_b = scenario.roles["a"].name, scenario.roles["b"].name
    entries = [
        ("seat-a", "●", text.PLOT_LEGEND["offers"].format(name=name_a)),
        ("seat-b", "■", text.PLOT_LEGEND["offers"].format(name=name_b)),
        ("frontier", "━", text.PLOT_LEGEND["frontier"]),
        ("nash", "◆", text.PLOT_LEGEND["nash"]),
        ("deal", "★", text.PLOT_LEGEND["deal"]),
        ("reservation", "┄", text.PLOT_LEGEND["reservation"]),
    ]
    shown = "".join(
        tag("span", tag("i", sign, classes, aria_hidden="true") + esc(label)) for classes, sign, label in entries
    )
    return tag("div", shown, "legend")
