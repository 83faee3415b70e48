"""Scripted strategies: agents that need no model. They look at their own utility only, never at the other side's.

Time-dependent tactics are those of Faratin, Sierra and Jennings (1998): the utility asked for falls from the best
outcome's to the reservation value as the deadline nears, by time^(1/e). Boulware (e < 1) holds out and gives in late;
a conceder (e > 1) gives in early. Both accept an offer that is worth no less than what they would ask for next. Where
deals lose worth with time, the reservation value is that of a deal in the round in which it would be made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from negotiation.agents.base import Decision, View
from negotiation.events import AgentEvent
from negotiation.protocol import Action
from negotiation.scenario import Offer

SLACK = 1e-10
"""What is asked for may miss a utility by rounding; utilities have nine decimal places."""


class Strategy:
    """A strategy by its rule for how much to ask for, from 0 (the reservation value) to 1 (the best outcome)."""

    def __init__(self, name: str, demand: Callable[[float], float]) -> None:
        self.name = name
        self._demand = demand

    def act(self, view: View) -> Generator[AgentEvent, None, Decision]:
        yield from ()
        state, best = view.state, float(view.utilities.max())
        floor = _least(view, state.turn + 1)  # an offer is answered a turn later
        turns = max(view.scenario.rounds - 1, 1)
        ask = floor + (best - floor) * self._demand((state.round - 1) / turns)
        goes_on = best >= floor and not state.last_turn
        if state.table is not None and _accepts(view, state.table, ask if goes_on else _least(view, state.turn)):
            return Decision(Action.ACCEPT, message="That works for me. We have a deal.")
        if best < floor:
            return Decision(Action.WALK_AWAY, message="There is nothing here for me. Goodbye.")
        offer = _near(view, ask)
        return Decision(Action.OFFER, offer, message=_speak(view, offer))


def _least(view: View, turn: int) -> float:
    """The undiscounted utility that a deal in a turn must have to be worth the reservation value."""
    return float(view.role.reservation / view.scenario.discount ** (turn // 2))


def _accepts(view: View, table: Offer, needed: float) -> bool:
    return view.scenario.utility(view.seat, table) >= needed - SLACK


def _power(e: float) -> Callable[[float], float]:
    return lambda time: 1.0 - float(time ** (1.0 / e))


STRATEGIES: dict[str, Strategy] = {
    "boulware": Strategy("boulware", _power(0.2)),
    "conceder": Strategy("conceder", _power(3.0)),
}
"""All strategies by name. Exponents as in Faratin et al.'s experiments: 0.2 is a firm boulware, 3 a mild conceder."""


def _near(view: View, ask: float) -> dict[str, Any]:
    """An outcome worth at least `ask`, as little above it as there is; chance decides among equals."""
    utilities = view.utilities
    enough = utilities >= ask - SLACK
    least = utilities[enough].min()
    equals = np.flatnonzero(utilities == least)
    return view.space.offer(int(view.random().choice(list(equals))))


def _speak(view: View, offer: Offer) -> str:
    opening = "I propose" if not view.own else view.random().choice(["How about", "I can offer", "Let us say"])
    return f"{opening} {view.scenario.show(offer)}."
