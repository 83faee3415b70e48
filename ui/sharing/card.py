"""The share card: a subject as a picture that looks good in a chat window, 1200 by 630 pixels.

Chat windows show it at less than half of that, so nothing on it is smaller than 22 pixels. It knows no requests and no
store; routes.py serves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat
from ui.drawing.outcome_space import Pair, Space, space_of
from ui.kit import text as shared
from ui.sharing.canvas import Canvas, fitted, width_of
from ui.sharing.subject import SharedLane, SharedSide, Subject

WIDTH, HEIGHT = 1200, 630
EDGE, GAP, INSIDE = 48, 24, 22
INK, MUTED, LINE, PAPER, GROUND = "#1e293b", "#55617a", "#dbe2ec", "#ffffff", "#eef2f8"
GOOD, BAD, GOLD, ACCENT, DOTS = "#15713a", "#b42318", "#8f5a08", "#4f46e5", "#c3ccd9"
SIDE: dict[Seat, str] = {"a": "#1d4ed8", "b": "#a84300"}
LOOKS = {"done": GOOD, "none": BAD, "failed": BAD, "running": ACCENT}
FRONTIER_MOST, MOST_TOLD = 200, 5
_Place = Callable[[Pair], Pair]
"""Where a pair of utilities lies on the picture."""


@dataclass(frozen=True)
class Box:
    """A part of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width."""
        return self.right - self.left


def card_png(subject: Subject, address: str) -> bytes:
    """Draw what a link shows; `address` is the link as people read it. May take half a second in large scenarios."""
    canvas = Canvas(WIDTH, HEIGHT, GROUND)
    _head(canvas, subject.title)
    y = canvas.paragraph((EDGE, 146), subject.headline, 50, INK, width=WIDTH - 2 * EDGE, lines=2, bold=True)
    if subject.details and y < 215:  # a headline of one line leaves room
        canvas.text((EDGE, y - 12), fitted(subject.details, 28, WIDTH - 2 * EDGE), 28, MUTED)
    count = len(subject.lanes)
    width = (WIDTH - 2 * EDGE - GAP * (count - 1)) / count
    for place, lane in enumerate(subject.lanes):
        left = EDGE + place * (width + GAP)
        _lane(canvas, Box(left, 246, left + width, 564), lane, subject.hidden)
    canvas.text((EDGE, 604), fitted(address, 24, WIDTH - 2 * EDGE), 24, MUTED)
    return canvas.png()


def plain_png(headline: str, about: str, address: str) -> bytes:
    """Draw a card without a run, for the page itself or a link that leads nowhere."""
    canvas = Canvas(WIDTH, HEIGHT, GROUND)
    _head(canvas, "")
    y = canvas.paragraph((EDGE, 280), headline, 64, INK, width=WIDTH - 2 * EDGE, lines=2, bold=True)
    canvas.paragraph((EDGE, y), about, 36, MUTED, width=WIDTH - 2 * EDGE, lines=3)
    canvas.text((EDGE, 604), fitted(address, 24, WIDTH - 2 * EDGE), 24, MUTED)
    return canvas.png()


def _head(canvas: Canvas, title: str) -> None:
    canvas.panel((0, 0, WIDTH, 8), ACCENT, round_by=0)
    mark(canvas, "a", (EDGE + 9, 61), 9)
    mark(canvas, "b", (EDGE + 33, 61), 9)
    x = canvas.text((EDGE + 56, 72), shared.TITLE, 34, INK, bold=True)
    canvas.text((x + 24, 72), fitted(title, 32, WIDTH - EDGE - x - 24), 32, MUTED)


def _lane(canvas: Canvas, box: Box, lane: SharedLane, hidden: bool) -> None:
    canvas.panel((box.left, box.top, box.right, box.bottom), PAPER, LINE, round_by=16)
    inner = _title(canvas, Box(box.left + INSIDE, box.top + INSIDE, box.right - INSIDE, box.bottom - 14), lane)
    if hidden:
        _told(canvas, inner, lane)
        return
    size = inner.bottom - inner.top
    plot(canvas, Box(inner.left, inner.top, inner.left + size, inner.bottom), lane.run)
    for place, side in enumerate(lane.sides):
        top = inner.top + size / 2 * place
        _side(canvas, Box(inner.left + size + INSIDE, top, inner.right, top + size / 2), side)


def _title(canvas: Canvas, box: Box, lane: SharedLane) -> Box:
    """Write a lane's name and what became of it, and return the room below."""
    x = box.left
    if lane.name:
        x = canvas.text((x, box.top + 22), lane.name, 28, INK, bold=True) + 14
    colour = LOOKS.get(lane.look, MUTED)
    canvas.text((x, box.top + 22), fitted(lane.outcome, 28, box.right - x, bold=True), 28, colour, bold=True)
    return Box(box.left, box.top + 44, box.right, box.bottom)


