"""The head of a lane: what lies on the table while it runs, and the verdict when it has ended."""

from __future__ import annotations

from collections.abc import Sequence

from negotiation.game.events import Ended, Halted, Turn
from negotiation.game.measures import total_cost
from negotiation.game.protocol import Action
from negotiation.live.live_runs import DELETED
from negotiation.scenario.model import SEATS, Scenario, Seat
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import Space
from ui.drawing.turns import offer_html
from ui.kit import text
from ui.kit.html import dollars, esc, number, tag

SMALL = 0.005
"""Differences in utility below this are not told."""


def table_html(view: LaneView, seats: Sequence[Seat] = SEATS) -> str:
    """The offer on the table and what it is worth to `seats`; nothing once the negotiation has ended."""
    scenario = view.scenario
    if view.end is not None:
        return ""
    last = next((turn for turn in reversed(view.turns) if turn.action is Action.OFFER), None)
    if last is None or last.offer is None:
        words = text.TABLE_EMPTY if view.begun else text.TABLE_BEFORE.format(rounds=scenario.rounds)
        shown = tag("p", esc(words), "empty") + bars_html(scenario, None, None, seats)
    else:
        left = scenario.rounds - last.round
        head = text.TABLE.format(name=scenario.roles[last.seat].name, round=last.round, rounds=scenario.rounds)
        end = tag("span", esc(text.TABLE_LAST), "last") if left == 0 else ""
        shown = tag("h3", esc(head) + end) + offer_html(scenario, last.offer)
        shown += bars_html(scenario, last.utility_a, last.utility_b, seats)
    return tag("section", shown, "table", aria_label=text.TABLE_LABEL)


def bars_html(scenario: Scenario, a: float | None, b: float | None, seats: Sequence[Seat] = SEATS) -> str:
    """What something is worth to both sides, or to `seats`: bars from 0 to 1, with a mark at what no deal is worth."""
    rows = []
    values = {"a": a, "b": b}
    for seat in seats:
        value = values[seat]
        role = scenario.roles[seat]
        about = f"--value:{value or 0:.4f};--least:{role.reservation:.4f}"
        bar = tag("span", tag("i") + tag("u"), "bar", style=about, aria_hidden="true")
        shown = "–" if value is None else number(value)
        hint = text.BAR_HINT.format(reservation=number(role.reservation))
        parts = (
            tag("span", esc(role.name), "who")
            + bar
            + tag("b", esc(shown))
            + tag("span", _gain(role.reservation, value), "gain")
        )
        rows.append(tag("div", parts, f"seat-{seat}", title=hint))
    return tag("div", "".join(rows), "bars secret")


def _gain(reservation: float, value: float | None) -> str:
    if value is None:
        return esc(text.NO_DEAL_IS.format(reservation=number(reservation)))
    gain = value - reservation
    if abs(gain) < SMALL:
        return esc(text.LIKE_NO_DEAL)
    return esc((text.ABOVE if gain > 0 else text.BELOW).format(by=number(abs(gain))))


# -- how it ended ----------------------------------------------------------------------------------------------


def verdict_html(view: LaneView, space: Space) -> str:
    """The end in words: who got what, what was left on the table, and which turn cost most."""
    if view.end is None:
        return tag("div", tag("p", esc(text.VERDICT_WAITING), "empty"), "verdict waiting")
    if isinstance(view.end, Halted):
        gone = view.end.reason == DELETED
        head, why = (text.RUN_GONE, text.RUN_GONE_ABOUT) if gone else (text.HALTED[view.end.status], view.end.reason)
        shown = tag("h3", esc(head)) + tag("p", esc(why), "reason")
        return tag("div", shown, f"verdict ended {view.end.status}", role="status")
    return tag("div", _ended_html(view, view.end, space), "verdict ended", role="status")


def _ended_html(view: LaneView, end: Ended, space: Space) -> str:
    scenario, measures = view.scenario, end.measures
    a, b = measures.utility_a, measures.utility_b
    lines = []
    if end.agreement is not None:
        rounds = text.IN_ROUND.format(round=view.turns[-1].round) if view.turns else ""
        head = tag("h3", esc(text.DEAL) + tag("span", esc(rounds), "round")) + offer_html(scenario, end.agreement)
    else:
        why = text.VERDICT[str(end.ending)].format(name=scenario.roles[end.by].name if end.by else "")
        head = tag("h3", esc(text.NO_DEAL)) + tag("p", esc(why))
        lines.append(text.KEPT)
    for seat, rational in zip(SEATS, (measures.rational_a, measures.rational_b), strict=True):
        if not rational:
            lines.append(text.IRRATIONAL.format(name=scenario.roles[seat].name))
    if left := _waste(scenario, space, a, b):
        lines.append(left)
    elif measures.rational_a and measures.rational_b:
        lines.append(text.NO_WASTE)
    if costly := costliest(view.turns, space):
        turn, cost = costly
        role = scenario.roles[turn.seat].name
        lines.append(text.COSTLIEST.format(name=role, round=turn.round, cost=number(cost)))
    if (spent := total_cost(turn.cost for turn in view.turns)) is not None:
        lines.append(text.COST_IN_ALL.format(cost=dollars(spent)))
    return head + bars_html(scenario, a, b) + "".join(tag("p", esc(line)) for line in lines)


def costliest(turns: tuple[Turn, ...], space: Space) -> tuple[Turn, float] | None:
    """The turn by which its side's regret grew most, and by how much; None if no turn cost anything worth telling.

    Regret of a turn is the best own utility that the other side could still accept, minus that of the turn.
    """
    best: tuple[Turn, float] | None = None
    regret: dict[Seat, float] = {}
    for turn in turns:
        own = turn.utility_a if turn.seat == "a" else turn.utility_b
        value = space.scenario.roles[turn.seat].reservation if own is None else own
        now = max(0.0, space.analyser.best_given(turn.seat) - value)
        cost = now - regret.get(turn.seat, 0.0)
        regret[turn.seat] = now
        if cost >= SMALL and (best is None or cost > best[1]):
            best = turn, cost
    return best


def _waste(scenario: Scenario, space: Space, a: float, b: float) -> str:
    """A deal that would have been better, in words; empty if there is none."""
    better = space.analyser.improvement(a, b)
    names = {"name_a": scenario.roles["a"].name, "name_b": scenario.roles["b"].name}
    if better is None:
        return ""
    worth = {"a": number(better.utility_a), "b": number(better.utility_b)}
    return text.WASTE.format(offer=scenario.show(better.offer), **worth, **names)
