"""The top of a lane: the offer on the table while it runs, and the verdict once it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from negotiation.game.events import Ended, Halted, Turn
from negotiation.game.measures import settled_worth, total_cost
from negotiation.game.protocol import Action
from negotiation.live.live_runs import DELETED
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat
from ui.drawing.bargained import bargained
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import Space
from ui.drawing.turns import offer_card
from ui.kit import bargaining_text, text
from ui.kit.templates import render
from ui.kit.units import dollars, in_points, points

SMALL = 0.005
"""Differences in utility up to this one would show as 0 points, and are not mentioned."""


def table_html(view: LaneView, seats: Sequence[Seat] = SEATS) -> Markup:
    """Draw the offer on the table and its worth to `seats`; nothing once the negotiation has ended."""
    scenario = view.scenario
    if view.end is not None:
        return Markup("")
    last = next((turn for turn in reversed(view.turns) if turn.action is Action.OFFER), None)
    if last is None or last.offer is None:
        words = text.TABLE_EMPTY if view.begun else text.TABLE_BEFORE.format(rounds=scenario.rounds)
        return render("table", offer=None, words=words, bars=worth_bars(scenario, None, None, seats))
    return render(
        "table",
        offer=offer_card(scenario, last.offer),
        words=text.TABLE.format(name=scenario.roles[last.seat].name, round=last.round, rounds=scenario.rounds),
        last_round=last.round == scenario.rounds,
        bars=worth_bars(scenario, last.utility_a, last.utility_b, seats),
    )


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What something is worth to a seat, from 0 to 1, with a mark at the seat's reservation value."""

    seat: Seat
    name: str
    value: float | None
    reservation: float

    @property
    def hint(self) -> str:
        """The scale in words."""
        return text.BAR_HINT.format(reservation=points(self.reservation))

    @property
    def gain(self) -> str:
        """The distance from no deal in words."""
        if self.value is None:
            return text.NO_DEAL_IS.format(reservation=points(self.reservation))
        gain = self.value - self.reservation
        if abs(gain) <= SMALL:
            return text.LIKE_NO_DEAL
        return (text.ABOVE if gain > 0 else text.BELOW).format(by=in_points(abs(gain)))


def worth_bars(scenario: Scenario, a: float | None, b: float | None, seats: Sequence[Seat] = SEATS) -> list[Bar]:
    """Return a bar for each of `seats`, for something worth `a` and `b` to the two sides."""
    values, roles = {"a": a, "b": b}, scenario.roles
    return [
        Bar(seat=seat, name=roles[seat].name, value=values[seat], reservation=roles[seat].reservation) for seat in seats
    ]


def bars_html(scenario: Scenario, a: float | None, b: float | None, seats: Sequence[Seat] = SEATS) -> Markup:
    """Draw `worth_bars`."""
    return render("bars", bars=worth_bars(scenario, a, b, seats))


# -- how it ended ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A sentence of the verdict, with an explanation of its terms."""

    words: str
    about: str = ""


def verdict_html(view: LaneView, space: Space) -> Markup:
    """Draw the end in words: who got what, whether a better deal was missed, and which turn cost most."""
    end = view.end
    if end is None:
        return Markup("")
    if isinstance(end, Halted):
        deleted = end.reason == DELETED
        title, reason = (text.RUN_GONE, text.RUN_GONE_ABOUT) if deleted else (text.HALTED[end.status], end.reason)
        return render("verdict_halted", status=end.status, title=title, reason=reason)
    scenario, a, b = view.scenario, end.measures.utility_a, end.measures.utility_b
    by = scenario.roles[end.by].name if end.by else ""
    return render(
        "verdict",
        offer=None if end.agreement is None else offer_card(scenario, end.agreement),
        reached=text.IN_ROUND.format(round=view.turns[-1].round) if view.turns else "",
        why="" if end.agreement is not None else text.VERDICT[str(end.ending)].format(name=by),
        bars=worth_bars(scenario, a, b),
        lines=_lines(view, end, space),
        bargained=_bargained_html(view),
    )


def _bargained_html(view: LaneView) -> Markup:
    """Draw how both sides bargained, folded."""
    it = bargained(view)
    if it is None:
        return Markup("")
    return render("bargained", it=it, words=bargaining_text, key=f"{view.run_id}-bargained")


def _lines(view: LaneView, end: Ended, space: Space) -> list[Line]:
    scenario, measures = view.scenario, end.measures
    lines = [] if end.agreement is not None else [Line(text.NO_DEAL_ABOUT)]
    for seat, rational in zip(SEATS, (measures.rational_a, measures.rational_b), strict=True):
        if not rational:
            lines.append(Line(text.IRRATIONAL.format(name=scenario.roles[seat].name)))
    if better := missed(space, end.agreement, view.turns[-1].round if view.turns else 1):
        lines.append(Line(better))
    elif measures.rational_a and measures.rational_b:
        lines.append(Line(text.NO_WASTE, text.FRONTIER_ABOUT))
    if costly := costliest(view.turns, space):
        turn, cost = costly
        words = text.COSTLIEST.format(name=scenario.roles[turn.seat].name, round=turn.round, cost=in_points(cost))
        lines.append(Line(words, text.REGRET_ABOUT))
    if (spent := total_cost(turn.cost for turn in view.turns)) is not None:
        lines.append(Line(text.COST_IN_ALL.format(cost=dollars(spent))))
    return lines


def costliest(turns: Sequence[Turn], space: Space) -> tuple[Turn, float] | None:
    """Find the turn by which its side's regret grew most.

    Regret of a turn is the best own utility that the other side could still accept, minus that of the turn.

    Returns:
        The turn and the growth of regret, or None if no turn cost anything worth mentioning.
    """
    best: tuple[Turn, float] | None = None
    regret: dict[Seat, float] = {}
    for turn in turns:
        own = turn.utility_a if turn.seat == "a" else turn.utility_b
        value = space.scenario.roles[turn.seat].reservation if own is None else own
        now = max(0.0, space.analyser.best_given(turn.seat) - value)
        cost = now - regret.get(turn.seat, 0.0)
        regret[turn.seat] = now
        if cost > SMALL and (best is None or cost > best[1]):
            best = turn, cost
    return best


def missed(space: Space, agreement: Offer | None, last_round: int) -> str:
    """Describe a deal that would have been better for one side and no worse for the other; empty if none exists.

    Its worth is that in the round of the deal that was made, or in the first round if there was no deal.
    """
    scenario = space.scenario
    better = space.analyser.improvement(*settled_worth(scenario, agreement))
    if better is None:
        return ""
    in_round = 1 if agreement is None else last_round
    return text.WASTE.format(
        offer=scenario.show(better.offer),
        a=in_points(scenario.discounted(better.utility_a, in_round)),
        b=points(scenario.discounted(better.utility_b, in_round)),
        name_a=scenario.roles["a"].name,
        name_b=scenario.roles["b"].name,
    )