def _side(canvas: Canvas, box: Box, side: SharedSide) -> None:
    """Write who plays a side, and the points it got, as a number and a bar."""
    colour, room = SIDE[side.seat], width_of(side.worth, 36, bold=True) + 12
    mark(canvas, side.seat, (box.left + 9, box.top + 15), 9)
    name = fitted(side.role, 28, box.width - 28 - room, bold=True)
    canvas.text((box.left + 28, box.top + 25), name, 28, colour, bold=True)
    if side.worth:
        canvas.text((box.right, box.top + 27), side.worth, 36, colour, bold=True, anchor="right")
        bar = box.top + 38
        canvas.panel((box.left, bar, box.right, bar + 10), LINE, round_by=5)
        end = box.left + box.width * min(1.0, max(0.0, float(side.worth) / 100))
        if end > box.left + 10:
            canvas.panel((box.left, bar, end, bar + 10), colour, round_by=5)
    canvas.paragraph((box.left, box.top + 74), side.agent, 22, MUTED, width=box.width, lines=2)


def _told(canvas: Canvas, box: Box, lane: SharedLane) -> None:
    """Write what was agreed on, which everybody could hear, but not who agreed or what it is worth."""
    scenario, agreement = lane.run.scenario, lane.run.agreement
    if agreement is None:
        return
    shown = [f"{issue.title or name}: {issue.show(agreement[name])}" for name, issue in scenario.issues.items()]
    for place, words in enumerate(shown[:MOST_TOLD]):
        canvas.text((box.left, box.top + 44 + 48 * place), fitted(words, 32, box.width), 32, INK)


# -- the outcome space -----------------------------------------------------------------------------------------


def plot(canvas: Canvas, box: Box, run: Run) -> None:
    """Draw the plane of both sides' points, with the path of each side's offers and the deal."""
    space, frame = space_of(run.scenario), Box(box.left + 28, box.top + 4, box.right - 8, box.bottom - 28)

    def at(pair: Pair) -> Pair:
        return frame.left + pair[0] * frame.width, frame.bottom - pair[1] * (frame.bottom - frame.top)

    _ground(canvas, frame, at, space)
    offers = [turn for turn in run.turns if turn.action is Action.OFFER]
    for seat in SEATS:
        path = [at(_worth(turn)) for turn in offers if turn.seat == seat]
        if len(path) > 1:
            canvas.line(path, SIDE[seat], 2.5, None if seat == "a" else (9, 6))
        for place in path:
            mark(canvas, seat, place, 5.5)
    if run.agreement is not None and run.turns:
        canvas.shape(_star(at(_worth(run.turns[-1])), 17), GOLD, PAPER)


def _ground(canvas: Canvas, frame: Box, at: _Place, space: Space) -> None:
    """Draw the axes, all outcomes, the best of them, and what no deal is worth."""
    roles = space.scenario.roles
    canvas.line([(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)], LINE, 2)
    canvas.text(((frame.left + frame.right) / 2, frame.bottom + 25), _short(roles["a"].name, frame), 22, SIDE["a"],
                anchor="middle")  # fmt: skip
    canvas.turned((frame.left - 15, (frame.top + frame.bottom) / 2), _short(roles["b"].name, frame), 22, SIDE["b"])
    a, b = roles["a"].reservation, roles["b"].reservation
    canvas.line([at((a, 0)), at((a, 1))], MUTED, 1.5, (3, 6))
    canvas.line([at((0, b)), at((1, b))], MUTED, 1.5, (3, 6))
    for outcome in space.outcomes:
        canvas.dot(at(outcome), 2, DOTS)
    step = max(1, -(-len(space.frontier) // FRONTIER_MOST))
    canvas.line([at(pair) for pair in space.frontier[::step]], GOOD, 2.5)


def _short(role: str, frame: Box) -> str:
    return fitted(f"{role} →", 22, frame.width)


def mark(canvas: Canvas, seat: Seat, at: Pair, radius: float) -> None:
    """Draw the sign of a side: a circle for a, a square for b."""
    if seat == "a":
        canvas.dot(at, radius, SIDE[seat])
    else:
        canvas.square(at, radius * 0.88, SIDE[seat])


def _star(at: Pair, radius: float) -> Sequence[Pair]:
    reach = (radius, radius * 0.45)
    angles = [math.pi * (corner / 5 - 0.5) for corner in range(10)]
    return [
        (at[0] + reach[corner % 2] * math.cos(angle), at[1] + reach[corner % 2] * math.sin(angle))
        for corner, angle in enumerate(angles)
    ]


def _worth(turn: Turn) -> Pair:
    return turn.utility_a or 0.0, turn.utility_b or 0.0
