"""Scripted strategies: agents that need no model. They look at their own utility only, never at the other side's.

Time-dependent tactics are those of Faratin, Sierra and Jennings (1998): the utility asked for falls from the best
outcome's to the reservation value as the deadline nears, by time^(1/e). Boulware (e < 1) holds out and gives in late;
a conceder (e > 1) gives in early. Both accept an offer that is worth no less than what they would ask for next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from negotiation.agents.base import Decision, View
from negotiation.events import AgentEvent
from negotiation.protocol import Action
from negotiation.scenario import Offer


class Strategy:
    """A strategy by its rule for how much to ask for, from 0 (the reservation value) to 1 (the best outcome)."""

    def __init__(self, name: str, demand: Callable[[float], float]) -> None:
        self.name = name
        self._demand = demand

    def act(self, view: View) -> Generator[AgentEvent, None, Decision]:
        yield from ()
        reservation, best = view.role.reservation, float(view.utilities.max())
        if best < reservation:
            return Decision(Action.WALK_AWAY, message="There is nothing here for me. Goodbye.")
        turns = max(view.scenario.rounds - 1, 1)
        time = (view.state.round - 1) / turns
        ask = reservation + (best - reservation) * self._demand(min(time, 1.0))
        if view.state.table is not None and self._accepts(view, ask):
            return Decision(Action.ACCEPT, message="That works for me. We have a deal.")
        offer = _near(view, ask)
        return Decision(Action.OFFER, offer, message=_speak(view, offer))

    def _accepts(self, view: View, ask: float) -> bool:
        assert view.state.table is not None
        worth = view.scenario.utility(view.seat, view.state.table)
        needed = view.role.reservation if view.state.last_turn else ask
        return worth >= needed - 1e-9


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
    enough = utilities >= ask - 1e-9
    least = utilities[enough].min()
    equals = np.flatnonzero(enough & (utilities <= least + 1e-9))
    return view.space.offer(int(view.random().choice(list(equals))))


def _speak(view: View, offer: Offer) -> str:
    opening = "I propose" if not view.own else view.random().choice(["How about", "I can offer", "Let us say"])
    return f"{opening} {view.scenario.show(offer)}."
