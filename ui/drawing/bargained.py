"""How both sides of a finished negotiation bargained: a few figures, and their untrue statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from negotiation.behaviour.best_response import best_response
from negotiation.behaviour.findings import findings
from negotiation.behaviour.moves import offers_of, opening, steps, timing
from negotiation.behaviour.sides import script_of
from negotiation.game.events import Ended
from negotiation.scenario.model import SEATS, Seat, other
from ui.drawing.lane_view import LaneView
from ui.kit import bargaining_text as text
from ui.kit.units import in_points, points

EARLY, LATE = 0.6, 0.4
"""A timing above or below these is called early or late."""
REACHED = 0.005
"""A gap to the best response below this shows as 0 points."""


@dataclass(frozen=True)
class Compared:
    """A measure of both sides in words, with an explanation."""

    title: str
    about: str
    values: Mapping[Seat, str]


@dataclass(frozen=True)
class Untruth:
    """An untrue statement of one side."""

    seat: Seat
    where: str
    what: str
    truth: str


@dataclass(frozen=True)
class Bargained:
    """How both sides bargained. `spoke` is whether a model or a person took part."""

    names: Mapping[Seat, str]
    rows: tuple[Compared, ...]
    untruths: tuple[Untruth, ...]
    spoke: bool


def bargained(view: LaneView) -> Bargained | None:
    """Return how both sides of a lane bargained; None before its end, or if it began as another negotiation."""
    if not isinstance(view.end, Ended) or not view.turns or set(view.players) != set(SEATS):
        return None
    if any(turn.agent != view.players[turn.seat].agent for turn in view.turns):
        return None
    speaking = [seat for seat in SEATS if view.players[seat].script is None]
    rows = (
        Compared(text.FIRST, text.FIRST_ABOUT, {seat: _first(view, seat) for seat in SEATS}),
        Compared(text.GAVE_WAY, text.GAVE_WAY_ABOUT, {seat: _gave_way(view, seat) for seat in SEATS}),
        Compared(text.STEPS, text.STEPS_ABOUT, {seat: _asked_for_more(view, seat) for seat in SEATS}),
        Compared(text.BEST, text.BEST_ABOUT, {seat: _best(view, view.end, seat) for seat in SEATS}),
    )
    shown = tuple(row for row in rows if set(row.values.values()) != {text.UNKNOWN})
    untruths = [untruth for seat in speaking for untruth in _untruths(view, seat)]
    return Bargained(
        names={seat: view.scenario.roles[seat].name for seat in SEATS},
        rows=shown,
        untruths=tuple(untruth for _, untruth in sorted(untruths, key=lambda entry: entry[0])),
        spoke=bool(speaking),
    )


def _first(view: LaneView, seat: Seat) -> str:
    worth = opening(view.turns, seat)
    return text.UNKNOWN if worth is None else in_points(worth)


def _gave_way(view: LaneView, seat: Seat) -> str:
    if len(offers_of(view.turns, seat)) < 3:
        return text.UNKNOWN
    when = timing(view.turns, seat)
    if when is None:
        return text.NEVER
    return text.EARLY if when > EARLY else text.LATE if when < LATE else text.STEADILY


def _asked_for_more(view: LaneView, seat: Seat) -> str:
    made = steps(view.turns, seat)
    more = made["selfish"] + made["fortunate"]
    return text.OF.format(count=more, all=made.total()) if made else text.UNKNOWN


def _best(view: LaneView, end: Ended, seat: Seat) -> str:
    opponent = script_of(view.players[other(seat)])
    if opponent is None:
        return text.UNKNOWN
    best = best_response(view.scenario, seat, opponent, view.seed)
    gained = end.measures.utility_a if seat == "a" else end.measures.utility_b
    if not best.exact:
        return text.BETWEEN.format(low=points(best.worth), high=points(best.at_most))
    if best.worth - gained <= REACHED:
        return text.REACHED.format(worth=in_points(best.worth))
    return text.MORE.format(worth=in_points(best.worth), more=points(best.worth - gained))


def _untruths(view: LaneView, seat: Seat) -> list[tuple[int, Untruth]]:
    name = view.scenario.roles[seat].name
    return [
        (
            found.index,
            Untruth(seat, text.ROUND.format(round=found.round, name=name), text.FOUND[found.trait], found.truth),
        )
        for found in findings(view.scenario, view.turns, seat)
    ]
