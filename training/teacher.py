"""The teacher: a strategy whose every decision follows from the prompt by a few comparisons.

It asks for its best outcome first and for less as the deadline nears. What it asks for is an `aim`, in steps of 0.05.
It accepts an offer that reaches its aim, and in the last turn anything worth more than no deal. To give way, it moves
the issues that weigh least in its own preferences to what the other side wants, and leaves the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from negotiation.game.agent import View
from negotiation.game.protocol import Action
from negotiation.scenario.issue import Value
from negotiation.scenario.model import Offer

GRID = 0.05
"""Aims are multiples of it."""
SLACK = 1e-9


@dataclass(frozen=True)
class Manner:
    """How firmly the teacher plays.

    Attributes:
        exponent: How late it gives way: below 1 late, 1 steadily (as in `strategies.time_dependent`).
        end: What it still asks for in its last offer, as a share of the way from no deal to its best outcome.
    """

    exponent: float = 0.7
    end: float = 0.35


USUAL = Manner()


@dataclass(frozen=True)
class Choice:
    """A decision with its reasons.

    Attributes:
        action: What it does.
        offer: The offer that it makes; None for other actions.
        aim: What a deal must be worth to it now, discounted.
        worth: What the offer on the table is worth to it now, discounted; None without one.
        given: The issues on which the offer gives way, compared with its last one; empty if on none.
    """

    action: Action
    offer: Offer | None
    aim: float
    worth: float | None
    given: str = ""


def decide(view: View, manner: Manner) -> Choice:
    """Return the teacher's decision for a turn."""
    state, scenario, seat = view.state, view.scenario, view.seat
    table, reservation = state.table, view.role.reservation
    worth = None if table is None else scenario.discounted(scenario.utility(seat, table), state.round)
    aim = aim_of(view, manner)
    if state.last_turn:
        good = worth is not None and round(worth, 2) > round(reservation, 2)
        return Choice(Action.ACCEPT if good else Action.WALK_AWAY, None, aim, worth)
    if worth is not None and worth > reservation and round(worth, 2) >= aim:
        return Choice(Action.ACCEPT, None, aim, worth)
    keeps = scenario.discounted(1.0, state.round)
    offer = asking(view, min(aim / keeps, 1.0))
    return Choice(Action.OFFER, offer, aim, worth, _given(view, offer))


def aim_of(view: View, manner: Manner) -> float:
    """Return what a deal must be worth in this turn, a multiple of `GRID` above the reservation value."""
    state, scenario = view.state, view.scenario
    best = scenario.discounted(float(view.utilities.max()), state.round)
    reservation = view.role.reservation
    offers = scenario.rounds - (0 if state.starts == view.seat else 1)  # the last one that can be answered
    passed = min((state.round - 1) / max(offers - 1, 1), 1.0)
    share = 1 - (1 - manner.end) * float(passed ** (1 / manner.exponent))
    aim = round((reservation + (best - reservation) * share) / GRID) * GRID
    while aim <= reservation + SLACK:
        aim += GRID
    return round(aim, 2)


def asking(view: View, aim: float) -> dict[str, Value]:
    """Return the offer that gives the other side most of what it wants, from the own least weighty issue on."""
    scenario, seat = view.scenario, view.seat
    weights = scenario.roles[seat].weights
    offer = {name: _best(view, name) for name in scenario.issues}
    left = scenario.utility(seat, offer) - aim
    for name in sorted(scenario.issues, key=lambda name: weights[name]):
        wanted = wanted_by_other(view, name)
        found = _nearest(view, name, offer[name], wanted, left)
        left -= weights[name] * (scenario.value(seat, name, offer[name]) - scenario.value(seat, name, found))
        partly = found not in (offer[name], wanted)
        offer[name] = found
        if partly:
            break
    return offer


def wanted_by_other(view: View, name: str) -> Value:
    """Return the option that the other side asked for first; before that, the own worst one."""
    for turn in view.public:
        if turn.seat != view.seat and turn.offer is not None:
            return turn.offer[name]
    issue = view.scenario.issues[name]
    return min(issue.choices, key=lambda choice: view.scenario.value(view.seat, name, choice))


def _best(view: View, name: str) -> Value:
    """Return the own best option; among equals the one that the other side asked for, or is nearest to it."""
    scenario, seat = view.scenario, view.seat
    choices = list(scenario.issues[name].choices)
    most = max(scenario.value(seat, name, choice) for choice in choices)
    equals = [choice for choice in choices if scenario.value(seat, name, choice) >= most - SLACK]
    wanted = wanted_by_other(view, name)
    return wanted if wanted in equals else equals[0]


def _nearest(view: View, name: str, own: Value, wanted: Value, left: float) -> Value:
    """Return the option between `own` and `wanted` that costs at most `left` of the own utility and lies farthest.

    Of numbers that cost nearly the same, the roundest.
    """
    scenario, seat = view.scenario, view.seat
    issue, weight = scenario.issues[name], scenario.roles[seat].weights[name]
    choices = list(issue.choices)
    first, last = choices.index(own), choices.index(wanted)
    between = choices[first : last + 1] if first <= last else choices[last : first + 1][::-1]
    top = scenario.value(seat, name, own)
    cost = {choice: weight * (top - scenario.value(seat, name, choice)) for choice in between}
    payable = [choice for choice in between if cost[choice] <= left + SLACK]
    if not payable:
        return own
    if wanted in payable:
        return wanted
    far = max(payable, key=lambda choice: cost[choice])
    if issue.range is None:
        return far
    near = [choice for choice in payable if cost[choice] >= cost[far] - GRID / 2]
    return max(near, key=lambda choice: (_zeros(int(choice)), cost[choice]))


def _zeros(number: int) -> int:
    text = str(number)
    return len(text) - len(text.rstrip("0"))


def _given(view: View, offer: Offer) -> str:
    """Return the issues on which an offer gives way, compared with the own last one, such as "price, delivery"."""
    made = [turn.offer for turn in view.own if turn.offer is not None]
    if not made:
        return ""
    scenario, seat = view.scenario, view.seat
    worse = [
        name
        for name in scenario.issues
        if scenario.value(seat, name, offer[name]) < scenario.value(seat, name, made[-1][name]) - SLACK
    ]
    return ", ".join(worse)
